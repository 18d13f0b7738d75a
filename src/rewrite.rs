//! What an upstream's answer means for a client that knows nothing of tokens: section F of azure-wire.
//!
//! All answers pass untouched, but for those that speak of *our* credentials, and redirects. A 401 of ours would make an
//! operator rotate the client's key for nothing, so it becomes a 502 or 403 that names the cure. To tell, the body of a
//! 400, 401 or 403 is held, up to [`LIMIT`]; every other body streams. What an answer repeats of the request's credentials
//! is taken out of every head ([`silence`]).

mod echo;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, WWW_AUTHENTICATE};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::ext::ReasonPhrase;
use serde_json::Value;

pub(crate) use echo::silence;

use crate::admit::strip_hop_by_hop;
use crate::fault::{Cause, Complaint};
use crate::plane::Plane;
use crate::refusal::Failure;

/// The largest body that is held to be looked at, in bytes. Azure's own are a few hundred.
const LIMIT: usize = 64 * 1024;

/// The longest text of an upstream's that goes into a text of ours, in characters.
const LONGEST_TEXT: usize = 600;

/// What an answer means.
#[derive(Debug)]
pub(crate) enum Judgement<U> {
    /// It is the client's.
    Pass(Response<AnswerBody<U>>),
    /// It is the client's, and the operator should hear of it: the client sees what keyswap's network may not.
    PassTelling(Response<AnswerBody<U>>, Complaint),
    /// Our token was not taken; another one may be.
    BadToken(Complaint),
    /// It speaks of our credentials, and another token would not help.
    Complain(Complaint),
    /// It is not for the client, or it broke off.
    Fail(Failure),
}

/// What an answer means at first sight.
#[derive(Debug)]
pub(crate) enum Glance<U> {
    /// It is the client's.
    Pass(Response<AnswerBody<U>>),
    /// It is not for the client.
    Fail(Failure),
    /// It may speak of our credentials: its body tells.
    Doubtful(Doubtful<U>),
}

/// An answer whose head does not tell what it means.
#[derive(Debug)]
pub(crate) struct Doubtful<U> {
    plane: Plane,
    head: Parts,
    body: U,
}

/// The body of an answer.
#[derive(Debug)]
pub struct AnswerBody<U>(Answer<U>);

#[derive(Debug)]
enum Answer<U> {
    /// The upstream's, as it comes.
    Streamed(U),
    /// The upstream's, whose beginning was held.
    Resumed { begin: Option<Bytes>, rest: U },
    /// One of ours, or a short one of the upstream's that was held whole.
    Whole(Full<Bytes>),
}

/// The answer to a request that went with its client's own token: it is the client's, whatever it says.
pub(crate) fn untouched<U>(response: Response<U>) -> Response<AnswerBody<U>> {
    let (mut head, body) = response.into_parts();
    from_upstream(&mut head);
    Response::from_parts(head, AnswerBody(Answer::Streamed(body)))
}

/// Takes away what was between the upstream and us.
fn from_upstream(head: &mut Parts) {
    strip_hop_by_hop(&mut head.headers);
    let phrase = head.extensions.remove::<ReasonPhrase>();
    head.extensions.clear();
    if let Some(phrase) = phrase {
        // The one extension that is for the wire: some Azure answers have a phrase of their own.
        head.extensions.insert(phrase);
    }
}

/// Finds out what an answer means, as far as its head tells.
pub(crate) fn glance<U>(plane: Plane, response: Response<U>) -> Glance<U> {
    let (mut head, body) = response.into_parts();
    from_upstream(&mut head);
    if head.status.is_redirection() && head.status != StatusCode::NOT_MODIFIED {
        return Glance::Fail(Failure::Redirected);
    }
    if speaks_of_credentials(plane, head.status) {
        return Glance::Doubtful(Doubtful { plane, head, body });
    }
    Glance::Pass(Response::from_parts(head, AnswerBody(Answer::Streamed(body))))
}

/// Finds out what an answer means, and reads as much of it as that takes.
pub(crate) async fn judge<U: Body<Data = Bytes> + Unpin>(plane: Plane, response: Response<U>) -> Judgement<U> {
    match glance(plane, response) {
        Glance::Pass(response) => Judgement::Pass(response),
        Glance::Fail(failure) => Judgement::Fail(failure),
        Glance::Doubtful(answer) => answer.judge().await,
    }
}

fn speaks_of_credentials(plane: Plane, status: StatusCode) -> bool {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
        StatusCode::BAD_REQUEST => plane == Plane::OpenAi,
        _ => false,
    }
}

// === impl Doubtful ===

impl<U: Body<Data = Bytes> + Unpin> Doubtful<U> {
    /// Reads on until it is clear what it means.
    pub(crate) async fn judge(self) -> Judgement<U> {
        let Self { plane, head, mut body } = self;
        let (begin, ended) = match hold(&mut body).await {
            Ok(held) => held,
            Err(failure) => return Judgement::Fail(failure),
        };
        let plain = !head.headers.contains_key(CONTENT_ENCODING);
        let said = Said::read(if plain { &begin } else { b"" });
        let cause = match plane {
            Plane::OpenAi => openai(head.status, &said),
            Plane::Search => Some(search(head.status, &said)),
        };
        let challenge = head.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).map(readable);
        let said = if said.text.is_empty() { challenge.unwrap_or_default() } else { said.text };
        let body =
            if ended { Answer::Whole(Full::new(begin)) } else { Answer::Resumed { begin: Some(begin), rest: body } };
        let answer = || Response::from_parts(head, AnswerBody(body));
        match (cause, plane) {
            (None, _) => Judgement::Pass(answer()),
            (Some(cause @ Cause::Network), Plane::OpenAi) => {
                Judgement::PassTelling(answer(), Complaint { cause, said })
            }
            (Some(cause @ Cause::Token), _) => Judgement::BadToken(Complaint { cause, said }),
            (Some(cause), _) => Judgement::Complain(Complaint { cause, said }),
        }
    }
}

/// Reads a body up to the limit; says whether that was all of it. Trailers of such an answer are let go.
async fn hold<U>(body: &mut U) -> Result<(Bytes, bool), Failure>
where
    U: Body<Data = Bytes> + Unpin,
{
    let mut held = BytesMut::new();
    while held.len() <= LIMIT {
        match body.frame().await {
            Some(Ok(frame)) => held.extend_from_slice(frame.data_ref().map_or(&b""[..], |data| &data[..])),
            Some(Err(_)) => return Err(Failure::Lost),
            None => return Ok((held.freeze(), true)),
        }
    }
    Ok((held.freeze(), false))
}

/// What Azure OpenAI finds wrong with us; `None` for what is the client's own affair.
fn openai(status: StatusCode, said: &Said) -> Option<Cause> {
    let Said { code, text } = said;
    match (status, code.as_str()) {
        (StatusCode::UNAUTHORIZED, "PermissionDenied") => Some(Cause::Role),
        // A new token would not change these words.
        (StatusCode::UNAUTHORIZED, _) if text.contains("subscription key") => Some(Cause::WantsKey),
        (StatusCode::UNAUTHORIZED, _) => Some(Cause::Token),
        (StatusCode::FORBIDDEN, "AuthenticationTypeDisabled") => Some(Cause::SawKey),
        (StatusCode::FORBIDDEN, "403" | "AccessDenied") if NETWORK.iter().any(|words| text.contains(words)) => {
            Some(Cause::Network)
        }
        (StatusCode::BAD_REQUEST, "BadRequest") if SUBDOMAIN.iter().any(|words| text.starts_with(words)) => {
            Some(Cause::Subdomain)
        }
        _ => None,
    }
}

/// How Azure OpenAI speaks of networks (A1.11, A1.11b, A1.11c).
const NETWORK: [&str; 4] = ["Virtual Network", "Public access is disabled", "private endpoint", "Firewall"];

/// How it begins to speak of custom subdomains (A1.9).
const SUBDOMAIN: [&str; 2] = ["Please provide a custom subdomain", "Please provide an authentication key"];

/// What Azure AI Search finds wrong with us. Its 401 and 403 are never the client's own affair.
fn search(status: StatusCode, said: &Said) -> Cause {
    let text = said.text.as_str();
    if status == StatusCode::UNAUTHORIZED {
        return Cause::Token;
    }
    // B1.6 is empty, B1.7 says this, B1.8 is plain text about CheckAccess.
    if text.is_empty() || text == "Authorization failed." || text.starts_with("CheckAccess") {
        Cause::Role
    } else if text.contains("API key") {
        Cause::SawKey
    } else {
        Cause::Network
    }
}

/// What an error body says, in whichever of Azure's shapes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Azure's word for it; empty where there is none.
    pub(crate) code: String,
    /// Azure's text, fit for a line; empty where there is none.
    pub(crate) text: String,
}

impl Said {
    pub(crate) fn read(body: &[u8]) -> Self {
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            return Self { code: String::new(), text: readable(&String::from_utf8_lossy(body)) };
        };
        let text = |value: &Value| value.as_str().map(readable).unwrap_or_default();
        let error = &json["error"];
        // Nested from the API's own layer, flat from the gateway before it.
        if error.is_object() {
            Self { code: text(&error["code"]), text: text(&error["message"]) }
        } else {
            Self { code: String::new(), text: text(&json["message"]) }
        }
    }
}

/// A text of somebody else's, fit for a log line and a message of ours.
fn readable(text: &str) -> String {
    echo::without_tokens(text)
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_TEXT)
        .collect::<String>()
        .trim()
        .to_owned()
}

// === impl AnswerBody ===

impl<U> AnswerBody<U> {
    /// A body of our own.
    pub(crate) fn ours(body: Bytes) -> Self {
        Self(Answer::Whole(Full::new(body)))
    }
}

impl<U: Body<Data = Bytes> + Unpin> Body for AnswerBody<U> {
    type Data = Bytes;
    type Error = U::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, U::Error>>> {
        match &mut self.0 {
            Answer::Streamed(body) => Pin::new(body).poll_frame(cx),
            Answer::Resumed { begin, rest } => match begin.take() {
                Some(begin) => Poll::Ready(Some(Ok(Frame::data(begin)))),
                None => Pin::new(rest).poll_frame(cx),
            },
            Answer::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Answer::Streamed(body) => body.is_end_stream(),
            Answer::Resumed { begin, rest } => begin.is_none() && rest.is_end_stream(),
            Answer::Whole(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Answer::Streamed(body) => body.size_hint(),
            // What is left of a body whose length was given is not its length.
            Answer::Resumed { .. } => SizeHint::default(),
            Answer::Whole(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn judged(plane: Plane, status: u16, body: &'static str) -> Judgement<Full<Bytes>> {
        let answer = Response::builder().status(status).body(Full::from(body)).unwrap();
        judge(plane, answer).await
    }

    #[tokio::test]
    async fn a_search_service_that_forbids_for_another_cause_is_quoted() {
        let firewall = r#"{"error":{"code":"","message":"Access from this network is not allowed."}}"#;
        let Judgement::Complain(complaint) = judged(Plane::Search, 403, firewall).await else { panic!("it passed") };
        let said = "Access from this network is not allowed.".to_owned();
        assert_eq!(complaint, Complaint { cause: Cause::Network, said });
    }

    #[tokio::test]
    async fn what_only_sounds_like_a_fault_of_ours_is_the_clients() {
        for (status, body) in [
            (
                400,
                r#"{"error":{"code":"BadRequest","message":"Your prompt says: Please provide a custom subdomain."}}"#,
            ),
            (400, r#"{"error":{"code":400,"message":"Please provide a custom subdomain"}}"#),
            (403, r#"{"error":{"code":"unsupported","message":"Not behind a private endpoint."}}"#),
            (304, ""),
        ] {
            assert!(matches!(judged(Plane::OpenAi, status, body).await, Judgement::Pass(_)), "{status} {body}");
        }
    }

    #[tokio::test]
    async fn a_long_answer_that_was_held_in_part_passes_whole() {
        let long: &'static str = "x".repeat(3 * LIMIT).leak();
        let (mut send, body) = http_body_util::Channel::<Bytes>::new(9);
        for piece in long.as_bytes().chunks(LIMIT / 2) {
            send.send_data(Bytes::from_static(piece)).await.unwrap();
        }
        drop(send);
        let answer = Response::builder().status(400).body(body).unwrap();
        let Judgement::Pass(answer) = judge(Plane::OpenAi, answer).await else { panic!("it was not passed") };
        let whole = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(whole, long);
    }

    #[test]
    fn both_families_of_error_bodies_are_read() {
        let nested = Said::read(br#"{"error":{"code":"PermissionDenied","message": "Principal.\r\nNo."}}"#);
        assert_eq!(nested, Said { code: "PermissionDenied".into(), text: "Principal.No.".into() });
        let flat = Said::read(br#"{ "statusCode": 401, "message": "Unauthorized." }"#);
        assert_eq!(flat, Said { code: String::new(), text: "Unauthorized.".into() });
        assert_eq!(Said::read(b""), Said::default());
        assert_eq!(Said::read(b"CheckAccess\nfailed").text, "CheckAccessfailed");
        assert_eq!(Said::read(&[b'x'; 9000]).text.len(), LONGEST_TEXT);
    }
}
