//! A day in production, in ten minutes: a crowd of clients over every protocol, while tokens live for ten seconds, Entra
//! is down now and then, Azure resets connections, and everything changes that can change. Nothing fails that could have
//! been served, nothing is kept that nobody needs, and all books agree. It is the binary as it is shipped: what it keeps is
//! what its users see.
//!
//! What happens follows from a seed, which is printed; `KEYSWAP_SEED` has it happen again.

pub(crate) mod caller;
mod dice;
mod errand;
mod ledger;
mod load;
mod outages;
mod reloads;
mod replicas;
mod summary;
mod talk;
mod tokens;
mod vitals;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_emulator::{Door, Emulator, Options};
use tokio::time::Instant;

use crate::client::{raw, request_text};
use crate::gateway::{Gateway, LIMIT};
use crate::shipped::shipped;
use crate::world::{self, app_identity};
use caller::Place;
use dice::Dice;
use ledger::Ledger;
use load::{Crowd, Load};
use reloads::Changes;
use summary::Summary;
use tokens::{Book, Causes};
use vitals::Open;

/// How long it takes, and what happens meanwhile.
#[derive(Clone, Copy, Debug)]
struct Course {
    length: Duration,
    /// How long a token lives. It is refreshed when half of that has passed, and has to outlast an outage then.
    token_life: Duration,
    crowd: Crowd,
    changes: u32,
}

/// By how much the most memory of the second half may exceed that of the first, in KiB: what an allocator's caches come
/// to, and the chance that more clients upload at the same moment.
const MARGIN: u64 = 8 * 1024;

/// Those who play besides the clients.
const PLAYER_OF_OUTAGES: u64 = 1 << 32;
const PLAYER_OF_CHANGES: u64 = 2 << 32;

/// The seed of this run: the one that is asked for, or another each time.
#[expect(clippy::print_stdout, reason = "whoever sees a failure needs it")]
fn seed() -> u64 {
    let asked = std::env::var("KEYSWAP_SEED").ok();
    let seed = asked.map_or_else(
        || u64::from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos()),
        |seed| seed.parse().expect("KEYSWAP_SEED is a number"),
    );
    println!("KEYSWAP_SEED={seed}");
    seed
}

/// Azure, with tokens that live for a moment, and room in its journal for everything.
async fn azure(token_life: Duration) -> Arc<Emulator> {
    let options =
        Options { token_life, stream_pause: Duration::from_millis(10), journal_limit: 1_000_000, ..Options::default() };
    Arc::new(Emulator::start(options).await.unwrap())
}

/// The usual settings, with an identity more: queries ride one that can only read.
fn settings(emulator: &Emulator) -> String {
    let usual = world::settings(emulator, Door::Behind);
    let (rest, search) = usual.split_once("[resources.search]\n").expect("a resource of Search");
    let search = search.replace("\"app\"", "{ read = \"reader\", write = \"app\", manage = \"app\" }");
    let rest = rest.replace("[guessing]\n", "[guessing]\ndelay = \"250ms\"\n");
    let reader = app_identity("reader", &emulator.reader_app(), &emulator.entra());
    format!("{rest}{reader}[resources.search]\n{search}[timeouts]\nconnect = \"10s\"\nidle = \"3s\"\n")
}

/// The usual keys, with everything granted.
fn keys(emulator: &Emulator) -> String {
    world::keys(emulator).replace("{ resource = \"ai\" }", "{ resource = \"ai\", allow = [\"openai\"] }")
}

/// Waits until a gateway has every token.
async fn ready(gateway: &Gateway) {
    let ready = async {
        while page(gateway, "/health/ready").await.contains("no token yet") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, ready).await.expect("it is ready");
}

/// A page of the admin address, head and all, over a connection of its own.
async fn page(gateway: &Gateway, path: &str) -> String {
    raw(gateway.admin, &request_text("GET", path, &[])).await
}

async fn endure(course: Course) {
    // It may have to be built, and that is no part of the course.
    let binary = shipped().await;
    let seed = seed();
    let emulator = azure(course.token_life).await;
    let directory = world::files(&emulator, &settings(&emulator), &keys(&emulator));
    let authority = reloads::make_certificates(directory.path());
    let begun = Instant::now();
    let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
    let gateway = Gateway::start_of(&binary, directory.clone(), &arguments, &[]).await;
    ready(&gateway).await;
    let at_start = Open::at_rest(gateway.id()).await;
    let ca_pem = [emulator.ca_pem(), &authority].concat().into();
    let place = Place { http: gateway.http, https: gateway.https.unwrap(), ca_pem };

    let running = Load::begin(&emulator, &place, course.crowd, seed);
    let changes = Changes::new(&gateway, &place, directory.path());
    let (outages, changes, memory) = tokio::join!(
        outages::go_on(&emulator, course.length, Dice::new(seed, PLAYER_OF_OUTAGES)),
        changes.go_on(course.changes, course.length, Dice::new(seed, PLAYER_OF_CHANGES)),
        vitals::watch_memory(gateway.id(), course.length),
    );
    let memories = running.end().await;

    let lines = gateway.all_told(memories.len()).await;
    let at_end = at_start.again(gateway.id()).await;
    let metrics = page(&gateway, "/metrics").await;
    // Tokens are fetched still: whatever the log tells of has arrived.
    let log = gateway.log();
    let (planes, entra) = emulator.journal().entries().into_iter().partition(|entry| entry.door.is_some());
    let ledger = Ledger { memories, lines, arrived: planes };
    let balance = ledger.balance();
    let asked = changes.asked_for_tokens.clone();
    let causes = Causes { life: course.token_life, length: begun.elapsed(), outages, changes: asked };
    let mut tokens = Book::read(&log, &causes);
    tokens.compare(&entra, &metrics, &causes);

    let mut wrong = [balance.wrong.clone(), ledger.disagreements(&metrics), tokens.wrong].concat();
    if at_end != at_start {
        let connections = vitals::connections(gateway.id());
        wrong.push(format!("open at the start: {at_start:?}, at the end: {at_end:?}: {connections:?}"));
    }
    if memory.second_half > memory.first_half + MARGIN {
        wrong.push(format!("memory has grown: {memory:?}"));
    }
    let violations = emulator.journal().violations();
    wrong.extend(violations.iter().map(|entry| format!("a client's credential has arrived: {entry:?}")));
    Summary { seed, course, ledger, balance, outages, changes, calls: tokens.calls, memory, open: (at_start, at_end) }
        .print();
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

/// A scaled form of what `make soak` does, with some more time for a machine that has other tests to run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_minute_of_everything_fails_no_request() {
    let crowd = Crowd { callers_of_a_kind: 2, talkers: 3, pause: Duration::from_millis(300), troubled: 100 };
    endure(Course { length: Duration::from_secs(25), token_life: Duration::from_secs(12), crowd, changes: 10 }).await;
}

/// `make soak`: ten minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: make soak"]
async fn soak_ten_minutes_of_everything_fail_no_request() {
    let crowd = Crowd { callers_of_a_kind: 3, talkers: 6, pause: Duration::from_millis(300), troubled: 60 };
    endure(Course { length: Duration::from_secs(600), token_life: Duration::from_secs(10), crowd, changes: 100 }).await;
}

/// How long a rehearsal takes.
const REHEARSAL: Duration = Duration::from_secs(20);

/// What the compiler learns from, when `make guided` builds the binary for what it does most: the crowd at its fastest,
/// on a build that counts. It is there to be counted, and judges no more than that clients had their answers and that the
/// process ended as it should, since the counts are written then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make guided runs it, on the build that KEYSWAP_REHEARSING names"]
async fn rehearsal() {
    let binary = std::env::var_os("KEYSWAP_REHEARSING").expect("KEYSWAP_REHEARSING is the path of a build that counts");
    let emulator = azure(Duration::from_secs(3600)).await;
    let directory = world::files(&emulator, &settings(&emulator), &keys(&emulator));
    let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
    let mut gateway = Gateway::start_of(Path::new(&binary), directory, &arguments, &[]).await;
    ready(&gateway).await;
    let place = Place { http: gateway.http, https: gateway.https.unwrap(), ca_pem: emulator.ca_pem().into() };
    let crowd = Crowd { callers_of_a_kind: 3, talkers: 2, pause: Duration::ZERO, troubled: 5 };

    let running = Load::begin(&emulator, &place, crowd, 1);
    tokio::time::sleep(REHEARSAL).await;
    let memories = running.end().await;

    let answered = memories.iter().filter(|memory| memory.fits).count();
    assert!(answered * 10 > memories.len() * 8, "{answered} of {} had their answers", memories.len());
    gateway.signal("TERM");
    assert!(gateway.ended().await.success(), "{:?}", gateway.log());
}
