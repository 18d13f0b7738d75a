//! The guard of a body whose `model` decides whether its request may be: on `/openai/v1` and other paths that name no
//! deployment, for a key that was granted some deployments only.
//!
//! The body streams on as it comes, since some SDKs send `model` after 200 KB of messages. Its end is held back: the last
//! piece, and whatever closes the JSON or the form. It is let go when the body has ended, named one model, and that one
//! was granted; else the body ends in an error, which resets the upstream request. So no upstream ever has the whole of a
//! request whose condition does not hold.
//!
//! # What a body must be
//! JSON in UTF-8, or a multipart form; unencoded; with one `model` that every reader finds and reads alike (see [`model`]
//! and [`crate::json`]). It is read and never rewritten. Only the top level counts: what tools and data sources name
//! further down is between the model and its resource.
//!
//! What the head names besides must be granted, too: see [`DEPLOYMENT_HEADERS`].
//!
//! # Upstream's answer
//! An upstream that answers before the condition has held is heard if it refuses: an error completes nothing. Anything
//! else waits until the condition holds, though not forever, and is dropped if it does not. The guard's own verdict counts
//! more than what became of the upstream request, which it broke off itself: also where it falls while an error of the
//! upstream's is still being read.
//!
//! Which operations have a model in their body is a table in `route/openai/model.rs`.

mod model;
mod multipart;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::authorize::Condition;
use crate::refusal::{Failure, Refusal, Verdict};
use crate::route::{Parameter, parameters};
use model::ModelReader;

/// A request's body on its way upstream: free, or behind the guard. It is made for a request and its condition together.
#[derive(Debug)]
pub struct Guarded<B>(Passage<B>);

#[derive(Debug)]
enum Passage<B> {
    /// Nothing depends on it.
    Free(B),
    /// A condition does.
    Watched(Box<Watch<B>>),
}

#[derive(Debug)]
struct Watch<B> {
    condition: Condition,
    stage: Stage<B>,
    /// Pieces that were read and not let go.
    held: VecDeque<Bytes>,
    outcome: Option<oneshot::Sender<Result<String, Refusal>>>,
    /// Rings when nobody wants the rest of the body any more; `None` when that will not be said.
    given_up: Option<oneshot::Receiver<()>>,
}

#[derive(Debug)]
enum Stage<B> {
    /// The body is being read.
    Reading {
        body: B,
        reader: ModelReader,
        /// How many of the last pieces must be held.
        hold: usize,
    },
    /// The condition holds: what is held may go, and the trailers after it.
    Holds(Option<HeaderMap>),
    /// It does not, or the body broke off.
    Broken,
}

/// How a condition comes out.
#[derive(Debug)]
pub struct Outcome(Option<Expected>);

#[derive(Debug)]
struct Expected {
    outcome: oneshot::Receiver<Result<String, Refusal>>,
    /// Breaks the body off.
    give_up: oneshot::Sender<()>,
}

/// The body's error when its condition does not hold. The verdict itself is the [`Outcome`]'s to tell.
#[derive(Debug)]
struct NotGranted;

/// Headers that name a deployment besides the body: the one of the Responses API's tool for images, and the one that the
/// machine learning endpoints behind Foundry route by. Neither stands in azure-wire; both are in public use.
pub const DEPLOYMENT_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("x-ms-oai-image-generation-deployment"),
    HeaderName::from_static("azureml-model-deployment"),
];

/// Parameters of a query that name one where a realtime connection is asked for. Nobody else needs them.
const DEPLOYMENT_PARAMETERS: [&str; 2] = ["deployment", "model"];

/// How much may follow the end of JSON, in bytes: a line's end, most often nothing. It cannot be let go before the body
/// has ended, and so it is not much.
const LONGEST_TAIL: usize = 64;

const LONG_TAIL: &str = "its JSON is followed by too many blanks";
const NO_BODY: &str = "it has no body";
const NEVER_ENDS: &str = "its body does not end, and Azure has answered long ago";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

// === impl Guarded ===

impl<B> Guarded<B>
where
    B: Body<Data = Bytes>,
{
    /// Puts the body of a request with this head behind the guard, if there is a condition on it. The head is the one that
    /// the upstream will see.
    ///
    /// # Errors
    /// A request whose condition cannot be seen to hold, or whose head names what is not granted.
    pub(crate) fn new(head: &Parts, body: B, condition: Option<&Condition>) -> Result<(Self, Outcome), Refusal> {
        let Some(condition) = condition else { return Ok((Self(Passage::Free(body)), Outcome(None))) };
        check_head(head, condition)?;
        if body.is_end_stream() {
            return Err(Refusal::ModelUnclear(NO_BODY));
        }
        let reader = ModelReader::of(head).map_err(Refusal::ModelUnclear)?;
        let (told, outcome) = oneshot::channel();
        let (give_up, given_up) = oneshot::channel();
        let watch = Watch {
            condition: condition.clone(),
            stage: Stage::Reading { body, reader, hold: 1 },
            held: VecDeque::new(),
            outcome: Some(told),
            given_up: Some(given_up),
        };
        Ok((Self(Passage::Watched(Box::new(watch))), Outcome(Some(Expected { outcome, give_up }))))
    }
}

/// What the head names besides the body must be granted, too.
fn check_head(head: &Parts, condition: &Condition) -> Result<(), Refusal> {
    let headers = DEPLOYMENT_HEADERS.into_iter().flat_map(|name| head.headers.get_all(name));
    let headers = headers.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let named = |parameter: &Parameter<'_>| {
        DEPLOYMENT_PARAMETERS.iter().any(|name| parameter.name().eq_ignore_ascii_case(name))
    };
    let query = parameters(head.uri.query().unwrap_or_default()).filter(named).map(Parameter::value);
    match headers.chain(query).find(|name| !condition.permits(name)) {
        Some(name) => Err(Refusal::TargetNotGranted(Some(name.into_owned()))),
        None => Ok(()),
    }
}

impl<B> Body for Guarded<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Passage::Free(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Passage::Watched(watch) => watch.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Passage::Free(body) => body.is_end_stream(),
            Passage::Watched(watch) => matches!(watch.stage, Stage::Holds(None)) && watch.held.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Passage::Free(body) => body.size_hint(),
            Passage::Watched(watch) => watch.size_hint(),
        }
    }
}

// === impl Watch ===

impl<B> Watch<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            self.poll_given_up(cx);
            match &mut self.stage {
                Stage::Reading { body, hold, .. } => {
                    if self.held.len() > *hold {
                        return Poll::Ready(self.held.pop_front().map(|piece| Ok(Frame::data(piece))));
                    }
                    let read = match ready!(Pin::new(body).poll_frame(cx)) {
                        Some(Ok(frame)) => match frame.into_data() {
                            Ok(piece) => self.read(piece),
                            Err(frame) => self.end(frame.into_trailers().ok()),
                        },
                        Some(Err(error)) => {
                            self.stage = Stage::Broken;
                            return Poll::Ready(Some(Err(error.into())));
                        }
                        None => self.end(None),
                    };
                    if let Err(refusal) = read {
                        self.refuse(refusal);
                    }
                }
                Stage::Holds(trailers) => {
                    let frame = self.held.pop_front().map(Frame::data);
                    let frame = frame.or_else(|| trailers.take().map(Frame::trailers));
                    return Poll::Ready(frame.map(Ok));
                }
                // Asked again it says so again: it must never seem to have ended.
                Stage::Broken => return Poll::Ready(Some(Err(NotGranted.into()))),
            }
        }
    }

    /// Breaks the body off, if nobody wants the rest of it.
    fn poll_given_up(&mut self, cx: &mut Context<'_>) {
        let told = self.given_up.as_mut().map_or(Poll::Pending, |given_up| Pin::new(given_up).poll(cx));
        if let Poll::Ready(told) = told {
            self.given_up = None;
            if told.is_ok() {
                self.held.clear();
                self.stage = Stage::Broken;
            }
        }
    }

    fn read(&mut self, piece: Bytes) -> Result<(), Refusal> {
        let Stage::Reading { reader, hold, .. } = &mut self.stage else { return Ok(()) };
        let closed = reader.is_closed();
        reader.read(&piece).map_err(Refusal::ModelUnclear)?;
        if let Some(model) = reader.model().filter(|model| !self.condition.permits(model)) {
            return Err(Refusal::TargetNotGranted(Some(model.to_owned())));
        }
        if closed && !piece.is_empty() {
            *hold += 1;
        }
        if !piece.is_empty() {
            self.held.push_back(piece);
        }
        // The piece in which it closed may be long; all that follow are its tail.
        if self.held.iter().skip(1).map(Bytes::len).sum::<usize>() > LONGEST_TAIL && closed {
            return Err(Refusal::ModelUnclear(LONG_TAIL));
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Refusal> {
        let Stage::Reading { reader, .. } = std::mem::replace(&mut self.stage, Stage::Broken) else { return Ok(()) };
        let model = reader.end().map_err(Refusal::ModelUnclear)?;
        self.stage = Stage::Holds(trailers);
        self.tell(Ok(model));
        Ok(())
    }

    /// Breaks the body off, once the verdict is known to who waits for it.
    fn refuse(&mut self, refusal: Refusal) {
        self.tell(Err(refusal));
        self.held.clear();
        self.stage = Stage::Broken;
    }

    fn tell(&mut self, outcome: Result<String, Refusal>) {
        if let Some(told) = self.outcome.take() {
            // Whoever waited may be gone, and the request with it.
            drop(told.send(outcome));
        }
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.iter().map(|piece| piece.len() as u64).sum::<u64>();
        match &self.stage {
            Stage::Reading { body, .. } => {
                let rest = body.size_hint();
                let mut hint = SizeHint::new();
                hint.set_lower(rest.lower() + held);
                if let Some(upper) = rest.upper() {
                    hint.set_upper(upper + held);
                }
                hint
            }
            Stage::Holds(_) => SizeHint::with_exact(held),
            Stage::Broken => SizeHint::default(),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether an upstream's answer with this status may begin, or what its absence comes to; and the model, where a
    /// condition has been seen to hold. A success waits so long for that, and no longer: it was given before the request
    /// was whole.
    ///
    /// # Errors
    /// The refusal where the condition does not hold, whatever became of the upstream request.
    pub(crate) async fn settle(
        &mut self,
        answered: Option<StatusCode>,
        limit: Duration,
    ) -> Result<Option<String>, Verdict> {
        let Some(expected) = &mut self.0 else { return Ok(None) };
        let told = if answered.is_some_and(|status| !completes_nothing(status)) {
            let Ok(told) = timeout(limit, &mut expected.outcome).await else {
                self.give_up();
                return Err(Refusal::ModelUnclear(NEVER_ENDS).into());
            };
            // An upstream that will not read the rest has answered something else than this request.
            Some(told.map_err(|_| Failure::Lost)?)
        } else {
            expected.outcome.try_recv().ok()
        };
        Ok(told.transpose()?)
    }

    /// The refusal, if the condition was seen not to hold since the answer began, which was none that completes anything.
    pub(crate) fn refusal(&mut self) -> Option<Refusal> {
        self.0.as_mut()?.outcome.try_recv().ok()?.err()
    }

    /// The rest of the body is wanted no more: its client shall not wait for who has left.
    fn give_up(&mut self) {
        if let Some(Expected { give_up, .. }) = self.0.take() {
            // The body may have ended just now.
            give_up.send(()).unwrap_or_default();
        }
    }
}

fn completes_nothing(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

// === impl NotGranted ===

impl fmt::Display for NotGranted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is not one that the key was granted")
    }
}

impl std::error::Error for NotGranted {}

#[cfg(test)]
mod tests;
