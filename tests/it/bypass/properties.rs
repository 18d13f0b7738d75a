//! The table as properties: a forbidden operation in any dress is permitted to nobody who may not do it, and whatever is
//! permitted is read as the same operation by servers that do not know keyswap.

use http::{Method, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

use super::attempts::FAMILIES;
use super::dressing::{TRICKS, dress};
use super::judge::{Judge, may};
use super::want::KEYS;

/// Every operation, as a careful client asks for it.
const PLAIN: &[(Method, &str)] = &[
    (Method::POST, "/indexes/hotels/docs/index"),
    (Method::GET, "/indexes/secret/docs"),
    (Method::POST, "/indexes/secret/docs/search"),
    (Method::GET, "/indexes/hotels/docs/1"),
    (Method::GET, "/indexes/hotels/docs/$count"),
    (Method::GET, "/indexes/hotels/docs/suggest"),
    // Found by the fuzzer: a document of this key, or the operation?
    (Method::GET, "/indexes/hotels/docs/index"),
    (Method::GET, "/indexes/hotels"),
    (Method::DELETE, "/indexes/secret"),
    (Method::GET, "/indexes/secret/stats"),
    (Method::GET, "/indexes"),
    (Method::GET, "/servicestats"),
    (Method::PUT, "/aliases/hotels"),
    (Method::POST, "/indexers/hotels/run"),
    (Method::POST, "/indexes/hotels/docs/$batch"),
    (Method::POST, "/openai/deployments/gpt-4o/chat/completions"),
    (Method::POST, "/openai/deployments/gpt-35-turbo-instruct/completions"),
    (Method::POST, "/openai/v1/chat/completions"),
    (Method::GET, "/openai/v1/chat/completions"),
    (Method::POST, "/openai/files"),
    (Method::GET, "/openai/v1/files"),
    (Method::DELETE, "/openai/v1/files/f"),
    (Method::POST, "/openai/v1/responses"),
    (Method::POST, "/openai/batches"),
    (Method::POST, "/openai/threads/t/runs"),
    (Method::DELETE, "/openai/models/ft-1"),
    (Method::POST, "/openai/fine_tuning/jobs"),
    (Method::POST, "/openai/v1/realtime/client_secrets"),
    (Method::PUT, "/openai/deployments/d"),
    (Method::POST, "/api/projects/p/openai/v1/responses"),
    (Method::POST, "/models/chat/completions"),
];

/// A header and a query that are added.
type Override = (&'static str, &'static str, &'static str);

/// Headers and parameters that somebody may listen to.
const OVERRIDES: &[Override] = &[
    ("", "", ""),
    ("", "", ""),
    ("x-http-method-override", "POST", ""),
    ("x-http-method", "DELETE", ""),
    ("x-method-override", "GET", ""),
    ("x-original-url", "/indexes/hotels/docs/index", ""),
    ("x-rewrite-url", "/openai/files", ""),
    ("", "", "?_method=DELETE"),
    ("", "", "?x;%5fMETHOD=POST"),
    ("host", "contoso.openai.azure.com", ""),
    ("host", "contoso.search.windows.net", ""),
];

fn request(method: &Method, target: &str, (name, value, query): Override) -> Option<Request<()>> {
    let request = Request::builder().method(method).uri(format!("{target}{query}"));
    let request = if name.is_empty() { request } else { request.header(name, value) };
    // What http cannot hold, no client can send.
    request.body(()).ok()
}

fn dresses() -> impl Strategy<Value = (Index, Vec<(u8, u8)>, Override)> {
    (any::<Index>(), vec(any::<(u8, u8)>(), 0..5), select(OVERRIDES))
}

fn config() -> Config {
    // Failures are kept as tests of their own, not in a file.
    Config { cases: 4000, failure_persistence: None, ..Config::default() }
}

#[test]
fn what_is_permitted_in_any_dress_is_granted_and_read_alike_by_every_server() {
    let judge = Judge::new();
    let mut runner = TestRunner::new(config());
    let checked = runner.run(&dresses(), |(which, tricks, overriding)| {
        let (method, path) = which.get(PLAIN);
        for (who, _) in KEYS {
            // The judge panics where it is not so.
            if let Some(request) = request(method, &dress(path, &tricks), overriding) {
                judge.permits(who, request);
            }
        }
        Ok(())
    });
    checked.unwrap();
}

/// Random methods and targets of the alphabet that matters, not dressed from anything.
#[test]
fn whatever_is_permitted_is_granted_and_read_alike_by_every_server() {
    let judge = Judge::new();
    let word = "(?i:indexes|hotels|secret|docs|index|search|search\\.index|openai|deployments|gpt-4o|v1|files|models|api|\
                projects|chat|completions|responses|aliases|\\$batch|\\$count|\\.|\\.\\.|x)";
    let sign = "[/'();=%.+ ~,:@!*\\\\-]|%2[0-9a-f]|%5c|%00|%c0%af|\\('|'\\)|//|[a-z0-9]";
    let target = format!("(/({word}|{sign}){{1,3}}){{1,7}}");
    let strategy = (
        proptest::string::string_regex(&target).unwrap(),
        select(vec![Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD, Method::PATCH]),
        select(OVERRIDES),
    );
    let mut runner = TestRunner::new(config());
    let checked = runner.run(&strategy, |(target, method, overriding)| {
        for (who, _) in KEYS {
            if let Some(request) = request(&method, &target, overriding) {
                judge.permits(who, request);
            }
        }
        Ok(())
    });
    checked.unwrap();
}

/// The two above could pass because nothing is ever permitted, or because no dress is read as what is in it.
#[test]
fn the_judge_sees_much_of_both_kinds() {
    let judge = Judge::new();
    let (mut permitted, mut forbidden) = (0, 0);
    for (method, path) in PLAIN {
        for trick in 0..TRICKS.len() {
            for place in [0, 100, 200] {
                let dressed = dress(path, &[(u8::try_from(trick).unwrap(), place)]);
                for (who, _) in KEYS {
                    let Some(request) = request(method, &dressed, ("", "", "")) else { continue };
                    let read = [azure_emulator::Plane::OpenAi, azure_emulator::Plane::Search]
                        .into_iter()
                        .find_map(|plane| azure_emulator::careless_reading(plane, &request));
                    let may = read.as_ref().is_some_and(|(operation, subject)| may(who, operation, subject.as_deref()));
                    match judge.permits(who, request) {
                        true => permitted += 1,
                        false if read.is_some() && !may => forbidden += 1,
                        false => {}
                    }
                }
            }
        }
    }
    assert!(permitted > 2000 && forbidden > 5000, "{permitted} permitted, {forbidden} forbidden");
}

/// The attempts of the table, before every key: none gets what it may not, here neither.
#[test]
fn the_judge_agrees_with_the_table() {
    let judge = Judge::new();
    for (_, attempts) in FAMILIES {
        for (name, want, line, headers, _) in *attempts {
            let (method, target) = line.split_once(' ').unwrap();
            let mut request = Request::builder().method(method).uri(target);
            for (name, value) in *headers {
                request = request.header(*name, *value);
            }
            assert!(!judge.permits(want.who, request.body(()).unwrap()), "{name}");
        }
    }
}
