//! The README's table "what may this key do?" is what the code decides: each example is read by the real [`Route`], and
//! each mark is a preset's own. `BLESS=1 cargo test --test it key_table` writes it anew.

use std::fmt::Write;
use std::path::Path;

use http::Method;
use keyswap::family::{Families, Family};
use keyswap::plane::{Access, Plane};
use keyswap::route::{Hosts, Route, Target};

/// An operation, and a request that asks for it.
type Example = (&'static str, Method, &'static str);

const EXAMPLES: &[Example] = &[
    ("chat", Method::POST, "/openai/deployments/gpt-4o/chat/completions"),
    ("chat, v1", Method::POST, "/openai/v1/chat/completions"),
    ("embeddings", Method::POST, "/openai/deployments/ada/embeddings"),
    ("audio", Method::POST, "/openai/deployments/whisper/audio/transcriptions"),
    ("images", Method::POST, "/openai/deployments/dall-e-3/images/generations"),
    ("poll for an image", Method::GET, "/openai/operations/images/1"),
    ("list models", Method::GET, "/openai/models"),
    ("Foundry models", Method::POST, "/models/chat/completions"),
    ("Anthropic", Method::POST, "/anthropic/v1/messages"),
    ("respond", Method::POST, "/openai/v1/responses"),
    ("look at a response", Method::GET, "/openai/v1/responses/resp_1"),
    ("list stored chats", Method::GET, "/openai/v1/chat/completions"),
    ("upload", Method::POST, "/openai/files"),
    ("download", Method::GET, "/openai/files/file-1/content"),
    ("delete a file", Method::DELETE, "/openai/files/file-1"),
    ("make a vector store", Method::POST, "/openai/v1/vector_stores"),
    ("start", Method::POST, "/openai/v1/batches"),
    ("look at one", Method::GET, "/openai/v1/batches/batch_1"),
    ("make an assistant", Method::POST, "/openai/assistants"),
    ("run a thread", Method::POST, "/openai/threads/thread_1/runs"),
    ("look at messages", Method::GET, "/openai/threads/thread_1/messages"),
    ("start a job", Method::POST, "/openai/v1/fine_tuning/jobs"),
    ("look at a job", Method::GET, "/openai/v1/fine_tuning/jobs/ftjob-1"),
    ("delete a model", Method::DELETE, "/openai/models/ft-1"),
    ("evaluate", Method::POST, "/openai/v1/evals/eval_1/runs"),
    ("look at one", Method::GET, "/openai/v1/evals/eval_1"),
    ("connect", Method::GET, "/openai/realtime?deployment=gpt-4o-realtime-preview"),
    ("make a client's secret", Method::POST, "/openai/v1/realtime/client_secrets"),
    ("Foundry agents", Method::POST, "/api/projects/p/agents"),
    ("video", Method::POST, "/openai/v1/video/generations/jobs"),
    ("make a deployment", Method::PUT, "/openai/deployments/gpt-4o"),
    ("search", Method::POST, "/indexes('hotels')/docs/search.post.search"),
    ("search", Method::GET, "/indexes('hotels')/docs"),
    ("suggest", Method::POST, "/indexes('hotels')/docs/search.post.suggest"),
    ("autocomplete", Method::GET, "/indexes/hotels/docs/autocomplete"),
    ("look up", Method::GET, "/indexes('hotels')/docs('1')"),
    ("count", Method::GET, "/indexes('hotels')/docs/$count"),
    ("upload, merge, delete", Method::POST, "/indexes('hotels')/docs/search.index"),
    ("look at an index", Method::GET, "/indexes('hotels')"),
    ("define an index", Method::PUT, "/indexes('hotels')"),
    ("analyze", Method::POST, "/indexes('hotels')/search.analyze"),
    ("list indexes", Method::GET, "/indexes"),
    ("make an index", Method::POST, "/indexes"),
    ("run an indexer", Method::POST, "/indexers('nightly')/search.run"),
    ("define an alias", Method::PUT, "/aliases('current')"),
    ("ask a knowledge base", Method::POST, "/knowledgebases('kb')/retrieve"),
    ("statistics", Method::GET, "/servicestats"),
    ("batch", Method::POST, "/indexes('hotels')/docs/$batch"),
];

/// What each plane is called, what its grants are limited by, and the columns: a grant without `allow`, and presets.
const PLANES: [(Plane, &str, &str, &[&str]); 2] = [
    (Plane::OpenAi, "Azure OpenAI", "deployments", &["openai"]),
    (Plane::Search, "Azure AI Search", "indexes", &["search-query", "search-admin"]),
];

const BEGIN: &str = "<!-- What may this key do? Written by a test from what the code decides: BLESS=1 cargo test --test it key_table -->\n";
const END: &str = "<!-- end -->\n";

/// The mark of an operation whose body names what it works on.
const IN_BODY: &str = " ³";

fn route(method: &Method, path: &str) -> Route {
    let (parts, ()) = http::Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
    Route::of(&parts, &Hosts::default()).unwrap()
}

/// The examples of a plane that come to this operation. A mark stands where the request names nothing to limit by, or its
/// body does.
fn examples(plane: Plane, operation: Option<(Family, Access)>) -> Vec<String> {
    let mut shown = Vec::new();
    for (words, method, path) in EXAMPLES {
        let route = route(method, path);
        if route.plane() == plane && route.operation() == operation {
            let mark = match route.target() {
                Target::Unnamed if operation.is_some() => " ¹",
                Target::InBody => IN_BODY,
                Target::Named(_) | Target::Unnamed | Target::Untouched => "",
            };
            shown.push(format!("{words} `{method} {path}`{mark}"));
        }
    }
    shown
}

fn table(plane: Plane, title: &str, limit: &str, presets: &[&str]) -> String {
    let mut text = format!("\n| {title}: family | access | operations | no `allow` |");
    presets.iter().for_each(|preset| write!(text, " `{preset}` |").unwrap());
    text += "\n|---|---|---|---|";
    text += &"---|".repeat(presets.len());
    let yes = |set: Families, family| if set.contains(family) { " yes |" } else { " |" };
    for family in Family::NAMES.iter().map(|(_, family)| *family).filter(|family| family.plane() == plane) {
        for access in family.accesses() {
            let examples = examples(plane, Some((family, *access)));
            assert!(!examples.is_empty(), "no example of {} {}", family.name(), access.name());
            let sharing = if family.is_shared() && plane == Plane::OpenAi { " ²" } else { "" };
            write!(text, "\n| `{}`{sharing} | {} | {} |", family.name(), access.name(), examples.join("<br>")).unwrap();
            text += yes(Families::default_for(plane), family);
            for preset in presets {
                text += yes(Families::named(preset).unwrap(), family);
            }
        }
    }
    let nobody = examples(plane, None);
    write!(text, "\n| none | | {} | |{}\n", nobody.join("<br>"), " |".repeat(presets.len())).unwrap();
    write!(text, "\n¹ It does not say which of the {limit} it works on: a grant with `{limit}` does not cover it.\n")
        .unwrap();
    if text.contains(IN_BODY) {
        text += "\n³ Its body says which, as its `model`.\n";
    }
    text
}

#[test]
fn the_readme_says_what_a_key_may_do() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the mark where the table begins");
    let (written, after) = rest.split_once(END).expect("the mark where it ends");
    let decided: String =
        PLANES.iter().map(|(plane, title, limit, presets)| table(*plane, title, limit, presets)).collect();
    let decided = format!("{decided}\n");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, [before, BEGIN, &decided, END, after].concat()).unwrap();
    } else {
        assert!(written == decided, "the README's table is not what the code decides; BLESS=1 writes it anew");
    }
    let shown: usize = decided.matches('`').count();
    assert!(shown > 2 * EXAMPLES.len(), "an example is in neither plane");
}
