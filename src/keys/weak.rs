//! Keys that are none: what a person made up, what a template left behind, what a document shows.
//!
//! A key is judged by its looks; of a digest nothing can be seen, and only [`Samples`] are known. A random key passes, as
//! Azure's own are: for 32 hexadecimal digits the odds of being taken for weak are below one in a million.

use super::Digest;
use super::samples::Samples;

/// Azure's shortest keys have 32 characters; what is shorter was made up by a person.
const SHORTEST: usize = 32;

/// So many different characters has any random key of that length.
const LEAST_VARIETY: usize = 8;

/// What is left of a key without its words must have so many characters.
const LEAST_BESIDES_WORDS: usize = 24;

/// How to mend it, said with every weakness.
const MEND: &str = "make a random one: openssl rand -hex 32";

/// What is wrong with a key, and what to do. No text holds anything of the key.
pub(super) fn weakness(key: &str, samples: &Samples) -> Option<String> {
    if samples.named(&Digest::of(key.as_bytes())).is_some() {
        return Some(format!("a sample that everybody knows is no key: {MEND}"));
    }
    let stands_in = |marks: &[char]| key.starts_with(marks) && key.len() > 1;
    if stands_in(&['<', '{', '[', '$', '%']) {
        return Some("a placeholder, and nobody put the key in its place: write the key itself".to_owned());
    }
    if stands_in(&['"', '\'', '`']) {
        return Some("the key stands in quotes, which clients do not send: take them away".to_owned());
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',') {
        return Some(
            "clients do not send such a key as it stands: it has a blank, a comma or a letter beyond ASCII".to_owned(),
        );
    }
    let weak = if key.len() < SHORTEST {
        format!("a key of fewer than {SHORTEST} characters can be guessed")
    } else if variety(key) < LEAST_VARIETY {
        format!("a key of fewer than {LEAST_VARIETY} different characters can be guessed")
    } else if repeats(key) {
        "a key that repeats itself can be guessed".to_owned()
    } else if is_sequence(key) {
        "a key that runs through the alphabet can be guessed".to_owned()
    } else if besides_words(key) < LEAST_BESIDES_WORDS {
        "a key that is made of words can be guessed".to_owned()
    } else {
        return None;
    };
    Some(format!("{weak}: {MEND}"))
}

fn variety(key: &str) -> usize {
    let mut seen = [false; 256];
    key.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}

/// Whether a key is a shorter text, written twice and more.
fn repeats(key: &str) -> bool {
    let key = key.as_bytes();
    (1..=key.len() / 2).any(|period| key[period..] == key[..key.len() - period])
}

/// Whether two in three characters are neighbours of the one before, or the same.
fn is_sequence(key: &str) -> bool {
    let apart = |pair: &[u8]| pair[0].to_ascii_lowercase().abs_diff(pair[1].to_ascii_lowercase());
    let steps = key.as_bytes().windows(2).filter(|pair| apart(pair) <= 1).count();
    3 * steps > 2 * key.len()
}

/// Of which people and keyboards make keys; a longer one stands before its parts.
const WORDS: &str = "\
    placeholder subscription 1234567890 qwertyuiop asdfghjkl changeme password contoso example zxcvbnm testing \
    openai search secret sample keyswap string change insert replace abcdef 123456 admin azure query token value \
    dummy hello world qwerty here your test demo fake goes this that with long very please never share service \
    client prod team key api the dev foo bar abc 123 xxx";

/// How many letters and digits of a key are of no word that we know.
fn besides_words(key: &str) -> usize {
    let mut rest = key.as_bytes();
    let mut count = 0;
    while let Some((first, others)) = rest.split_first() {
        let begins =
            |word: &&str| rest.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()));
        rest = match WORDS.split(' ').find(begins) {
            Some(word) => &rest[word.len()..],
            None => {
                count += usize::from(first.is_ascii_alphanumeric());
                others
            }
        };
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_made_up_is_weak_and_is_not_quoted() {
        let samples = Samples::new();
        for (key, why) in [
            ("test", "a sample"),
            ("changeme", "a sample"),
            ("your-api-key", "a sample"),
            ("<your-api-key>", "a sample"),
            ("<key>", "a sample"),
            ("{key}", "a sample"),
            ("AZURE_OPENAI_API_KEY", "a sample"),
            ("YOUR_AZURE_OPENAI_API_KEY", "a sample"),
            ("sk-...", "a sample"),
            ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "a sample"),
            ("00000000000000000000000000000000", "a sample"),
            ("0123456789abcdef0123456789abcdef", "a sample"),
            ("<the key of the billing department>", "a placeholder"),
            ("${KEY_OF_THE_BILLING_DEPARTMENT_2026}", "a placeholder"),
            ("\"9f86d081884c7d659a2feaa0c55ad015\"", "the key stands in quotes"),
            ("9f86d081884c7d65, 9a2feaa0c55ad015", "clients do not send such"),
            ("9f86d081884c7d659a2feaa0c55ad015\u{e9}", "clients do not send such"),
            ("9f86d081884c7d65", "a key of fewer than 32 characters"),
            ("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "a key of fewer than 8 different"),
            ("1212121212121212121212121212121212", "a key of fewer than 8 different"),
            ("battery-horse-staple-battery-horse-staple-", "a key that repeats itself"),
            ("9f86d081884c7d659f86d081884c7d65", "a key that repeats itself"),
            ("abcdefghijklmnopqrstuvwxyz0123456789", "a key that runs"),
            ("zyxwvutsrqponmlkjihgfedcba9876543210", "a key that runs"),
            ("aabbccddeeffgghhiijjkkllmmnnooppqqrr", "a key that runs"),
            ("my-very-long-secret-api-key-for-azure-search", "a key that is made of words"),
            ("contoso-openai-production-password-123456", "a key that is made of words"),
        ] {
            let told = weakness(key, &samples).unwrap_or_else(|| panic!("{key} is good"));
            assert!(told.starts_with(why), "{key}: {told}");
            assert!(key.len() < 5 || !told.contains(key), "{told}");
        }
    }

    #[test]
    fn what_is_random_is_good() {
        let samples = Samples::new();
        for seed in 0u32..2_000 {
            let digest = Digest::of(&seed.to_le_bytes());
            let hex = digest.to_string();
            // The shapes of Azure's keys: 32 hexadecimal digits, 52 and 84 letters and digits.
            let letters = |length| -> String {
                let bytes = [digest.0, Digest::of(&digest.0).0, Digest::of(hex.as_bytes()).0].concat();
                let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
                bytes.iter().take(length).map(|byte| char::from(alphabet[usize::from(*byte) % 62])).collect()
            };
            for key in [hex[..32].to_owned(), letters(32), letters(52), letters(84), format!("team-api-key-{hex}")] {
                assert_eq!(weakness(&key, &samples), None, "{key}");
            }
        }
    }
}
