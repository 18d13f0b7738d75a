//! One request and its answer, on a connection of its own, in bounded time.
//!
//! This is not the way of requests that clients make: nothing of theirs goes here, and nothing from here goes there.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{DATE, HOST, USER_AGENT};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Site;
use crate::egress::innermost;
use crate::token::Dated;

/// How long an answer may take, once there is a connection; less where the settings are less patient.
const LIMIT: Duration = Duration::from_secs(10);

/// How much of an answer is read, in bytes. What Azure says of credentials is short; a list of files may be long, and
/// nothing in it is of any interest.
const LARGEST: usize = 64 * 1024;

/// What the logs of Azure's diagnostics show of who asked.
const US: HeaderValue = HeaderValue::from_static("keyswap-doctor");

/// Why there is no answer, in a line.
#[derive(Debug)]
pub(super) struct NoAnswer(pub(super) String);

/// Sends a request, whose URL is a path alone, to the resource. Redirects are answers.
pub(super) async fn send(site: &Site, mut request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let endpoint = &site.resource.endpoint;
    request.headers_mut().insert(HOST, endpoint.host_header().clone());
    request.headers_mut().insert(USER_AGENT, US);
    let connected = site.connector.clone().connect_at(endpoint.url(), site.resource.address).await;
    let stream = connected.map_err(|why| NoAnswer(why.to_string()))?;
    let limit = LIMIT.min(site.patience);
    let sent = SystemTime::now();
    let answered = timeout(limit, answer(TokioIo::new(stream), request)).await;
    let answered = answered.map_err(|_| NoAnswer(format!("no answer within {limit:?}")))?;
    let answer = answered.map_err(|error| NoAnswer(format!("the connection broke: {}", innermost(&error))))?;
    if let Some(date) = answer.headers().get(DATE).and_then(|date| date.to_str().ok()) {
        let heard = SystemTime::now();
        site.dated.get_or_init(|| Dated { date: date.to_owned(), sent, heard });
    }
    Ok(answer)
}

async fn answer<I>(stream: I, request: Request<Full<Bytes>>) -> hyper::Result<Response<Full<Bytes>>>
where
    I: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let (mut requests, connection) = http1::handshake(stream).await?;
    // It ends with the set, when enough was read.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let (head, mut body) = requests.send_request(request).await?.into_parts();
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await.filter(|_| read.len() < LARGEST) {
        read.extend_from_slice(frame?.data_ref().map_or(&b""[..], |data| &data[..]));
    }
    Ok(Response::from_parts(head, Full::new(read.freeze())))
}
