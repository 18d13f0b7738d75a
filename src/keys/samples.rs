//! Keys that everybody knows: of documents, templates and examples, Azure's, OpenAI's and their SDKs'.

use std::collections::HashMap;

use super::Digest;

/// Samples by digest.
#[derive(Debug)]
pub(super) struct Samples(HashMap<Digest, String>);

/// The words of samples; each is spelled in many ways.
const PHRASES: &str = "\
    your api key, your api key here, your apikey, your key, your key here, your token, your api token, \
    your openai key, your openai api key, your openai api key here, your azure key, your azure api key, \
    your azure openai key, your azure openai api key, your azure openai api key here, your azure openai key here, \
    your search key, your search api key, your search admin key, your search admin api key, your search query key, \
    your search service admin key, your search service query key, your search service api key, \
    your azure search key, your azure search api key, your azure search admin key, your azure ai search key, \
    your azure ai search api key, your admin key, your admin api key, your query key, your secret key, \
    your subscription key, your secret, your password, my key, my api key, my secret key, my secret, \
    azure openai api key, azure openai key, openai api key, openai key, azure api key, azure key, azure search key, \
    azure search api key, azure search admin key, azure search admin api key, azure search query key, \
    azure search query api key, azure ai search key, azure ai search api key, search key, search api key, \
    search admin key, search admin api key, search query key, search api query key, subscription key, \
    ocp apim subscription key, admin key, admin api key, query key, query api key, api key, apikey, key, key1, \
    key 1, secret key, secret, token, access token, api token, password, passw0rd, test, testing, test key, \
    test api key, test secret, test token, demo, demo key, dummy, dummy key, dummy api key, dummy token, fake, \
    fake key, fake api key, fake token, mock, mock key, mock api key, sample, sample key, example, example key, \
    example api key, placeholder, insert key here, insert your key here, insert your api key here, \
    put your key here, put your api key here, enter your api key, paste your key here, paste your api key here, \
    replace me, replace with your key, replace with your api key, change me, changeme, change this, fill me in, \
    todo, tbd, none, null, nil, undefined, unused, empty, blank, not needed, not required, not used, no key, \
    no key required, redacted, sanitized, hidden, removed, admin, root, default, guest, user, hello, hello world, \
    foo, bar, foobar, string, abc, abc123, letmein, hunter2, qwerty, sk test, sk xxx, sk your key, sk your api key, \
    sk your api key here, sk your openai api key, sk no key required, sk key, sk fake, sk dummy, sk placeholder, \
    ollama, lm studio";

/// Samples that have one spelling.
const LITERALS: &str = "\
    0123456789abcdef0123456789abcdef 0123456789ABCDEF0123456789ABCDEF 0123456789abcdef 0123456789 \
    1234567890abcdef1234567890abcdef 1234567890ABCDEF1234567890ABCDEF 12345678901234567890123456789012 \
    abcdef0123456789abcdef0123456789 abcdefghijklmnopqrstuvwxyz123456 abcdefghijklmnopqrstuvwxyz012345 \
    deadbeefdeadbeefdeadbeefdeadbeef 00000000-0000-0000-0000-000000000000 11111111-1111-1111-1111-111111111111 \
    12345678-1234-1234-1234-123456789012 12345678-1234-1234-1234-123456789abc 123 1234 12345 123456 12345678 \
    123456789 1234567890 sk-... sk-.... sk-1234 sk-123 sk-1234567890 sk-proj-... \
    sk-1234567890abcdef1234567890abcdef sk-00000000000000000000000000000000 ... \u{2026} c2FuaXRpemVk \
    $AZURE_OPENAI_API_KEY $OPENAI_API_KEY $AZURE_SEARCH_KEY $AZURE_SEARCH_API_KEY $API_KEY $KEY \
    process.env.AZURE_OPENAI_API_KEY process.env.OPENAI_API_KEY os.environ[\"AZURE_OPENAI_API_KEY\"]";

/// Characters that stand in for each of a key's.
const FILLERS: &str = "0159aAbBfFxXyYzZ*.-_#?";

/// The longest key that such a character is repeated for: Azure's newest have 84 characters.
const LONGEST_FILLED: usize = 128;

impl Samples {
    /// All of them. Some thousand digests: made for one reading of a file, and let go.
    pub(super) fn new() -> Self {
        let mut samples = Self(HashMap::new());
        for phrase in PHRASES.split(", ") {
            for separator in ["-", "_", " ", ""] {
                let lower = phrase.replace(' ', separator);
                for spelled in [lower.to_uppercase(), lower] {
                    for (before, after) in [("", ""), ("<", ">"), ("{", "}"), ("[", "]"), ("${", "}"), ("{{", "}}")] {
                        samples.insert(format!("{before}{spelled}{after}"));
                    }
                }
            }
        }
        LITERALS.split(' ').for_each(|literal| samples.insert(literal.to_owned()));
        for filler in FILLERS.chars() {
            (1..=LONGEST_FILLED).for_each(|length| samples.insert(filler.to_string().repeat(length)));
        }
        samples
    }

    /// The sample that this is the digest of.
    pub(super) fn named(&self, digest: &Digest) -> Option<&str> {
        self.0.get(digest).map(String::as_str)
    }

    /// With `echo`, a newline is hashed as well.
    fn insert(&mut self, sample: String) {
        self.0.insert(Digest::of(format!("{sample}\n").as_bytes()), format!("{sample}, and a newline"));
        self.0.insert(Digest::of(sample.as_bytes()), sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_of_a_sample_is_known_by_its_name() {
        let samples = Samples::new();
        let named = |text: &str| samples.named(&Digest::of(text.as_bytes())).map(str::to_owned);
        assert_eq!(named("your-api-key").as_deref(), Some("your-api-key"));
        assert_eq!(named("<YOUR_API_KEY>\n").as_deref(), Some("<YOUR_API_KEY>, and a newline"));
        assert_eq!(named("00000000000000000000000000000000").as_deref(), Some("00000000000000000000000000000000"));
        assert_eq!(named("9f86d081884c7d659a2feaa0c55ad015"), None);
    }
}
