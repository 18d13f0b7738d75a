//! What to answer next: faults wait in a queue until a request comes that they are for.
//!
//! A fault is named. Every plane knows some names of its own (the rows of `azure-wire.md`, see
//! [`names`]); the ways to break a connection are the same everywhere:
//!
//! | name | what the client sees |
//! |---|---|
//! | `stall` | the head never comes |
//! | `stall-mid-body` | the real answer up to byte `byte` of its body, then nothing |
//! | `cut` | the real answer up to `byte`, then a TCP reset (h2: RST_STREAM) |
//! | `truncate` | the same, then a FIN without TLS close_notify |
//! | `hang-up` | the real answer, then a FIN (h2: GOAWAY) that nothing announced |
//! | `close` | a FIN before any answer |
//! | `reset` | a TCP reset before any answer |
//! | `slow` | the real answer, `delay_ms` late |
//! | `clock` | the real answer, dated by a clock that is `seconds` ahead; behind, if they are negative |
//! | `close-frame` | over a websocket: a close with `code` after the first message |
//!
//! Over a websocket, bytes are those of our frames, and what ends at one of them ends after the message that it is in;
//! if none is said, after the first.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use crate::{Plane, entra, identity_endpoint, openai, search};

/// One thing to answer next, see the table above and [`names`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The name: `A1.12`, `wrong-secret`, `stall`.
    pub answer: String,
    /// Only for requests whose raw target contains this.
    #[serde(default)]
    pub path: Option<String>,
    /// For `cut`, `truncate` and `stall-mid-body`: after so many body bytes; by default half.
    #[serde(default)]
    pub byte: Option<usize>,
    /// The seconds of `Retry-After`, instead of those the answer has or has not.
    #[serde(default)]
    pub retry_after: Option<u64>,
    /// The milliseconds of `retry-after-ms`, instead of those the answer has or has not.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// For `slow`: how late, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// For `clock`: how far ahead it is, in seconds.
    #[serde(default)]
    pub seconds: i64,
    /// For `close-frame`: the code.
    #[serde(default)]
    pub code: u16,
    /// Answers before the request's body was read, and does not read it. Faults that begin with
    /// the real answer cannot do so.
    #[serde(default)]
    pub early: bool,
}

/// How a connection is broken, how late the answer is, or how it is dated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Stall,
    StallMidBody,
    Cut,
    Truncate,
    HangUp,
    Close,
    Reset,
    Slow,
    Clock,
    CloseFrame,
}

/// The name of a fault that the plane does not know.
#[derive(Debug)]
pub struct UnknownFault {
    plane: Plane,
    name: String,
}

/// Faults that wait for their request.
#[derive(Default)]
pub(crate) struct Faults {
    queue: Mutex<VecDeque<Waiting>>,
}

struct Waiting {
    plane: Plane,
    fault: Fault,
    times: u32,
}

/// All names that `plane` can answer by.
#[must_use]
pub fn names(plane: Plane) -> Vec<&'static str> {
    let own = match plane {
        Plane::OpenAi => &openai::FAULTS,
        Plane::Search => search::FAULTS,
        Plane::Entra => entra::FAULTS,
        Plane::Identity | Plane::Imds => identity_endpoint::FAULTS,
    };
    let transports = Transport::ALL.iter().map(|(name, _)| *name);
    own.iter().copied().chain(transports).collect()
}

// === impl Fault ===

impl Fault {
    /// The fault called `name`, for any path.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            answer: name.to_owned(),
            path: None,
            byte: None,
            retry_after: None,
            retry_after_ms: None,
            delay_ms: 0,
            seconds: 0,
            code: 0,
            early: false,
        }
    }

    /// Only for requests whose raw target contains `part`.
    #[must_use]
    pub fn on(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// After `byte` bytes of the answer's body.
    #[must_use]
    pub fn at_byte(mut self, byte: usize) -> Self {
        self.byte = Some(byte);
        self
    }

    /// With this many seconds in `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Before the request's body is read.
    #[must_use]
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// The real answer, this many milliseconds late.
    #[must_use]
    pub fn slow(milliseconds: u64) -> Self {
        let mut fault = Self::named("slow");
        fault.delay_ms = milliseconds;
        fault
    }

    /// The real answer, dated by a clock that is this many seconds ahead.
    #[must_use]
    pub fn clock(seconds: i64) -> Self {
        let mut fault = Self::named("clock");
        fault.seconds = seconds;
        fault
    }

    /// A websocket's close with this code.
    #[must_use]
    pub fn close_frame(code: u16) -> Self {
        let mut fault = Self::named("close-frame");
        fault.code = code;
        fault
    }

    pub(crate) fn reads_body(&self) -> bool {
        use Transport::{Close, Reset, Stall};
        !(self.early && matches!(self.transport(), None | Some(Stall | Close | Reset)))
    }

    pub(crate) fn transport(&self) -> Option<Transport> {
        Transport::ALL.iter().find_map(|(name, transport)| (*name == self.answer).then_some(*transport))
    }
}

// === impl Transport ===

impl Transport {
    const ALL: [(&'static str, Self); 10] = [
        ("stall", Self::Stall),
        ("stall-mid-body", Self::StallMidBody),
        ("cut", Self::Cut),
        ("truncate", Self::Truncate),
        ("hang-up", Self::HangUp),
        ("close", Self::Close),
        ("reset", Self::Reset),
        ("slow", Self::Slow),
        ("clock", Self::Clock),
        ("close-frame", Self::CloseFrame),
    ];
}

// === impl Faults ===

impl Faults {
    /// Queues `fault` for the next `times` requests to `plane`.
    pub(crate) fn push(&self, plane: Plane, fault: Fault, times: u32) -> Result<(), UnknownFault> {
        if !names(plane).contains(&fault.answer.as_str()) {
            return Err(UnknownFault { plane, name: fault.answer });
        }
        if times > 0 {
            self.queue().push_back(Waiting { plane, fault, times });
        }
        Ok(())
    }

    /// The first waiting fault for a request to `plane` at `target`.
    pub(crate) fn take(&self, plane: Plane, target: &str) -> Option<Fault> {
        let mut queue = self.queue();
        let place = queue.iter().position(|waiting| {
            let path = waiting.fault.path.as_deref();
            waiting.plane == plane && path.is_none_or(|part| target.contains(part))
        })?;
        let waiting = queue.get_mut(place)?;
        waiting.times -= 1;
        let fault = waiting.fault.clone();
        if waiting.times == 0 {
            queue.remove(place);
        }
        Some(fault)
    }

    /// Forgets what still waits.
    pub(crate) fn clear(&self) {
        self.queue().clear();
    }

    /// Forgets what still waits for a request to `plane`.
    pub(crate) fn clear_of(&self, plane: Plane) {
        self.queue().retain(|waiting| waiting.plane != plane);
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl UnknownFault ===

impl fmt::Display for UnknownFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} cannot answer `{}`; it can answer {}",
            self.plane,
            self.name,
            names(self.plane).join(", "),
        )
    }
}

impl std::error::Error for UnknownFault {}
