//! Clients that run one errand after the other, until they are told to stop.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_emulator::{ClientKeys, Emulator, Fault, Plane};
use keyswap::keys::Digest;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::caller::{Caller, End, FRONTS, Front, Place, Seen};
use super::dice::Dice;
use super::errand::{Errand, Trouble};
use super::talk::Talk;

/// How many clients there are, and how busy they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    /// Over each front as many that keep their connection as such that do not.
    pub(super) callers_of_a_kind: usize,
    pub(super) talkers: usize,
    /// The longest pause between two errands of a client.
    pub(super) pause: Duration,
    /// How many errands of a thousand meet trouble on Azure's side.
    pub(super) troubled: u64,
}

/// What a client remembers of an errand.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) name: String,
    pub(super) errand: Errand,
    pub(super) front: Front,
    pub(super) trouble: Option<Trouble>,
    /// The length and the SHA-256 of what it sent.
    pub(super) sent: usize,
    pub(super) digest: String,
    pub(super) status: Option<u16>,
    pub(super) request: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) received: usize,
    /// Whether the answer is the one to this request and no other.
    pub(super) fits: bool,
    pub(super) end: End,
    pub(super) took: Duration,
}

/// The clients of a gateway.
pub(super) struct Load {
    emulator: Arc<Emulator>,
    place: Place,
    keys: ClientKeys,
    crowd: Crowd,
    seed: u64,
    stop: CancellationToken,
    memories: Mutex<Vec<Memory>>,
}

/// A load that runs.
pub(super) struct Running {
    load: Arc<Load>,
    clients: JoinSet<()>,
}

/// How many words a talk has at most.
const WORDS: u64 = 5;

impl Load {
    /// Begins; what the clients do follows from the seed.
    pub(super) fn begin(emulator: &Arc<Emulator>, place: &Place, crowd: Crowd, seed: u64) -> Running {
        let load = Arc::new(Self {
            emulator: emulator.clone(),
            place: place.clone(),
            keys: emulator.keys(),
            crowd,
            seed,
            stop: CancellationToken::new(),
            memories: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for number in 0..crowd.callers_of_a_kind * FRONTS.len() * 2 {
            clients.spawn(load.clone().call_on_and_on(number));
        }
        for number in 0..crowd.talkers {
            clients.spawn(load.clone().talk_on_and_on(1000 + number));
        }
        Running { load, clients }
    }

    async fn call_on_and_on(self: Arc<Self>, number: usize) {
        let mut dice = Dice::new(self.seed, number as u64);
        let front = FRONTS[number % FRONTS.len()];
        let mut caller = Caller::new(&self.place, front, (number / FRONTS.len()).is_multiple_of(2));
        for turn in 0.. {
            let memory = self.run(&mut caller, &mut dice, format!("errand-{number}-{turn}")).await;
            self.memories.lock().unwrap().push(memory);
            if !self.goes_on_after(self.pause(&mut dice)).await {
                return;
            }
        }
    }

    async fn run(&self, caller: &mut Caller, dice: &mut Dice, name: String) -> Memory {
        let errand = Errand::draw(dice);
        let trouble = errand.draw_trouble(dice, self.crowd.troubled);
        let enough = dice.index(400);
        let mut plea = errand.plea(&name, &self.keys, dice);
        if let Some(trouble) = trouble {
            let mark = format!("trouble={name}.");
            let plane = if plea.target.starts_with("/openai") { Plane::OpenAi } else { Plane::Search };
            self.emulator.next(plane, trouble.fault().on(&mark), 1).unwrap();
            plea.target = format!("{}&{mark}", plea.target);
        }
        let begun = Instant::now();
        let enough = Some(enough).filter(|_| errand == Errand::LeftStream);
        let Seen { status, request, reason, body, end } = caller.ask(plea.request(&name), enough).await;
        let text = String::from_utf8_lossy(&body);
        let is_whole = errand != Errand::Stream || text.ends_with("data: [DONE]\n\n");
        Memory {
            name,
            errand,
            front: caller.front(),
            trouble,
            sent: plea.body.len(),
            digest: Digest::of(&plea.body).to_string(),
            status,
            request,
            reason,
            received: body.len(),
            fits: text.contains(&plea.expected) && is_whole,
            end,
            took: begun.elapsed(),
        }
    }

    async fn talk_on_and_on(self: Arc<Self>, number: usize) {
        let mut dice = Dice::new(self.seed, number as u64);
        for turn in 0.. {
            let name = format!("errand-{number}-{turn}");
            let words = 1 + dice.below(WORDS);
            let begun = Instant::now();
            let (request, end) = match Talk::open(&self.place, &name, &self.keys.openai).await {
                Ok((talk, request)) => {
                    let talked = talk.hold(&name, words, &mut dice, self.crowd.pause).await;
                    (Some(request), talked.map_or_else(End::BrokenOff, |()| End::Whole))
                }
                Err(why) => (None, End::NoAnswer(why)),
            };
            let memory = Memory {
                name,
                errand: Errand::Talk,
                front: Front::Http1OverTls,
                trouble: None,
                sent: 0,
                digest: Digest::of(b"").to_string(),
                status: request.is_some().then_some(101),
                request,
                reason: None,
                received: 0,
                fits: end == End::Whole,
                end,
                took: begun.elapsed(),
            };
            self.memories.lock().unwrap().push(memory);
            if !self.goes_on_after(self.pause(&mut dice)).await {
                return;
            }
        }
    }

    fn pause(&self, dice: &mut Dice) -> Duration {
        Duration::from_millis(dice.below(1 + u64::try_from(self.crowd.pause.as_millis()).unwrap()))
    }

    async fn goes_on_after(&self, pause: Duration) -> bool {
        tokio::select! {
            () = sleep(pause) => true,
            () = self.stop.cancelled() => false,
        }
    }
}

impl Running {
    /// Lets every client finish what it has begun; gives what all of them remember.
    pub(super) async fn end(self) -> Vec<Memory> {
        self.load.stop.cancel();
        self.clients.join_all().await;
        std::mem::take(&mut *self.load.memories.lock().unwrap())
    }
}

impl Trouble {
    fn fault(self) -> Fault {
        match self {
            Self::HangsUp => Fault::named("hang-up"),
            Self::Resets => Fault::named("reset"),
            Self::Cuts(byte) => Fault::named("cut").at_byte(byte),
        }
    }
}
