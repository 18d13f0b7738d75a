//! What was seen goes through narrower grants, and nothing else.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::authenticate::{Credential, authenticate};
use crate::authorize::{Permit, authorize};
use crate::keyring::page::Page;
use crate::keys::{Keys, SETTINGS};
use crate::refusal::Refusal;
use crate::route::{Hosts, Route, Target};
use crate::settings::Settings;

const CLIENT: &str = "[clients.a]\nkeys = [{ id = \"a\", sha256 = \"8fa3aab2faa9b79e0a0398da5b5abd0780142442a5be80b9a64608d718cb1fcd\" }]\n";

/// A file in which the client has these grants.
fn page(grants: &str) -> Page {
    Page::read(Path::new("keys.toml"), &format!("{CLIENT}{grants}")).unwrap()
}

fn keys(page: &Page) -> Keys {
    let settings = Settings::parse(Path::new("keyswap.toml"), SETTINGS).unwrap();
    Keys::parse(Path::new("keys.toml"), &page.text(), &settings)
        .unwrap_or_else(|error| panic!("{error}:\n{}", page.text()))
}

fn seen(resource: &str, family: Family, access: Access, object: Object) -> Deed {
    Deed { resource: resource.to_owned(), operation: (family, access), object }
}

fn named(name: &str) -> Object {
    Object::Named(name.to_owned())
}

/// What becomes of grants, and what is said of it.
fn after(grants: &str, deeds: &[Deed]) -> (String, Vec<String>) {
    let mut page = page(grants);
    let narrowing = narrowed(&keys(&page).clients()[0].grants, deeds);
    page.replace_grants("a", &narrowing.edits).unwrap();
    drop(keys(&page));
    (page.text().replace(CLIENT, ""), narrowing.notes)
}

#[test]
fn what_one_grant_cannot_say_becomes_two() {
    let deeds = [
        seen("search", Family::DocumentsRead, Access::Read, named("hotels")),
        seen("search", Family::DocumentsRead, Access::Read, named("Reports-1")),
        seen("search", Family::DocumentsWrite, Access::Write, named("reports-1")),
        seen("ai", Family::Files, Access::Write, Object::Untouched),
        seen("ai", Family::FineTuning, Access::Read, Object::Unnamed),
        seen("ai", Family::Evaluations, Access::Manage, Object::Unnamed),
    ];
    let (grants, notes) = after(
        "grants = [{ resource = \"search\", indexes = [\"hotels\", \"reports-*\"], identity = \"reader\" }, { resource = \"ai\", allow = [\"openai\"] }]\n",
        &deeds,
    );
    assert_eq!(
        grants,
        "grants = [{ resource = \"search\", indexes = [\"Reports-1\", \"hotels\"], identity = \"reader\", allow = [\"documents-read\"] }, \
         { resource = \"search\", indexes = [\"reports-1\"], identity = \"reader\", allow = [\"documents-write\"] }, \
         { resource = \"ai\", allow = [\"files\", \"evaluations\"], access = [\"write\", \"manage\"] }, \
         { resource = \"ai\", allow = [\"fine-tuning\"], access = [\"read\"] }]\n"
    );
    assert_eq!(notes.len(), 3, "{notes:?}");
}

#[test]
fn what_is_as_narrow_as_can_be_stays_in_its_own_words() {
    let grants = "[[clients.a.grants]]\nresource = \"ai\"\nallow = [\"inference\", \"files\"] # both\naccess = [\"write\", \"read\"]\ndeployments = [\"GPT-4o\"]\n";
    let deeds = [
        seen("ai", Family::Inference, Access::Read, named("gpt-4o")),
        seen("ai", Family::Files, Access::Read, Object::Untouched),
        seen("ai", Family::Files, Access::Write, Object::Untouched),
        seen("gone", Family::Files, Access::Write, Object::Untouched),
    ];
    let (same, notes) = after(grants, &deeds);
    assert_eq!(same, grants);
    assert_eq!(notes, ["files (write) on gone was seen, but is not granted any more"]);
}

/// A request of each kind that a grant can tell apart; `NAME` stands for a deployment or an index. Those that name theirs in
/// the body say it there.
const REQUESTS: &[(&str, &str)] = &[
    ("POST", "/openai/deployments/NAME/chat/completions"),
    ("POST", "/openai/deployments/NAME/embeddings"),
    ("POST", "/openai/v1/chat/completions"),
    ("POST", "/openai/images/generations:submit"),
    ("GET", "/openai/models"),
    ("POST", "/openai/v1/responses"),
    ("GET", "/openai/v1/responses/r"),
    ("GET", "/openai/files"),
    ("POST", "/openai/files"),
    ("GET", "/openai/batches"),
    ("POST", "/openai/batches"),
    ("POST", "/openai/threads"),
    ("GET", "/openai/fine_tuning/jobs"),
    ("POST", "/openai/fine_tuning/jobs"),
    ("GET", "/openai/v1/evals"),
    ("GET", "/openai/realtime?deployment=NAME"),
    ("POST", "/openai/v1/realtime/client_secrets"),
    ("GET", "/indexes/NAME/docs"),
    ("POST", "/indexes/NAME/docs/index"),
    ("GET", "/indexes/NAME"),
    ("GET", "/indexes"),
];

const NAMES: &[&str] = &["gpt-4o", "gpt-4", "ada", "hotels", "hot"];

/// One of these requests, for one of the names.
type Asked = (usize, usize);

/// What becomes of a request: its permit, and what was done, as a worker writes it down.
fn permitted(keys: &Keys, (request, name): Asked) -> Result<(Permit, Deed), Refusal> {
    let ((method, path), name) = (REQUESTS[request], NAMES[name]);
    let head = http::Request::builder().method(method).uri(path.replace("NAME", name)).header("api-key", "a key");
    let (head, ()) = head.body(()).unwrap().into_parts();
    let route = Route::of(&head, &Hosts::default()).unwrap();
    let Credential::Key(caller) = authenticate(&head, &route, keys, std::time::SystemTime::now())? else {
        panic!("a key")
    };
    let permit = authorize(&route, caller)?;
    let object = match (route.target(), permit.condition()) {
        (Target::Named(name), _) => named(name),
        (Target::InBody, None) => Object::InBody,
        (Target::InBody, Some(condition)) if condition.permits(name) => named(name),
        (Target::InBody, Some(_)) => return Err(Refusal::TargetNotGranted(Some(name.to_owned()))),
        (Target::Unnamed, _) => Object::Unnamed,
        (Target::Untouched, _) => Object::Untouched,
    };
    let deed = Deed { resource: permit.resource().name.to_string(), operation: route.operation().unwrap(), object };
    Ok((permit, deed))
}

fn list(words: &[&str]) -> String {
    format!("[{}]", words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", "))
}

/// A grant as somebody may have written it.
fn any_grant() -> impl Strategy<Value = String> {
    let of_plane = |resource: &'static str, targets: &'static str, plane: Plane| {
        let families = Family::NAMES.iter().filter(|(_, family)| family.plane() == plane);
        let families: Vec<_> = families.map(|(name, _)| *name).collect();
        let some = prop::sample::subsequence(families.clone(), 1..=families.len());
        let names = prop::sample::subsequence(vec!["gpt-4*", "gpt-4o", "ada", "hot*"], 1..=4);
        (some, prop::option::of(names), prop::bool::ANY).prop_map(move |(allow, names, reads)| {
            let names = names.map_or(String::new(), |names| format!(", {targets} = {}", list(&names)));
            let identity = if reads { ", identity = \"reader\"" } else { "" };
            format!("{{ resource = \"{resource}\", allow = {}{names}{identity} }}", list(&allow))
        })
    };
    prop_oneof![of_plane("ai", "deployments", Plane::OpenAi), of_plane("search", "indexes", Plane::Search)]
}

/// The same, each as a table of its own.
fn tables(grants: &[String]) -> String {
    let table = |grant: &String| {
        let fields = grant.trim_matches(['{', '}', ' ']).replace(", allow", "\nallow").replace("], ", "]\n");
        format!("[[clients.a.grants]]\n{fields}\n")
    };
    grants.iter().map(table).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Replayed against the narrower grants, what was seen goes through as the same identity, and nothing that reaches
    /// elsewhere, by family, access or name.
    #[test]
    fn what_was_seen_is_let_through_and_nothing_else(
        as_tables in prop::bool::ANY,
        grants in prop::collection::vec(any_grant(), 1..4),
        asked in prop::collection::vec((0..REQUESTS.len(), 0..NAMES.len()), 1..16),
    ) {
        let mut page = page(&if as_tables { tables(&grants) } else { format!("grants = [{}]\n", grants.join(", ")) });
        let before = keys(&page);
        let seen: Vec<_> = asked.iter().filter_map(|asked| Some((*asked, permitted(&before, *asked).ok()?))).collect();
        let deeds: Vec<_> = seen.iter().map(|(_, (_, deed))| deed.clone()).collect();
        let narrowing = narrowed(&before.clients()[0].grants, &deeds);
        if deeds.is_empty() {
            // Nothing is proposed then.
            return Ok(());
        }
        page.replace_grants("a", &narrowing.edits).unwrap();
        let after = keys(&page);
        let text = page.text();
        for (asked, (permit, _)) in &seen {
            let again = permitted(&after, *asked);
            let identity = again.as_ref().ok().map(|(permit, _)| permit.identity());
            prop_assert_eq!(identity, Some(permit.identity()), "{:?} in {}", REQUESTS[asked.0], text);
        }
        // Where it is not known which grant was used they all stay, and let through what they did.
        if narrowing.notes.iter().any(|note| note.ends_with("for different identities")) {
            return Ok(());
        }
        let all = (0..REQUESTS.len()).flat_map(|request| (0..NAMES.len()).map(move |name| (request, name)));
        for (asked, (_, deed)) in all.filter_map(|asked| Some((asked, permitted(&after, asked).ok()?))) {
            let mut same = deeds.iter().filter(|seen| (&seen.resource, seen.operation) == (&deed.resource, deed.operation));
            prop_assert!(same.clone().next().is_some(), "{:?} was not seen: {}", REQUESTS[asked.0], text);
            // Of what was done to all of them, or to none, the names are not known.
            let is_known = same.all(|seen| seen.object.name().is_some()) && deed.object.name().is_some();
            prop_assert!(!is_known || deeds.contains(&deed), "{:?} for {} was not seen: {}", REQUESTS[asked.0], NAMES[asked.1], text);
        }
    }
}
