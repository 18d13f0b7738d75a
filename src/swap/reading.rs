//! An answer from upstream, and what it comes to for a request that went with a token of ours.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;

use super::Gateway;
use super::alarms::warn_of_hidden_links;
use crate::authorize::Permit;
use crate::fault::{Complaint, Fault};
use crate::guard::Outcome;
use crate::links::{LinkedBody, Links};
use crate::refusal::{Failure, Verdict};
use crate::request_line::{Record, Upstream};
use crate::rewrite::{AnswerBody, Doubtful, Glance, Judgement, glance, silence};
use crate::token::Bearer;

/// Reads the answers to one request.
pub(super) struct Reader<'w> {
    pub(super) gateway: &'w Gateway,
    pub(super) permit: &'w Permit,
}

/// An answer at first sight.
pub(super) enum Seen<U: Body> {
    /// It is the client's, or is none for anybody.
    Clear(Result<Response<AnswerBody<LinkedBody<U>>>, Failure>),
    /// There is more to do.
    Rare(Rare<U>),
}

/// What becomes of few requests, and has to be waited for. In boxes: every request would carry the room for it.
pub(super) enum Rare<U: Body> {
    /// Its connection has become a websocket.
    Opens(Box<Response<U>>),
    /// Its answer may speak of our credentials: its body tells.
    Doubtful(Box<Doubtful<LinkedBody<U>>>),
    /// Its kept connection was lost, and another may take it.
    Lost,
}

/// What an answer came to that was doubtful.
pub(super) enum Judged<U: Body> {
    /// It is the client's.
    Clear(Response<AnswerBody<LinkedBody<U>>>),
    /// Our token was not taken; here is another, and what it means if that cannot be tried.
    Again(Bearer, Failure),
}

impl Reader<'_> {
    /// Looks at an answer's head, takes out of it what is not for the client, and turns its links.
    pub(super) fn see<U>(
        &self,
        mut response: Response<U>,
        bearer: &Bearer,
        links: &Links<'_>,
        record: &mut Record,
    ) -> Seen<U>
    where
        U: Body<Data = Bytes>,
    {
        silence(response.headers_mut(), bearer);
        record.upstream = Some(Upstream::of(&response));
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Seen::Rare(Rare::Opens(Box::new(response)));
        }
        if links.are_hidden_in(&response) {
            self.gateway.metrics.links_hidden();
            warn_of_hidden_links(self.permit.resource());
        }
        match glance(self.permit.plane(), links.turn(response)) {
            Glance::Pass(response) => Seen::Clear(Ok(response)),
            Glance::Fail(failure) => Seen::Clear(Err(failure)),
            Glance::Doubtful(answer) => Seen::Rare(Rare::Doubtful(Box::new(answer))),
        }
    }

    /// Reads a doubtful answer until it is clear. If it says that our token is bad, another is fetched, unless one was
    /// `tried` already; from then on one was.
    ///
    /// # Errors
    /// What the answer comes to for the client, where it is not for him, or what its request's body comes to.
    pub(super) async fn judge<U>(
        &self,
        answer: Doubtful<LinkedBody<U>>,
        bearer: &Bearer,
        tried: &mut bool,
        outcome: &mut Outcome,
        record: &mut Record,
    ) -> Result<Judged<U>, Verdict>
    where
        U: Body<Data = Bytes> + Unpin,
    {
        let judgement = answer.judge().await;
        // As at first sight.
        if let Some(refusal) = outcome.refusal() {
            return Err(refusal.into());
        }
        let fault = |complaint: Complaint| Box::new(Fault { complaint, place: self.permit.place() });
        match judgement {
            Judgement::Pass(response) => Ok(Judged::Clear(response)),
            Judgement::PassTelling(response, complaint) => {
                let fault = fault(complaint);
                self.gateway.alarms.tell(&fault, record);
                record.complaint = Some(fault);
                Ok(Judged::Clear(response))
            }
            // Another token is asked for even if the body was not kept: those who come after need it, too.
            Judgement::BadToken(complaint) if !std::mem::replace(tried, true) => {
                let failure = Failure::Fault(fault(complaint));
                match self.gateway.tokens.replace(bearer).await {
                    Some(another) => Ok(Judged::Again(another, failure)),
                    None => Err(failure.into()),
                }
            }
            Judgement::BadToken(complaint) | Judgement::Complain(complaint) => {
                Err(Failure::Fault(fault(complaint)).into())
            }
            Judgement::Fail(failure) => Err(failure.into()),
        }
    }
}
