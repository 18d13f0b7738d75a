//! One request, from its head to the end of its answer.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};

use crate::answer::Answer;
use crate::azure::Azure;
use crate::delivery::{Broken, Delivery, Ending};
use crate::directory::Flaw;
use crate::faults::{Fault, Transport};
use crate::journal::{Opening, Record};
use crate::wire::Wire;
use crate::{Door, Plane, clock, credentials, entra, entropy, identity_endpoint, openai, search, target, websocket};

/// A listener's place in the scene.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) plane: Plane,
    pub(crate) door: Option<Door>,
}

/// A whole request, as the planes see it.
pub(crate) struct Call<'a> {
    /// Entra and the identity endpoints have no doors; whatever they see is direct.
    pub(crate) door: Door,
    pub(crate) method: Method,
    /// Raw, as it came.
    pub(crate) path: &'a str,
    /// Raw, as it came, without the `?`.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
    /// `https://host:port` as the client names us: absolute URLs in answers start so.
    pub(crate) origin: String,
    /// A new one for each request: `apim-request-id` or `request-id`.
    pub(crate) id: String,
    pub(crate) record: &'a Record,
}

impl Call<'_> {
    /// A header's value, if it is one and in ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A query parameter, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        target::parameter(self.query, name)
    }
}

/// Journals `request`, answers it, and hands the open journal entry to the answer's body.
pub(crate) async fn answer(
    azure: Arc<Azure>,
    place: Place,
    wire: Arc<Wire>,
    mut request: Request<Incoming>,
) -> Result<Response<Delivery>, Broken> {
    let promised = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    // http::Uri keeps what follows the authority as it came.
    let raw = head.uri.path_and_query().map_or("*", |raw| raw.as_str());
    let (path, query) = target::split(raw);
    let record = open(&azure, place, &wire, &head, raw, query);
    let mut call = Call {
        door: place.door.unwrap_or(Door::Direct),
        method: head.method.clone(),
        path,
        query,
        headers: &head.headers,
        body: Bytes::new(),
        origin: origin(&head),
        id: entropy::uuid(),
        record: &record,
    };

    let fault = azure.faults.take(place.plane, raw);
    if fault.as_ref().is_none_or(Fault::reads_body) {
        call.body = receive(body, &record).await?;
    }
    let (mut answer, ending) = match fault {
        None => (real_answer(&azure, place.plane, &call).await, Ending::Whole),
        Some(fault) => match fault.transport() {
            None => (on_demand(&azure, place.plane, &fault, &call), Ending::Whole),
            Some(Transport::Stall) => std::future::pending().await,
            Some(transport @ (Transport::Close | Transport::Reset)) => {
                if transport == Transport::Reset {
                    wire.reset();
                }
                record.end();
                return Err(Broken);
            }
            Some(transport) => {
                if transport == Transport::Slow {
                    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
                }
                let mut answer = real_answer(&azure, place.plane, &call).await;
                if transport == Transport::Clock {
                    answer = answer.set_header("date", clock::http_date(clock::unix_seconds() + fault.seconds));
                }
                (answer, ending(transport, &fault, &wire))
            }
        },
    };
    if let Some(dialogue) = answer.dialogue.take() {
        record.note(|entry| entry.status = Some(answer.status.as_u16()));
        wire.go_on(websocket::talk(promised, dialogue, ending, record));
        return Delivery::head(answer);
    }
    Delivery::of(answer, ending, azure.options.stream_pause, record)
}

fn open(
    azure: &Azure,
    place: Place,
    wire: &Wire,
    head: &hyper::http::request::Parts,
    raw: &str,
    query: &str,
) -> Record {
    // `Direct` and `KeysEnabled` are there for clients that come with keys.
    let violation = match place.door {
        Some(Door::Behind | Door::Lenient) => {
            credentials::violation(&azure.directory, place.plane, &head.headers, query)
        }
        Some(Door::Direct | Door::KeysEnabled) | None => None,
    };
    azure.journal.open(Opening {
        connection: wire.number,
        plane: place.plane,
        door: place.door,
        method: head.method.as_str(),
        target: raw,
        version: match head.version {
            Version::HTTP_10 => "1.0",
            Version::HTTP_2 => "2",
            _ => "1.1",
        },
        headers: &head.headers,
        violation,
    })
}

/// Reads the body and keeps the entry up to date. An error means that the client broke off;
/// dropping the record then says so.
async fn receive(mut body: Incoming, record: &Record) -> Result<Bytes, Broken> {
    let mut whole = BytesMut::new();
    let mut digest = digest::Context::new(&digest::SHA256);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Broken)?.into_data() else {
            continue;
        };
        digest.update(&data);
        whole.extend_from_slice(&data);
        record.note(|entry| entry.body_length = whole.len() as u64);
    }
    let digest = entropy::hex(digest.finish().as_ref());
    record.note(|entry| {
        entry.body_whole = true;
        entry.body_sha256 = Some(digest);
    });
    Ok(whole.freeze())
}

async fn real_answer(azure: &Azure, plane: Plane, call: &Call<'_>) -> Answer {
    match plane {
        Plane::OpenAi => openai::answer(azure, call).await,
        Plane::Search => search::answer(azure, call),
        Plane::Entra => entra::answer(azure, call),
        Plane::Identity => identity_endpoint::app_service(azure, call, Flaw::None),
        Plane::Imds => identity_endpoint::imds(azure, call, Flaw::None),
    }
}

fn on_demand(azure: &Azure, plane: Plane, fault: &Fault, call: &Call<'_>) -> Answer {
    let name = &fault.answer;
    let answer = match plane {
        Plane::OpenAi => openai::on_demand(name, call),
        Plane::Search => search::on_demand(azure, name, call),
        Plane::Entra => entra::on_demand(azure, name, call),
        Plane::Identity | Plane::Imds => identity_endpoint::on_demand(azure, plane, name, call),
    };
    // The queue takes only names that the plane has given; a test walks through all of them.
    let answer = answer.unwrap_or_else(|| Answer::new(StatusCode::NOT_IMPLEMENTED));
    let waits = [("retry-after", fault.retry_after), ("retry-after-ms", fault.retry_after_ms)];
    waits.into_iter().fold(answer, |answer, (name, wait)| match wait {
        Some(wait) => answer.set_header(name, wait.to_string()),
        None => answer,
    })
}

fn ending(transport: Transport, fault: &Fault, wire: &Arc<Wire>) -> Ending {
    match transport {
        Transport::StallMidBody => Ending::Stall(fault.byte),
        Transport::Cut => Ending::Break(fault.byte, Some(Arc::clone(wire))),
        Transport::Truncate => Ending::Break(fault.byte, None),
        Transport::HangUp => Ending::HangUp(Arc::clone(wire)),
        Transport::CloseFrame => Ending::CloseFrame(fault.code),
        _ => Ending::Whole,
    }
}

fn origin(head: &hyper::http::request::Parts) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = head.uri.authority().map(|authority| authority.as_str());
    format!("https://{}", host.or(authority).unwrap_or("localhost"))
}
