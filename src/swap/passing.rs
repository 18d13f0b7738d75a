//! The rest of the walk for a request that brings an Entra token of its client's own.

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tower::Service;

use super::ongoing::Tunnel;
use super::{Gateway, open, ready, settled};
use crate::admit::Admitted;
use crate::authenticate::ClientToken;
use crate::authorize::Way;
use crate::forward::Replay;
use crate::links::LinkedBody;
use crate::refusal::{Failure, Refusal, Verdict};
use crate::request_line::{Record, Upstream};
use crate::rewrite::{AnswerBody, untouched};
use crate::websocket::Opening;

/// Sends a request where its token is taken, and gives the answer as it is: whatever that says of a token, it is not ours.
/// Links in it lead where they did; the token is good there, too.
pub(super) async fn pass<S, B, U>(
    gateway: &Gateway,
    forward: &mut S,
    token: ClientToken,
    (head, body): (&Parts, B),
    opening: Option<Opening>,
    record: &mut Record,
) -> Result<(Response<AnswerBody<LinkedBody<U>>>, Option<Tunnel>), Verdict>
where
    S: Service<Admitted<Replay<B>>, Response = Response<U>>,
    S::Error: Into<Verdict>,
    B: Body<Data = Bytes> + Unpin,
    U: Body<Data = Bytes> + Unpin,
{
    if gateway.tokens.hold(&token) {
        return Err(Refusal::CameBack.into());
    }
    // It was read before the token was.
    let route = record.route.as_ref().ok_or(Refusal::NoPlane)?;
    let passage = gateway.passages.passage(route, token)?;
    record.way = Some(Way::Passage(passage.clone()));

    let (mut body, held) = Replay::first(body);
    record.body = Some(held.clone());
    loop {
        ready(forward).await?;
        let (admitted, mut outcome) = Admitted::passing(Request::from_parts(head.clone(), body), passage.clone())?;
        match settled(forward.call(admitted), &mut outcome, gateway.condition_wait).await {
            Ok((response, _)) => {
                record.upstream = Some(Upstream::of(&response));
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    let opening = opening.filter(|_| passage.opens_websocket()).ok_or(Failure::Lost)?;
                    return open(opening, response, &head.headers).await.map_err(Verdict::from);
                }
                return Ok((untouched(response.map(LinkedBody::as_it_is)), None));
            }
            // Its upstream had closed the connection, most likely before it saw the request.
            Err(Verdict::Failed(Failure::LostKept)) if record.replays == 0 && passage.is_repeatable() => {
                body = Replay::again(&held).ok_or(Failure::LostKept)?;
                record.replays += 1;
            }
            Err(verdict) => return Err(verdict),
        }
    }
}
