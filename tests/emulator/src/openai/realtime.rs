//! Realtime: the opening of a websocket, and what is said over it.
//!
//! No recording of Azure's exists: the events are those that its reference lists, as far as the SDKs need them for a talk
//! in text. Voice is taken and never answered.

mod dialogue;

use hyper::StatusCode;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::answer::Answer;
use crate::exchange::Call;
use crate::openai::deployments::Deployment;
use crate::openai::{Request, Surface, refusal, reply};

pub(crate) use dialogue::Dialogue;

/// The only subprotocol that there is (A2.8).
const SUBPROTOCOL: &str = "realtime";

pub(super) fn open(request: &Request<'_>, deployment: &'static Deployment) -> Result<Answer, Answer> {
    let call = request.call;
    let key = call.header("sec-websocket-key").filter(|_| {
        says(call, "upgrade", "websocket")
            && says(call, "connection", "upgrade")
            && says(call, "sec-websocket-version", "13")
    });
    let Some(key) = key else {
        // What Azure says to it, nobody has written down.
        return Err(refusal::bad_request(call, "A websocket upgrade is expected."));
    };
    let answer = reply::api(call, StatusCode::SWITCHING_PROTOCOLS)
        .headers([("connection", "Upgrade"), ("upgrade", "websocket")])
        .header("sec-websocket-accept", derive_accept_key(key.as_bytes()))
        .opening(Dialogue::new(deployment, request.surface == Surface::V1));
    Ok(if says(call, "sec-websocket-protocol", SUBPROTOCOL) {
        answer.header("sec-websocket-protocol", SUBPROTOCOL)
    } else {
        answer
    })
}

/// Whether a word stands in a list, which may have several lines.
fn says(call: &Call<'_>, name: &str, word: &str) -> bool {
    let lines = call.headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
}
