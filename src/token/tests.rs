//! Hours of a token's life in no time: tokio's clock is paused, the wall clock is the test's to move, and the issuer
//! follows a script. The rest of it is the real thing. What Entra really answers is tests/it's affair.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::issuer::{Denial, Issue};
use super::*;
use crate::egress::Egress;
use crate::settings::Timeouts;

const SETTINGS: &str = r#"
keys = "keys.toml"
[egress]
no_proxy = ["corp"]
proxy = "http://127.0.0.1:1"
[identities.app]
kind = "managed-identity"
[resources.ai]
endpoint = "https://ai.openai.azure.com"
identity = "app"
"#;

const IDENTITY: &str = "app";
const SCOPE: &str = "scope";

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Tokens of one purpose, kept from a script.
struct World {
    tokens: Arc<Tokens>,
    script: Script,
    wall: Wall,
    kept: Keeper,
}

/// A wall clock that goes as tokio's does, and can be moved.
#[derive(Clone)]
struct Wall {
    begun: Instant,
    moved: Arc<AtomicI64>,
}

/// An issuer that does what is written for its first fetch, its second, and so on.
#[derive(Clone)]
struct Script {
    step: fn(usize) -> Step,
    clock: Clock,
    /// When it was asked.
    asked: Arc<Mutex<Vec<Instant>>>,
}

struct Step {
    takes: Duration,
    /// A token that lives an hour, if any.
    gives: Option<String>,
}

fn gives(token: &str) -> Step {
    Step { takes: Duration::ZERO, gives: Some(token.to_owned()) }
}

/// Gives another token each time.
fn numbered(number: usize) -> Step {
    gives(&number.to_string())
}

fn fails() -> Step {
    Step { takes: Duration::ZERO, gives: None }
}

impl Step {
    fn within(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }
}

impl Issue for Script {
    async fn fetch(&self, _: &str) -> Result<Token, Denial> {
        let number = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(Instant::now());
            asked.len() - 1
        };
        let Step { takes, gives } = (self.step)(number);
        sleep(takes).await;
        let token = gives.ok_or_else(|| Denial::unavailable("as written"))?;
        Ok(Token { header: HeaderValue::from_str(&token).unwrap(), expires: self.clock.now().after(HOUR) })
    }
}

impl Wall {
    /// Moves the clock on, or back.
    fn moves(&self, seconds: i64) {
        self.moved.fetch_add(seconds, Ordering::Relaxed);
    }

    fn now(&self) -> SystemTime {
        let shown = SystemTime::UNIX_EPOCH + 10_000 * HOUR + self.begun.elapsed();
        let moved = self.moved.load(Ordering::Relaxed);
        let by = Duration::from_secs(moved.unsigned_abs());
        if moved < 0 { shown - by } else { shown + by }
    }
}

impl World {
    fn of(step: fn(usize) -> Step) -> Self {
        let wall = Wall { begun: Instant::now(), moved: Arc::default() };
        let shown = wall.clone();
        let clock = Clock::with_wall(move || shown.now());
        let purpose = Purpose { identity: IDENTITY.into(), scope: SCOPE.into() };
        let tokens = Arc::new(Tokens::of([purpose].into_iter(), clock.clone()));
        let script = Script { step, clock, asked: Arc::default() };
        let mut kept = Keeper::new(Egress::new(&Default::default(), Timeouts::DEFAULT.egress).unwrap());
        kept.keep_from(&tokens, |_| Some(script.clone()));
        Self { tokens, script, wall, kept }
    }

    async fn bearer(&self) -> Result<Bearer, Failure> {
        self.tokens.bearer_for(IDENTITY, SCOPE).await
    }

    /// The token that a request rides now.
    async fn token(&self) -> Result<String, Failure> {
        self.bearer().await.map(text)
    }

    /// So many requests at once.
    fn requests(&self, number: usize) -> JoinSet<Result<String, Failure>> {
        let tokens = &self.tokens;
        let one = || {
            let tokens = tokens.clone();
            async move { tokens.bearer_for(IDENTITY, SCOPE).await.map(text) }
        };
        (0..number).map(|_| one()).collect()
    }

    /// When the issuer was asked.
    fn asked(&self) -> Vec<Instant> {
        self.script.asked.lock().unwrap().clone()
    }

    /// How long the issuer was left alone between one fetch and the next.
    fn pauses(&self) -> Vec<Duration> {
        self.asked().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map")]
fn text(bearer: Bearer) -> String {
    bearer.header().to_str().unwrap().to_owned()
}

fn about(seen: Duration, wanted: Duration) -> bool {
    // A timer goes off at a whole millisecond.
    seen.abs_diff(wanted) <= Duration::from_millis(2)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_at_half_of_its_life_and_at_no_other_time() {
    let world = World::of(numbered);
    sleep(24 * HOUR).await;
    let pauses = world.pauses();
    assert!(pauses.len() > 40, "{pauses:?}");
    assert!(pauses.iter().all(|pause| (27 * MINUTE..=33 * MINUTE + SECOND).contains(pause)), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_the_old_token_serves_to_its_last_second_and_the_issuer_is_asked_by_the_rule() {
    let world = World::of(|number| if number == 0 { gives("old") } else { fails() });
    let begun = Instant::now();
    while begun.elapsed() < HOUR {
        assert_eq!(world.token().await.as_deref(), Ok("old"), "after {:?}", begun.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.token().await, Err(Failure::TokenUnavailable { cure: None }));

    sleep(10 * SECOND).await;

    let asked = world.asked();
    let (living, after): (Vec<_>, Vec<_>) = asked[1..].windows(2).partition(|pair| pair[0] < begun + HOUR);
    for pair in living {
        let left = HOUR - (pair[0] - begun);
        let rule = (left / 10).clamp(Duration::from_millis(100), 30 * SECOND);
        assert!(about(pair[1] - pair[0], rule), "{left:?} before the end: {:?}", pair[1] - pair[0]);
    }
    // However long it has lasted, it is over soon after the issuer is well again.
    let after: Vec<_> = after.iter().map(|pair| pair[1] - pair[0]).collect();
    assert!(about(after[0], SECOND / 2) && about(after[1], SECOND), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_token_the_issuer_is_asked_less_and_less_and_nobody_queues() {
    let world = World::of(|number| if number < 7 { fails().within(SECOND) } else { gives("at last") });
    let begun = Instant::now();
    let mut first = world.requests(100);
    while let Some(answer) = first.join_next().await {
        assert_eq!(answer.unwrap(), Err(Failure::TokenUnavailable { cure: None }));
    }
    assert!(about(begun.elapsed(), SECOND), "they waited for one fetch: {:?}", begun.elapsed());
    // Later ones are answered at once, between two fetches and during one.
    while world.asked().len() < 8 {
        let asked = Instant::now();
        assert_eq!(world.token().await, Err(Failure::TokenUnavailable { cure: None }));
        assert_eq!(asked.elapsed(), Duration::ZERO);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.token().await.as_deref(), Ok("at last"));
    let waits: Vec<_> = world.pauses().iter().map(|pause| *pause - SECOND).collect();
    for (wait, rule) in waits.into_iter().zip([500, 1000, 2000, 4000, 5000, 5000, 5000]) {
        assert!(about(wait, Duration::from_millis(rule)), "{wait:?} instead of {rule} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_limit_for_a_fetch_that_does_not_end() {
    let world = World::of(|_| gives("too late").within(HOUR));
    let begun = Instant::now();
    let mut waiting = world.requests(100);
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap(), Err(Failure::TokenUnavailable { cure: None }));
        assert!(about(begun.elapsed(), WAIT_LIMIT), "{:?}", begun.elapsed());
    }
}

/// The machine slept, and the steady clock with it: the token is gone, the task does not know, and requests come before
/// and during the fetch that they cause.
#[tokio::test(start_paused = true)]
async fn after_a_sleep_requests_wait_for_a_new_token_which_is_fetched_once() {
    let world = World::of(|number| numbered(number).within(SECOND));
    assert_eq!(world.token().await.as_deref(), Ok("0"));
    world.wall.moves(2 * 3600);
    let mut waiting = world.requests(50);
    sleep(SECOND / 2).await;
    let mut late = world.requests(50);
    while let Some(answer) = waiting.join_next().await {
        assert_eq!(answer.unwrap().as_deref(), Ok("1"));
    }
    while let Some(answer) = late.join_next().await {
        assert_eq!(answer.unwrap().as_deref(), Ok("1"));
    }
    sleep(20 * MINUTE).await;
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_the_token_is_fetched_soon_even_if_nobody_asks() {
    let world = World::of(numbered);
    assert_eq!(world.token().await.as_deref(), Ok("0"));
    world.wall.moves(2 * 3600);
    assert_eq!(world.tokens.standings()[0].left, None);
    sleep(31 * SECOND).await;
    assert_eq!(world.asked().len(), 2);
}

/// The wall clock says that a day of life is left; it is not believed.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_prolongs_no_life_and_spins_nothing() {
    let world = World::of(|number| if number == 1 { fails() } else { numbered(number) });
    assert_eq!(world.token().await.as_deref(), Ok("0"));
    world.wall.moves(-24 * 3600);
    sleep(34 * MINUTE).await;
    assert_eq!(world.token().await.as_deref(), Ok("2"), "it was refreshed in time");
    assert_eq!(world.asked().len(), 3);

    let world = World::of(|number| if number == 0 { gives("old") } else { fails() });
    assert_eq!(world.token().await.as_deref(), Ok("old"));
    world.wall.moves(-24 * 3600);
    sleep(HOUR - SECOND).await;
    assert_eq!(world.token().await.as_deref(), Ok("old"));
    sleep(SECOND).await;
    assert_eq!(world.token().await, Err(Failure::TokenUnavailable { cure: None }));
    let pauses = world.pauses();
    assert!(pauses.iter().all(|pause| *pause >= Duration::from_millis(100)), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_whose_token_is_refused_share_one_fetch() {
    let world = World::of(|number| numbered(number).within(SECOND));
    let refused = world.bearer().await.unwrap();
    let mut replaced = JoinSet::new();
    for _ in 0..100 {
        let (tokens, refused) = (world.tokens.clone(), refused.clone());
        replaced.spawn(async move { tokens.replace(&refused).await.map(text) });
    }
    while let Some(bearer) = replaced.join_next().await {
        assert_eq!(bearer.unwrap().as_deref(), Some("1"));
    }
    // One that comes late finds it done.
    assert_eq!(world.tokens.replace(&refused).await.map(text).as_deref(), Some("1"));
    sleep(20 * MINUTE).await;
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_all_refused_cause_one_fetch_a_minute() {
    // Whether the issuer gives another token each time or always the same.
    for step in [numbered as fn(usize) -> Step, |_| gives("the same")] {
        let world = World::of(step);
        let begun = Instant::now();
        while begun.elapsed() < 5 * MINUTE {
            let refused = world.bearer().await.unwrap();
            drop(world.tokens.replace(&refused).await);
            sleep(SECOND / 10).await;
        }
        let pauses = world.pauses();
        assert_eq!(pauses.len(), 5, "{pauses:?}");
        assert!(pauses[1..].iter().all(|pause| *pause >= MINUTE), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_token_again_is_no_failure_and_no_replacement() {
    let world = World::of(|_| gives("the same"));
    let refused = world.bearer().await.unwrap();
    assert!(world.tokens.replace(&refused).await.is_none());
    assert_eq!(world.asked().len(), 2, "it was asked for");
    let standing = &world.tokens.standings()[0];
    assert_eq!((&standing.outcome, standing.fetched, standing.failed), (&Outcome::Fresh, 2, 0));
    assert_eq!(world.token().await.as_deref(), Ok("the same"));
}

/// Whoever is refused while a fetch is under way anyway joins it, and may still ask for one if that does not help.
#[tokio::test(start_paused = true)]
async fn a_refused_token_joins_the_refresh_that_is_under_way() {
    let world = World::of(|number| numbered(number).within(SECOND));
    let refused = world.bearer().await.unwrap();
    while world.asked().len() < 2 {
        sleep(SECOND / 10).await;
    }
    let joined = world.tokens.replace(&refused).await.unwrap();
    assert_eq!((text(joined.clone()).as_str(), world.asked().len()), ("1", 2));
    assert_eq!(world.tokens.replace(&joined).await.map(text).as_deref(), Some("2"));
    sleep(20 * MINUTE).await;
    assert_eq!(world.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_leaves_an_issuer_in_trouble_alone() {
    let world = World::of(|number| if number == 0 { gives("refused") } else { fails().within(SECOND) });
    let refused = world.bearer().await.unwrap();
    sleep(34 * MINUTE).await;
    let before = world.asked().len();
    assert!(before > 1, "the outage has begun");
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(world.tokens.replace(&refused).await.is_none());
    }
    assert_eq!((begun.elapsed(), world.asked().len()), (Duration::ZERO, before));
}

/// The server waits for this, and ends the process.
#[tokio::test(start_paused = true)]
async fn a_control_task_that_ends_is_noticed() {
    let mut world = World::of(|number| if number == 0 { gives("the last") } else { panic!("as written") });
    assert_eq!(world.token().await.as_deref(), Ok("the last"));
    world.kept.broken().await;
}

/// Also one whose task had ended before, since another way out had all begin anew.
#[tokio::test(start_paused = true)]
async fn nothing_stays_of_a_token_that_nobody_needs_any_more() {
    let mut world = World::of(numbered);
    assert_eq!(world.token().await.as_deref(), Ok("0"));
    let none =
        Tokens { slots: HashMap::default(), cache: world.tokens.cache.clone(), clock: world.tokens.clock.clone() };
    let settings = Settings::parse(Path::new("keyswap.toml"), SETTINGS).unwrap();
    let another = Egress::new(&settings.egress, settings.timeouts.egress).unwrap();
    world.kept.keep(&none, &settings, &another);
    world.kept.retire(&none);
    assert_eq!(none.cache.iter().count(), 0);
}
