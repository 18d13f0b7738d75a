//! The paths of Azure OpenAI and Foundry (azure-wire, A3): an operation's family is told by the first word that
//! follows its scope, so that what Azure adds below a known word needs no release of ours.

mod model;

use http::Method;

use super::Target;
use crate::family::Family;
use crate::refusal::Refusal;

/// The family and the deployment of a path whose first segment is a root of the plane.
///
/// # Errors
/// [`Refusal::Ambiguous`] for quotes and parentheses, since OData is of the other plane, and for a query that names two
/// deployments.
pub(super) fn classify(method: &Method, segments: &[&str], query: &str) -> Result<(Option<Family>, Target), Refusal> {
    if segments.iter().any(|segment| holds(segment, |byte| matches!(byte, b'\'' | b'(' | b')'))) {
        return Err(Refusal::Ambiguous("its path has quotes or parentheses"));
    }
    // Real clients write it in lower case already.
    if !segments.iter().any(|segment| holds(segment, |byte| byte.is_ascii_uppercase())) {
        return of_words(method, segments, segments, query);
    }
    let folded: Vec<_> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    let words: Vec<_> = folded.iter().map(AsRef::as_ref).collect();
    of_words(method, segments, &words, query)
}

/// The same, by the segments in lower case; names stay as they are written.
fn of_words(
    method: &Method,
    segments: &[&str],
    words: &[&str],
    query: &str,
) -> Result<(Option<Family>, Target), Refusal> {
    match words {
        // Foundry's models; whatever is asked there is a call of one, unless its word says otherwise.
        ["models", words @ ..] => {
            let family = Some(family(method, words).unwrap_or(Family::Inference));
            Ok((family, model::target(method, family, words, query)?))
        }
        ["anthropic", _, words @ ..] => {
            let family = anthropic(words);
            Ok((family, model::target(method, family, words, query)?))
        }
        // A Foundry project has the whole surface below its own prefix. Its responses may name an agent, and that a model.
        ["api", "projects", _, "openai", ..] => {
            let (family, target) = classify(method, segments.get(3..).unwrap_or_default(), query)?;
            Ok((family, if family == Some(Family::Responses) { Target::Unnamed } else { target }))
        }
        ["openai", "deployments", ..] => {
            Ok(deployment(method, segments.get(2).copied(), words.get(3..).unwrap_or_default()))
        }
        ["openai", "v1", words @ ..] | ["openai", words @ ..] => account(method, words, query),
        _ => Ok((None, Target::Unnamed)),
    }
}

/// Whether a method only asks for what is there.
fn looks(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether any byte of a text is such a one. Without a branch for each, many are looked at together.
fn holds(text: &str, is_one: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(false, |any, byte| any | is_one(byte))
}

/// `/openai/deployments[/{deployment}[/...]]`.
fn deployment(method: &Method, name: Option<&str>, words: &[&str]) -> (Option<Family>, Target) {
    let family = match words {
        // The list, and one of it; making and deleting deployments was an operation of 2022.
        [] => looks(method).then_some(Family::Inference),
        // Whatever is asked of a deployment is a call of its model, unless its word says otherwise.
        words => Some(family(method, words).unwrap_or(Family::Inference)),
    };
    let target = match (name, family) {
        (None, _) => Target::Untouched,
        (Some(name), Some(Family::Inference) | None) => Target::Named(name.to_owned()),
        // JS 6 writes batches so (azure-wire, A3), whose file names deployments of its own.
        (Some(_), Some(_)) => Target::Unnamed,
    };
    (family, target)
}

/// What names no deployment in its path: `/openai/...` and `/openai/v1/...`.
fn account(method: &Method, words: &[&str], query: &str) -> Result<(Option<Family>, Target), Refusal> {
    Ok(match words {
        // The list of models, and polling for an image that was asked for by its deployment.
        ["models" | "operations", ..] if looks(method) => (Some(Family::Inference), Target::Untouched),
        // Only a model that was made by fine-tuning can be deleted.
        ["models", _] if method == Method::DELETE => (Some(Family::FineTuning), Target::Unnamed),
        words => {
            let family = family(method, words);
            (family, model::target(method, family, words, query)?)
        }
    })
}

fn family(method: &Method, words: &[&str]) -> Option<Family> {
    match words {
        ["chat", "completions"] if method == Method::POST => Some(Family::Inference),
        // A chat that was stored can be listed, changed and deleted, by whomever it was.
        ["chat", "completions", ..] | ["responses" | "conversations", ..] => Some(Family::Responses),
        ["chat" | "completions" | "embeddings" | "images" | "audio" | "extensions", ..] => Some(Family::Inference),
        ["files" | "uploads" | "vector_stores", ..] => Some(Family::Files),
        ["batches", ..] => Some(Family::Batches),
        ["assistants" | "threads", ..] => Some(Family::Assistants),
        ["fine_tuning" | "fine-tunes", ..] => Some(Family::FineTuning),
        ["evals", ..] => Some(Family::Evaluations),
        ["realtime"] if method == Method::GET => Some(Family::Realtime),
        // client_secrets, calls, sessions, realtimeapi, realtimertc: their answers let a client connect without us.
        [word, ..] if word.starts_with("realtime") => Some(Family::RealtimeSecrets),
        _ => None,
    }
}

/// Below `/anthropic/v1`.
fn anthropic(words: &[&str]) -> Option<Family> {
    match words {
        ["messages", "batches", ..] => Some(Family::Batches),
        ["files", ..] => Some(Family::Files),
        ["messages" | "complete" | "models", ..] => Some(Family::Inference),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(method: &Method, path: &str) -> (Option<Family>, Target) {
        let segments: Vec<_> = path.split('/').skip(1).collect();
        classify(method, &segments, "").unwrap()
    }

    #[test]
    fn a_family_is_told_by_its_word_in_every_form_of_url() {
        let (get, post) = (&Method::GET, &Method::POST);
        let named = |name: &str| Target::Named(name.to_owned());
        for (method, path, family, target) in [
            (post, "/openai/deployments/gpt-4o/chat/completions", Some(Family::Inference), named("gpt-4o")),
            (post, "/OpenAI/Deployments/GPT-4o/Chat/Completions", Some(Family::Inference), named("GPT-4o")),
            (post, "/openai/deployments/d/some/new/operation", Some(Family::Inference), named("d")),
            (get, "/openai/deployments", Some(Family::Inference), Target::Untouched),
            (post, "/openai/deployments", None, Target::Untouched),
            (post, "/openai/deployments/d/batches", Some(Family::Batches), Target::Unnamed),
            (post, "/openai/v1/chat/completions", Some(Family::Inference), Target::InBody),
            (get, "/openai/v1/chat/completions", Some(Family::Responses), Target::Unnamed),
            (post, "/openai/v1/chat/completions/chatcmpl-1", Some(Family::Responses), Target::Unnamed),
            (post, "/openai/images/edits", Some(Family::Inference), Target::InBody),
            (post, "/openai/v1/responses", Some(Family::Responses), Target::InBody),
            (get, "/openai/v1/responses/resp_1", Some(Family::Responses), Target::Unnamed),
            (post, "/openai/v1/files", Some(Family::Files), Target::Untouched),
            (get, "/openai/vector_stores/vs_1/files", Some(Family::Files), Target::Untouched),
            (post, "/openai/v1/batches", Some(Family::Batches), Target::Unnamed),
            (post, "/openai/v1/threads/runs", Some(Family::Assistants), Target::Unnamed),
            (post, "/openai/images/generations:submit", Some(Family::Inference), Target::Unnamed),
            (get, "/openai/operations/images/1", Some(Family::Inference), Target::Untouched),
            (get, "/openai/models", Some(Family::Inference), Target::Untouched),
            (&Method::DELETE, "/openai/models/ft-1", Some(Family::FineTuning), Target::Unnamed),
            (post, "/openai/deployments/d/realtimertc", Some(Family::RealtimeSecrets), Target::Unnamed),
            (post, "/openai/v1/realtime", Some(Family::RealtimeSecrets), Target::Unnamed),
            (get, "/openai/v1/chat/completions", Some(Family::Responses), Target::Unnamed),
            (&Method::DELETE, "/openai/deployments/d/chat/completions/c", Some(Family::Responses), Target::Unnamed),
            (get, "/openai/v1/realtime", Some(Family::Realtime), Target::Unnamed),
            (post, "/openai/v1/realtime/client_secrets", Some(Family::RealtimeSecrets), Target::Unnamed),
            (post, "/openai/realtimeapi/sessions", Some(Family::RealtimeSecrets), Target::Unnamed),
            (post, "/models/chat/completions", Some(Family::Inference), Target::InBody),
            (post, "/models/files", Some(Family::Files), Target::Untouched),
            (post, "/anthropic/v1/messages", Some(Family::Inference), Target::InBody),
            (post, "/anthropic/v1/messages/batches", Some(Family::Batches), Target::Unnamed),
            (post, "/anthropic/v1/organizations", None, Target::Unnamed),
            (get, "/models/info", Some(Family::Inference), Target::Unnamed),
            (post, "/api/projects/p/openai/v1/responses", Some(Family::Responses), Target::Unnamed),
            (post, "/api/projects/p/agents", None, Target::Unnamed),
            (post, "/openai/v1/something/new", None, Target::Unnamed),
            (get, "/openai", None, Target::Unnamed),
        ] {
            assert_eq!(classified(method, path), (family, target), "{method} {path}");
        }
    }
}
