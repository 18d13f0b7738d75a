//! Whether a request that keyswap permits is what the key may do, whoever reads it: the careful server and the careless
//! one, neither of which knows keyswap. The fuzz target reads this file, too.

use std::time::SystemTime;

use azure_emulator::{Plane as Azure, careless_reading, strict_reading};
use http::request::Parts;
use http::{Request, Uri};
use keyswap::authenticate::{Credential, authenticate};
use keyswap::authorize::{Permit, authorize};
use keyswap::keys::{Digest, Keys};
use keyswap::plane::Plane;
use keyswap::route::{Hosts, Route, Target};
use keyswap::settings::Settings;

use super::want::KEYS;

/// The clients of [`KEYS`] before keyswap's own steps.
pub(crate) struct Judge {
    keys: Keys,
    hosts: Hosts,
}

/// The operations of the emulator, by the family that they belong to; `x-*` are all of them on an x.
const OPERATIONS: &[(&str, &[&str])] = &[
    (
        "inference",
        &[
            "chat-completions",
            "completions",
            "embeddings",
            "audio-transcriptions",
            "audio-translations",
            "audio-speech",
            "images-generations",
            "images-edits",
            "images-submit",
            "images-poll",
            "models-list",
            "models-get",
        ],
    ),
    ("responses", &["responses-*", "response-items-*", "conversations-*", "stored-chats-*"]),
    ("files", &["files-*", "uploads-*", "vector-stores-*", "store-*"]),
    ("batches", &["batches-*"]),
    ("assistants", &["assistants-*", "threads-*", "messages-*", "runs-*"]),
    ("fine-tuning", &["fine-tuning-*", "models-delete"]),
    ("evaluations", &["evals-*"]),
    ("realtime", &["realtime"]),
    ("realtime-secrets", &["realtime-secrets"]),
    ("documents-read", &["docs-search", "docs-suggest", "docs-autocomplete", "docs-count", "docs-lookup"]),
    ("documents-write", &["docs-index"]),
    (
        "manage",
        &[
            "index-list",
            "index-create",
            "index-get",
            "index-put",
            "index-delete",
            "index-stats",
            "index-analyze",
            "servicestats",
            "indexstats",
            "indexers-*",
            "datasources-*",
            "skillsets-*",
            "synonymmaps-*",
            "aliases-*",
            "knowledgebases-*",
            "knowledgesources-*",
        ],
    ),
    ("none", &["batch", "deployments-put", "agents-create"]),
];

/// How the names end of what leaves nothing behind, of Azure OpenAI's operations.
const LOOKING: &[&str] = &["-get", "-list", "-content"];

/// The family of an operation.
fn family(operation: &str) -> &'static str {
    let fits = |wanted: &&str| match wanted.strip_suffix('*') {
        Some(start) => operation.starts_with(start),
        None => operation == *wanted,
    };
    let found = OPERATIONS.iter().find(|(_, operations)| operations.iter().any(fits));
    found.unwrap_or_else(|| panic!("{operation} has no family")).0
}

/// Whether a client of [`KEYS`] may do this: said here once more, in other words than its grants.
pub(crate) fn may(who: &str, operation: &str, subject: Option<&str>) -> bool {
    let family = family(operation);
    match who {
        "query" => family == "documents-read",
        "writer" => ["documents-read", "documents-write"].contains(&family),
        "hotels" => {
            let of_an_index = operation.starts_with("docs-") || operation.starts_with("index-");
            of_an_index && subject.is_some_and(|index| index.to_ascii_lowercase().starts_with("hot"))
        }
        "chat" => family == "inference",
        "gpt-4o" => {
            let of_no_deployment = ["images-poll", "models-list", "models-get"].contains(&operation);
            of_no_deployment || (family == "inference" && subject.is_some_and(|d| d.eq_ignore_ascii_case("gpt-4o")))
        }
        "reader" => {
            let only_looks = LOOKING.iter().any(|end| operation.ends_with(end));
            family == "inference" || (only_looks && !["manage", "none"].contains(&family))
        }
        "all" => !["realtime-secrets", "none"].contains(&family),
        "master" => family != "none",
        _ => panic!("nobody is called {who}"),
    }
}

impl Judge {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys = KEYS.iter().map(|(name, grants)| {
            let digest = Digest::of(name.as_bytes());
            format!("[clients.{name}]\nkeys = [{{ id = \"{name}\", sha256 = \"{digest}\" }}]\ngrants = [{grants}]\n")
        });
        std::fs::write(directory.path().join("keys.toml"), keys.collect::<String>()).unwrap();
        let settings = "keys = \"keys.toml\"\n[identities.main]\nkind = \"managed-identity\"\n\
                        [resources.ai]\nendpoint = \"https://contoso.openai.azure.com\"\nidentity = \"main\"\n\
                        [resources.search]\nendpoint = \"https://contoso.search.windows.net\"\nidentity = \"main\"\n";
        let settings = Settings::parse(&directory.path().join("keyswap.toml"), settings).unwrap();
        Self { keys: Keys::read(&settings).unwrap(), hosts: Hosts::of(&settings) }
    }

    /// What keyswap lets through, of a client that brings its name for a key.
    fn permit(&self, request: &Parts) -> Option<(Route, Permit)> {
        let route = Route::of(request, &self.hosts).ok()?;
        let credential = authenticate(request, &route, &self.keys, SystemTime::now()).ok()?;
        let Credential::Key(caller) = credential else { return None };
        let permit = authorize(&route, caller).ok()?;
        Some((route, permit))
    }

    /// Whether keyswap permits this request to a client, whatever its body.
    ///
    /// # Panics
    /// If it permits what some server would read as an operation that the client may not do, or as another operation
    /// than keyswap did.
    pub(crate) fn permits(&self, who: &str, request: Request<()>) -> bool {
        let (mut head, ()) = request.into_parts();
        let Ok(key) = who.parse() else { panic!("{who} cannot stand in a header") };
        head.headers.insert("api-key", key);
        let Some((route, permit)) = self.permit(&head) else { return false };
        let plane = match route.plane() {
            Plane::OpenAi => Azure::OpenAi,
            Plane::Search => Azure::Search,
        };
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let forwarded: Uri = target[permit.prefix()..].parse().unwrap();
        head.uri = forwarded;
        let shown = format!("{who}: {} {} {:?}", head.method, head.uri, head.headers);
        let request = Request::from_parts(head, ());
        for (server, read) in
            [("careless", careless_reading(plane, &request)), ("careful", strict_reading(plane, &request))]
        {
            let Some((operation, subject)) = read else { continue };
            // Where no path names a deployment the body must name a granted one: that is the guard's (see `model_grant`).
            let subject = subject.or_else(|| permit.condition().map(|_| "gpt-4o".to_owned()));
            assert!(
                may(who, operation, subject.as_deref()),
                "a {server} server does {operation} on {subject:?}: {shown}"
            );
            assert_eq!(permit.family().name(), family(operation), "a {server} server does {operation}: {shown}");
            if let (Target::Named(ours), Some(theirs)) = (route.target(), subject) {
                assert!(ours.eq_ignore_ascii_case(&theirs), "a {server} server works on {theirs}: {shown}");
            }
        }
        permit.condition().is_none()
    }
}
