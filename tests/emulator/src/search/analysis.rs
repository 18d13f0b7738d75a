//! From a text to its words: for searches, and for those who ask how it is done (`search.analyze`).

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::search::schema::Index;
use crate::search::{Request, entity, refusal, reply};

/// What the standard analyzer of the real service takes out only when told to, and the stop analyzer always.
const STOP_WORDS: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

/// How a text is cut, and what is done to the pieces.
#[derive(Clone, Copy)]
struct Analyzer {
    cut: Cut,
    case: Case,
    stop: bool,
}

#[derive(Clone, Copy)]
enum Cut {
    /// Letters and digits.
    Words,
    Letters,
    Blanks,
    /// Not at all.
    Nowhere,
}

#[derive(Clone, Copy)]
enum Case {
    Kept,
    Lower,
    Upper,
}

/// The words of a text, each with the byte where it starts.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    pieces(text, Cut::Words)
}

fn pieces(text: &str, cut: Cut) -> impl Iterator<Item = (usize, &str)> {
    let start = move |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    text.split(move |sign: char| match cut {
        Cut::Words => !sign.is_alphanumeric(),
        Cut::Letters => !sign.is_alphabetic(),
        Cut::Blanks => sign.is_whitespace(),
        Cut::Nowhere => false,
    })
    .filter(|word| !word.is_empty())
    .map(move |word| (start(word), word))
}

/// `POST …/search.analyze`
pub(super) fn analyze(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let memory = request.azure.search.memory();
    let index = request.index(&memory)?;
    let analyzer = wanted(&body, index).map_err(|text| refusal::bad_request(request.call, &text))?;
    let tokens = analyzer.tokens(entity::text(&body, "text"));
    Ok(reply::typed(request.call, "AnalyzeResult", json!({"tokens": tokens})))
}

/// An analyzer, a normalizer, or a tokenizer with its filters. The text of the refusal is not recorded.
fn wanted(body: &Map<String, Value>, index: &Index) -> Result<Analyzer, String> {
    let of = |member: &str| body.get(member).and_then(Value::as_str);
    let unknown = |what: &str, name: &str| {
        format!("The request is invalid. Details: request : The {what} '{name}' is not defined in this index.\r\n")
    };
    if let Some(name) = of("analyzer") {
        return Analyzer::named(name).or_else(|| custom(index, name)).ok_or_else(|| unknown("analyzer", name));
    }
    if let Some(name) = of("normalizer") {
        let case = if name == "uppercase" { Case::Upper } else { Case::Lower };
        return Ok(Analyzer { cut: Cut::Nowhere, case, stop: false });
    }
    let Some(name) = of("tokenizer") else {
        return Err(
            "The request is invalid. Details: request : Either 'analyzer', 'normalizer' or 'tokenizer' must be given.\r\n"
                .to_owned(),
        );
    };
    Analyzer::of_parts(body).ok_or_else(|| unknown("tokenizer", name))
}

/// One that the index defines.
fn custom(index: &Index, name: &str) -> Option<Analyzer> {
    let all = index.object.definition.get("analyzers")?.as_array()?;
    let definition = all.iter().find(|analyzer| analyzer["name"] == name)?.as_object()?;
    Some(Analyzer::of_parts(definition).unwrap_or(Analyzer::STANDARD))
}

// === impl Analyzer ===

impl Analyzer {
    const STANDARD: Self = Self { cut: Cut::Words, case: Case::Lower, stop: false };

    /// Languages have more in them than the standard analyzer, but not here.
    fn named(name: &str) -> Option<Self> {
        let own = |cut, case| Some(Self { cut, case, stop: false });
        match name {
            "keyword" => own(Cut::Nowhere, Case::Kept),
            "whitespace" => own(Cut::Blanks, Case::Kept),
            "simple" => own(Cut::Letters, Case::Lower),
            "stop" => Some(Self { cut: Cut::Letters, case: Case::Lower, stop: true }),
            "pattern" => own(Cut::Words, Case::Lower),
            name if name.ends_with(".lucene") || name.ends_with(".microsoft") => Some(Self::STANDARD),
            _ => None,
        }
    }

    fn of_parts(definition: &Map<String, Value>) -> Option<Self> {
        let (cut, lower) = match entity::text(definition, "tokenizer") {
            "keyword" | "keyword_v2" => (Cut::Nowhere, false),
            "whitespace" => (Cut::Blanks, false),
            "letter" => (Cut::Letters, false),
            "lowercase" => (Cut::Letters, true),
            "standard" | "standard_v2" | "classic" | "pattern" | "microsoft_language_tokenizer" => (Cut::Words, false),
            _ => return None,
        };
        let filters = definition.get("tokenFilters").and_then(Value::as_array);
        let has = |name: &str| filters.is_some_and(|filters| filters.iter().any(|filter| filter == name));
        let case = match (lower || has("lowercase"), has("uppercase")) {
            (_, true) => Case::Upper,
            (true, false) => Case::Lower,
            (false, false) => Case::Kept,
        };
        Some(Self { cut, case, stop: has("stopwords") })
    }

    /// Offsets count UTF-16 units, as they do where the service is written. A word that is left out leaves its place.
    fn tokens(self, text: &str) -> Vec<Value> {
        let units = |end: usize| text.get(..end).map_or(0, |before| before.encode_utf16().count());
        pieces(text, self.cut)
            .enumerate()
            .filter(|(_, (_, word))| !(self.stop && STOP_WORDS.contains(&word.to_lowercase().as_str())))
            .map(|(position, (start, word))| {
                json!({
                    "token": self.case.of(word),
                    "startOffset": units(start),
                    "endOffset": units(start + word.len()),
                    "position": position,
                })
            })
            .collect()
    }
}

impl Case {
    fn of(self, word: &str) -> String {
        match self {
            Self::Kept => word.to_owned(),
            Self::Lower => word.to_lowercase(),
            Self::Upper => word.to_uppercase(),
        }
    }
}
