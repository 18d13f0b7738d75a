//! Whatever can be wrong with tokens: with Entra, with what it gives, and with what Azure thinks of it.
//!
//! Clocks that jump are tested where they can be moved, in src/token/tests.rs, and so is the pace at which an issuer in
//! trouble is asked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use azure_emulator::{Entry, Fault, FixedTokens, Options, Plane, Role, SearchBearerRefusal};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::client::{Answer, Call};
use crate::gateway::LIMIT;
use crate::world::{CHAT, Plan, SEARCH, World, client, saying};

// What the log says.
const FETCHED: &str = "token fetched";
const OLD_ONE_SERVES: &str = "token not refreshed, the old one serves";
const NO_TOKEN: &str = "no token: requests that need it fail";

/// How the page ends that says how every token stands.
const FIRST: &str = "settings: generation 1\n";

/// The scope of chat's tokens.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

const HOUR: Duration = Duration::from_secs(3600);

/// A world with one key, and so with tokens of one scope, which live this long.
fn chat_alone(life: Duration) -> Plan {
    Plan {
        options: Options { token_life: life, ..Options::default() },
        keys: Box::new(|_, emulator| client("chat", &emulator.keys().openai, "{ resource = \"ai\" }")),
        ..Plan::default()
    }
}

/// The plan, where this is all that Entra answers.
fn where_entra_answers(plan: Plan, fault: Fault) -> Plan {
    Plan { before: Box::new(move |emulator| emulator.next(Plane::Entra, fault, 9999).unwrap()), ..plan }
}

fn a_chat(world: &World) -> Call {
    world.post(CHAT).key(&world.emulator.keys().openai)
}

async fn chat(world: &World) -> Answer {
    a_chat(world).json(&saying("hello")).await
}

async fn search(world: &World) -> Answer {
    world.post(SEARCH).key(&world.emulator.keys().search_query).json(&json!({"search": "*"})).await
}

/// How often this was logged.
fn times_logged(world: &World, message: &str) -> usize {
    world.gateway.log().iter().filter(|line| line["message"] == message).count()
}

/// A line about chat's token.
fn of_chat(message: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["message"] == message && line["scope"] == SCOPE
}

/// There is no token, and asking again may help. The closing table has the rest of the answer.
fn is_unavailable(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.reason()), (503, "token-unavailable"));
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (Some("2"), None));
}

/// Azure does not take our token.
fn is_not_taken(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-authentication"));
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (None, Some("false")));
}

/// What `/metrics` says of chat's token: fetched, failed, and whether one is in use.
async fn counted(world: &World) -> (u64, u64, bool) {
    let (_, page) = world.admin("/metrics").await;
    let value = |name: &str| {
        let start = format!("keyswap_token_{name}{{identity=\"app\",scope=\"{SCOPE}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{start} in {page}"))
    };
    let left: f64 = value("left_seconds").parse().unwrap();
    (value("fetched_total").parse().unwrap(), value("failed_total").parse().unwrap(), left > 0.0)
}

// Without a token.

#[tokio::test]
async fn an_identity_that_entra_refuses_is_not_ready_and_its_secret_is_told_nobody() {
    for (fault, code) in
        [("wrong-secret", "AADSTS7000215"), ("unknown-app", "AADSTS700016"), ("unknown-resource", "AADSTS500011")]
    {
        let world = where_entra_answers(Plan::default(), Fault::named(fault)).start().await;
        for answer in [chat(&world).await, search(&world).await] {
            assert_eq!((answer.status.as_u16(), answer.reason()), (500, "token-refused"), "{fault}");
        }

        let secret = world.emulator.app().secret;
        world.gateway.logged(of_chat(NO_TOKEN)).await;
        let log = format!("{:?}", world.gateway.log());
        assert!(log.contains(code), "{log}");
        assert!(!log.contains(&secret), "the secret is in the log");
        let stands = format!("no token: Entra refuses it ({code})");
        let page =
            format!("not ready\napp {SCOPE}: {stands}\napp https://search.azure.com/.default: {stands}\n{FIRST}");
        assert_eq!(world.admin("/health/ready").await, (503, page));
        assert_eq!(world.arrived().len(), 0);
    }
}

/// Busy, broken, cut off, or giving what is no token: a 503 on both planes, which is told with its cause, and life without
/// a restart once it is well again. A `Retry-After` of an hour is not obeyed.
#[tokio::test]
async fn an_entra_in_trouble_is_a_503_that_asks_to_come_again_and_is_got_over() {
    let unusable = "HTTP 200: the answer holds no usable token";
    let busy = [
        ("429", "HTTP 429"),
        ("500", "HTTP 500, AADSTS90033"),
        ("503", "HTTP 503, AADSTS90033"),
        ("html", "HTTP 503"),
        // Somebody else's page, in Entra's place.
        ("html-200", "HTTP 200"),
    ];
    let absurd = [
        ("empty-token", unusable),
        ("blank-token", unusable),
        ("string-expiry", "HTTP 200"),
        ("absurd-expiry", "HTTP 200: the answer is absurd"),
    ];
    let broke = "the connection broke: ";
    let broken = [("reset", broke), ("close", broke), ("truncate", "error reading a body from connection")];
    let faults = [&busy[..], &absurd, &broken].concat().into_iter().map(|(name, why)| (Fault::named(name), why));
    let faults = faults.chain([(Fault::named("429").retry_after(3600), "HTTP 429")]);
    let worlds = faults.map(|(fault, why)| async move {
        let world = where_entra_answers(Plan::default(), fault).start().await;
        let answers = async { [chat(&world).await, search(&world).await] };
        let answers = tokio::time::timeout(LIMIT, answers).await.expect("an answer in bounded time");
        answers.iter().for_each(is_unavailable);
        let line = world.gateway.logged(of_chat(NO_TOKEN)).await;
        let told = line["why"].as_str().unwrap();
        // How it broke, the system says or rustls.
        assert!(told == why || why == broke && told.starts_with(broke), "{why}: {line}");
        let stands = "no token: its issuer cannot be reached or is busy";
        let page =
            format!("not ready\napp {SCOPE}: {stands}\napp https://search.azure.com/.default: {stands}\n{FIRST}");
        assert_eq!(world.admin("/health/ready").await, (503, page));
        let (fetched, failed, held) = counted(&world).await;
        assert_eq!((fetched, failed > 0, held), (0, true, false));

        world.emulator.clear_faults();
        world.gateway.logged(of_chat(FETCHED)).await;
        // It is ready when it has the other one, too.
        world.gateway.logged(|line| line["message"] == FETCHED && line["scope"] != SCOPE).await;
        assert_eq!(chat(&world).await.status, 200);
        let (status, page) = world.admin("/health/ready").await;
        assert_eq!(status, 200, "{page}");
        assert!(page.starts_with(&format!("ready\napp {SCOPE}: token valid for ")), "{page}");
        let (fetched, _, held) = counted(&world).await;
        assert_eq!((fetched, held), (1, true));
    });
    worlds.collect::<JoinSet<()>>().join_all().await;
}

#[tokio::test]
async fn an_entra_that_cannot_be_reached_is_a_503() {
    let plan = Plan {
        // Nobody listens on port 1.
        settings: Box::new(|text, emulator| text.replace(&emulator.entra(), "https://127.0.0.1:1")),
        ..chat_alone(HOUR)
    };
    let world = plan.start().await;
    is_unavailable(&chat(&world).await);
    let line = world.gateway.logged(of_chat(NO_TOKEN)).await;
    let azures_own = |line: &Value| line["message"].as_str().is_some_and(|message| message.starts_with("<=="));
    assert!(!world.gateway.log().iter().any(azures_own), "it is told once, in our words: {:?}", world.gateway.log());
    let why = line["why"].as_str().unwrap();
    assert!(why.contains("Connection refused"), "{why}");
}

/// A hundred requests wait for one fetch together, not one after another; those that come later do not wait at all,
/// though Entra hangs as before.
#[tokio::test]
async fn an_entra_that_hangs_is_a_503_in_bounded_time_for_everybody() {
    let world = where_entra_answers(chat_alone(HOUR), Fault::named("stall")).start().await;
    let begun = Instant::now();
    let mut first: JoinSet<_> = (0..100).map(|_| a_chat(&world).json(&saying("hello"))).collect();
    let first = async {
        while let Some(answer) = first.join_next().await {
            is_unavailable(&answer.unwrap());
        }
    };
    tokio::time::timeout(LIMIT, first).await.expect("one wait for all, and no queue");
    let line = world.gateway.logged(of_chat(NO_TOKEN)).await;
    assert_eq!(line["why"], "no token within 10s, the last that was seen: no answer");

    let later = async {
        for _ in 0..100 {
            is_unavailable(&chat(&world).await);
        }
    };
    tokio::time::timeout(LIMIT, later).await.expect("a failure that is remembered");
    let fetches = world.token_calls() as u64;
    assert!(fetches <= 2 + begun.elapsed().as_secs() / 10, "{fetches} fetches");
}

// With one.

/// Entra fails at least three times from the moment that a refresh falls due: nobody notices but the operator.
#[tokio::test]
async fn an_outage_within_the_life_of_the_token_fails_no_request() {
    let faults = ["503", "html", "html-200", "blank-token", "reset"].map(Fault::named).into_iter();
    let faults = faults.chain([Fault::named("429").retry_after(3600)]);
    let worlds = faults.map(|fault| async move {
        let world = chat_alone(Duration::from_secs(20)).start().await;
        assert_eq!(chat(&world).await.status, 200);
        world.emulator.next(Plane::Entra, fault, 9999).unwrap();
        let load = async {
            let mut pace = interval(Duration::from_millis(50));
            loop {
                pace.tick().await;
                let answer = chat(&world).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        };
        // Until the new token is in use, and until the old one would have expired.
        let over = async {
            world.gateway.logged(of_chat(OLD_ONE_SERVES)).await;
            let (status, page) = world.admin("/health/ready").await;
            assert_eq!(status, 200);
            assert!(page.starts_with(&format!("ready\napp {SCOPE}: token valid for ")), "{page}");
            assert!(page.ends_with(&format!(" s, its refresh fails\n{FIRST}")), "{page}");
            world.gateway.logged_times(3, of_chat(OLD_ONE_SERVES)).await;
            world.emulator.clear_faults();
            let old = world.arrived()[0].header("authorization").map(str::to_owned);
            let new = |entry: &Entry| entry.door.is_some() && entry.header("authorization") != old.as_deref();
            world.emulator.journal().wait_for(new, LIMIT).await.expect("a new token");
        };
        tokio::select! {
            () = load => {}
            () = over => {}
        }
        let (fetched, failed, held) = counted(&world).await;
        assert_eq!((fetched, failed >= 3, held), (2, true, true));
        assert_eq!(times_logged(&world, OLD_ONE_SERVES) as u64, failed);
        assert_eq!(times_logged(&world, NO_TOKEN), 0);
    });
    worlds.collect::<JoinSet<()>>().join_all().await;
}

/// An outage that outlasts the token: a 503 as long as it lasts. The gateway remains ready, since another one would be
/// no better off.
#[tokio::test]
async fn an_outage_beyond_the_life_of_the_token_is_a_503_until_it_is_over() {
    let world = chat_alone(Duration::from_secs(10)).start().await;
    assert_eq!(chat(&world).await.status, 200);
    world.emulator.next(Plane::Entra, Fault::named("reset"), 9999).unwrap();
    world.gateway.logged(of_chat(NO_TOKEN)).await;
    is_unavailable(&chat(&world).await);
    let page = format!("ready\napp {SCOPE}: no token: its issuer cannot be reached or is busy\n{FIRST}");
    assert_eq!(world.admin("/health/ready").await, (200, page));
    let (_, failed, held) = counted(&world).await;
    assert_eq!((failed > 1, held), (true, false));

    world.emulator.set_token_life(HOUR);
    world.emulator.clear_faults();
    world.gateway.logged(|line| of_chat(FETCHED)(line) && line["life_s"].as_u64() > Some(60)).await;
    assert_eq!(chat(&world).await.status, 200);
}

#[tokio::test]
async fn a_refresh_that_hangs_holds_nobody_up() {
    let world = chat_alone(Duration::from_secs(20)).start().await;
    assert_eq!(chat(&world).await.status, 200);
    world.emulator.next(Plane::Entra, Fault::named("stall"), 1).unwrap();
    let hanging = world.emulator.journal().wait_for(|entry| entry.plane == Plane::Entra && entry.sequence > 2, LIMIT);
    let hanging = hanging.await.expect("a refresh");
    assert_eq!(chat(&world).await.status, 200);
    let entries = world.emulator.journal().entries();
    assert!(!entries.iter().any(|entry| entry.sequence == hanging.sequence && entry.ended), "it hangs no more");
}

// With one that Azure does not take.

/// The token was revoked: one refresh, one replay, and the client sees nothing of it.
#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_replaced_and_the_request_replayed() {
    let world = World::start().await;
    assert_eq!(chat(&world).await.status, 200);
    assert_eq!(search(&world).await.status, 200);
    let before = world.token_calls();
    world.emulator.revoke_tokens();
    let answer = chat(&world).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = search(&world).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.token_calls(), before + 2, "one for each scope");
    let statuses: Vec<_> = world.arrived().iter().map(|entry| entry.status.unwrap()).collect();
    assert_eq!(statuses, [200, 200, 401, 200, 401, 200]);
}

/// Whatever is wrong with the token, another one does not help: told, and not asked for again within a minute.
#[tokio::test]
async fn a_token_that_is_never_taken_costs_one_refresh() {
    let options = Options { bearer_refusal: SearchBearerRefusal::Challenge401, ..Options::default() };
    let world = Plan { options, ..Plan::default() }.start().await;
    assert_eq!(chat(&world).await.status, 200);
    assert_eq!(search(&world).await.status, 200);
    let before = world.token_calls();
    world.emulator.next(Plane::OpenAi, Fault::named("A1.2"), 99).unwrap();
    world.emulator.next(Plane::Search, Fault::named("B1.4"), 99).unwrap();
    for _ in 0..5 {
        is_not_taken(&chat(&world).await);
        is_not_taken(&search(&world).await);
    }
    assert_eq!(world.token_calls(), before + 2, "one forced refresh for each scope");
}

/// A body that was too long to keep cannot be replayed: the client is told, and whoever comes next has a new token.
#[tokio::test]
async fn a_request_that_was_not_kept_is_not_replayed_and_still_asks_for_a_token() {
    let world = World::start().await;
    assert_eq!(chat(&world).await.status, 200);
    world.emulator.revoke_tokens();
    let long = "x".repeat(70_000);
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying(&long)).await;
    assert_eq!((answer.status.as_u16(), answer.reason()), (502, "upstream-authentication"));
    assert_eq!(chat(&world).await.status, 200);
    let statuses: Vec<_> = world.arrived().iter().map(|entry| entry.status.unwrap()).collect();
    assert_eq!(statuses, [200, 401, 200]);
}

#[tokio::test]
async fn a_token_that_came_expired_or_for_another_audience_is_replaced_before_anybody_notices() {
    for flaw in ["expired-token", "wrong-audience"] {
        let plan = Plan {
            before: Box::new(move |emulator| emulator.next(Plane::Entra, Fault::named(flaw), 1).unwrap()),
            ..chat_alone(HOUR)
        };
        let world = plan.start().await;
        let answer = chat(&world).await;
        assert_eq!(answer.status, 200, "{flaw}: {}", answer.text());
        let statuses: Vec<_> = world.arrived().iter().map(|entry| entry.status.unwrap()).collect();
        assert_eq!((statuses, world.token_calls()), (vec![401, 200], 2), "{flaw}");
    }
}

/// A wrong scope in the settings, under load: every request is told, none is sent more than twice, and Entra is asked
/// once a minute for what will not help.
#[tokio::test]
async fn a_wrong_audience_under_load_costs_one_refresh_a_minute_and_at_most_one_replay_each() {
    let begun = Instant::now();
    let world = where_entra_answers(chat_alone(HOUR), Fault::named("wrong-audience")).start().await;
    for answer in paced(&world, 200).await {
        is_not_taken(&answer);
    }
    let fetches = world.token_calls() as u64;
    assert!((2..=2 + begun.elapsed().as_secs() / 60).contains(&fetches), "{fetches} fetches");

    let mut sent: HashMap<_, usize> = HashMap::new();
    for entry in world.arrived() {
        *sent.entry(entry.header("x-ms-client-request-id").unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(sent.len(), 200);
    assert!(sent.values().all(|times| *times <= 2), "{sent:?}");
}

#[tokio::test]
async fn a_refused_token_that_comes_back_the_same_is_not_sent_again() {
    let tokens = FixedTokens { openai: "the-token-of-chat".to_owned(), search: "the-token-of-search".to_owned() };
    let plan = chat_alone(HOUR);
    let options = Options { fixed_tokens: Some(tokens), ..plan.options };
    let world = Plan { options, ..plan }.start().await;
    assert_eq!(chat(&world).await.status, 200);
    world.emulator.next(Plane::OpenAi, Fault::named("A1.2"), 3).unwrap();
    for _ in 0..3 {
        is_not_taken(&chat(&world).await);
    }
    assert_eq!(world.arrived().len(), 4, "no replay");
    assert_eq!(world.token_calls(), 2, "it was asked for once");
    assert_eq!(counted(&world).await, (2, 0, true));
    assert_eq!(chat(&world).await.status, 200);
}

/// A missing role is not cured by a token: no refresh, no replay, however many ask.
#[tokio::test]
async fn a_missing_role_under_load_causes_no_refresh() {
    let world = chat_alone(HOUR).start().await;
    assert_eq!(chat(&world).await.status, 200);
    world.emulator.set_role(&world.emulator.app().object_id, Role::OpenAiUser, false);
    for answer in paced(&world, 200).await {
        assert_eq!((answer.status.as_u16(), answer.reason()), (403, "upstream-permission"));
    }
    assert_eq!((world.arrived().len(), world.token_calls()), (201, 1));
}

/// So many chats, one every few milliseconds, each with a number of its own.
async fn paced(world: &World, number: usize) -> Vec<Answer> {
    let mut pace = interval(Duration::from_millis(5));
    let mut answers = JoinSet::new();
    for n in 0..number {
        pace.tick().await;
        answers.spawn(a_chat(world).header("x-ms-client-request-id", &n.to_string()).json(&saying("hello")));
    }
    answers.join_all().await
}
