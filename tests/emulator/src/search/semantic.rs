//! Semantic ranking: scores, captions and answers in the members where clients look for them. Nobody understands
//! anything here: the best sentence is the one with the most words of the question.

use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::exchange::Call;
use crate::search::highlights::{self, Marks};
use crate::search::hits::{self, Hit, Terms};
use crate::search::schema::{Document, Index};
use crate::search::{entity, refusal};

/// What a semantic query wants besides its hits.
pub(super) struct Semantic {
    question: Terms,
    /// With marks, or without.
    captions: Option<bool>,
    /// How many, and whether they have marks.
    answers: Option<(usize, bool)>,
}

impl Semantic {
    /// `None` unless `queryType` says so.
    pub(super) fn read(
        call: &Call<'_>,
        parameters: &Map<String, Value>,
        index: &Index,
    ) -> Result<Option<Self>, Answer> {
        let text = |member: &'static str| entity::text(parameters, member);
        if text("queryType") != "semantic" {
            return Ok(None);
        }
        let configuration = text("semanticConfiguration");
        // In 2020 it took a language instead.
        if !is_configured(index, configuration) && (text("queryLanguage").is_empty() || !configuration.is_empty()) {
            let text = format!("Unknown semantic configuration '{configuration}'.");
            return Err(refusal::coded(call, "InvalidRequestParameter", "UnknownSemanticConfiguration", &text));
        }
        let question = if text("semanticQuery").is_empty() { text("search") } else { text("semanticQuery") };
        let extractive = |member: &'static str| text(member).strip_prefix("extractive");
        let marked = |options: &str| !options.contains("highlight-false");
        let count = |options: &str| {
            let mut options = options.split(['|', ',']);
            options.find_map(|option| option.trim().strip_prefix("count-")?.parse().ok()).unwrap_or(1)
        };
        Ok(Some(Self {
            question: Terms::of(question),
            captions: extractive("captions").map(marked),
            answers: extractive("answers").map(|options| (count(options), marked(options))),
        }))
    }

    /// What is said of one hit, behind its score.
    pub(super) fn of_hit(&self, index: &Index, hit: &Hit<'_>) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("@search.rerankerScore".to_owned(), json!(reranked(hit)));
        if let Some(marked) = self.captions {
            let (text, highlights) = self.best_sentence(index, hit.document, marked);
            members.insert("@search.captions".to_owned(), json!([{"text": text, "highlights": highlights}]));
        }
        members
    }

    /// What answers the question, if answers are wanted.
    pub(super) fn answers(&self, index: &Index, hits: &[Hit<'_>]) -> Option<Value> {
        let (count, marked) = self.answers?;
        let answers = hits.iter().take(count).map(|hit| {
            let (text, highlights) = self.best_sentence(index, hit.document, marked);
            let score = reranked(hit) / 4.0;
            json!({"key": hit.document.get(&index.key), "text": text, "highlights": highlights, "score": score})
        });
        Some(answers.collect())
    }

    fn best_sentence(&self, index: &Index, document: &Document, marked: bool) -> (String, Option<String>) {
        let whole = hits::whole_text(index, document);
        let found =
            |sentence: &str| super::analysis::words(sentence).filter(|(_, word)| self.question.has(word)).count();
        let best = highlights::sentences(&whole).max_by_key(|sentence| found(sentence)).unwrap_or_default().to_owned();
        let highlights = highlights::marked(&best, &self.question, &Marks::default()).filter(|_| marked);
        (best, highlights)
    }
}

/// Between 0 and 4, in the order of the scores.
fn reranked(hit: &Hit<'_>) -> f64 {
    4.0 * hit.score / (hit.score + 1.0)
}

fn is_configured(index: &Index, name: &str) -> bool {
    let semantic = index.object.definition.get("semantic");
    let all = semantic.and_then(|semantic| semantic["configurations"].as_array());
    let mut names = all.into_iter().flatten().filter_map(|configuration| configuration["name"].as_str());
    if name.is_empty() { names.next().is_some() } else { names.any(|known| known == name) }
}
