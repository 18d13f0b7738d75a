//! Which deployment an operation works on whose path names none.
//!
//! What names one in its body is decided there ([`crate::guard`]), for a key that is limited to some. What cannot name one
//! is covered by its family if deployments are nothing to that family, and else by a grant on all deployments alone:
//!
//! | operation | where it says which deployment | a key that is limited to some |
//! |---|---|---|
//! | `POST` of `chat/completions`, `completions`, `embeddings`, `images/generations`, `images/edits`, `images/variations`, `audio/speech`, `audio/transcriptions`, `audio/translations`, `responses`; Foundry's `/models/chat/completions`, `/models/embeddings`, `/models/images/embeddings`; `/anthropic/v1/messages` and its `count_tokens` | `model` in the body | may, if the body names one of them |
//! | `realtime` | `deployment` or `model` in the query | may, if the query names one of them |
//! | the list of models, polling for an image | nowhere | may |
//! | files, uploads, vector stores | nowhere: no model works on them | may, with the family |
//! | stored chats, responses and conversations | nowhere: whatever deployment made them | may not |
//! | `responses` of a Foundry project | in the body, or in an agent that the body names | may not |
//! | batches | in a file that was stored before | may not |
//! | assistants, threads and their runs | in stored assistants | may not |
//! | fine-tuning, evaluations, secrets for realtime | deep in bodies, or in stored jobs | may not |
//! | `images/generations:submit` | nowhere: the resource's own DALL-E | may not |
//! | whatever Azure adds tomorrow | nobody knows | may not |
//!
//! Where the path does name a deployment, the body's `model` leads nowhere else: Azure routes by the URL. SDKs write what
//! they like there (openai-python#2900, danny-avila/LibreChat#1165; azure-wire has no row for it).

use std::borrow::Cow;

use http::Method;

use super::Target;
use crate::family::Family;
use crate::refusal::Refusal;
use crate::route::path::{hidden_names, parameters};

/// How a query names a deployment: the legacy surface says `deployment`, v1 says `model` (azure-wire, A3).
const PARAMETERS: [&str; 2] = ["deployment", "model"];

/// The target of an operation of this family, whose path after the account's prefix has these words.
pub(super) fn target(method: &Method, family: Option<Family>, words: &[&str], query: &str) -> Result<Target, Refusal> {
    if hidden_names(query).any(|name| names_deployment(&name)) {
        return Err(Refusal::Ambiguous("its query names a deployment where only some servers would look for it"));
    }
    match family {
        Some(Family::Inference | Family::Responses) if method == Method::POST && is_in_body(words) => {
            Ok(Target::InBody)
        }
        Some(Family::Files) => Ok(Target::Untouched),
        Some(Family::Realtime) => in_query(query),
        _ => Ok(Target::Unnamed),
    }
}

fn is_in_body(words: &[&str]) -> bool {
    matches!(
        words,
        ["chat", "completions"]
            | ["completions" | "embeddings" | "responses"]
            | ["images", "generations" | "edits" | "variations" | "embeddings"]
            | ["audio", "speech" | "transcriptions" | "translations"]
            | ["messages"]
            | ["messages", "count_tokens"]
    )
}

fn names_deployment(parameter: &str) -> bool {
    PARAMETERS.iter().any(|name| parameter.eq_ignore_ascii_case(name))
}

/// Who says both must mean the same.
fn in_query(query: &str) -> Result<Target, Refusal> {
    let mut named: Option<Cow<'_, str>> = None;
    for parameter in parameters(query) {
        if !names_deployment(&parameter.name()) {
            continue;
        }
        let value = parameter.value();
        if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
            return Err(Refusal::Ambiguous("its query names a deployment in characters that no name has"));
        }
        if named.replace(value.clone()).is_some_and(|other| other != value) {
            return Err(Refusal::Ambiguous("its query names more than one deployment"));
        }
    }
    let named = named.filter(|name| !name.is_empty());
    Ok(named.map_or(Target::Unnamed, |name| Target::Named(name.into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realtime_connection_names_its_deployment_in_the_query_once() {
        for (query, named) in [
            ("api-version=2024-10-01-preview&deployment=rt", Some("rt")),
            ("model=gpt-4o%2Drealtime", Some("gpt-4o-realtime")),
            ("model=rt&Deployment=rt", Some("rt")),
            ("", None),
            ("model=", None),
            ("models=rt", None),
        ] {
            let target = named.map_or(Target::Unnamed, |name| Target::Named(name.to_owned()));
            assert_eq!(in_query(query), Ok(target), "{query}");
        }
        for query in ["model=a&model=b", "deployment=a&%6Dodel=b", "model=a&MODEL=", "model=a%00", "model=a+b"] {
            assert!(matches!(in_query(query), Err(Refusal::Ambiguous(_))), "{query}");
        }
    }

    #[test]
    fn a_deployment_that_only_some_servers_see_is_named_by_nobody() {
        for query in ["x=1;model=a", "deployment=a;deployment=b", "mod%2565l=a", "model=a?x=1&deployment=a;model=b"] {
            for words in [&["chat", "completions"][..], &["realtime"]] {
                let family = if words.len() == 1 { Family::Realtime } else { Family::Inference };
                let named = target(&Method::POST, Some(family), words, query);
                assert!(matches!(named, Err(Refusal::Ambiguous(_))), "{query}: {named:?}");
            }
        }
    }
}
