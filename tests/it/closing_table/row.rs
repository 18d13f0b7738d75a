//! A row of the table: who asks for what, what Azure says to it, and what the client gets.

use azure_emulator::{Fault, Plane};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::answer::{Expected, shown};
use crate::client::{Answer, http2};
use crate::world::{CHAT, SEARCH, World, saying};

/// A row.
pub(super) struct Row {
    /// As section F names it, with the variant of A1 or B1 that it is about.
    pub(super) condition: &'static str,
    pub(super) ask: Ask,
    /// What the emulator says to it, however often it is asked, if it is not to do what it should.
    pub(super) azure: Option<&'static str>,
    pub(super) answer: Expected,
}

/// A request.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) plane: Plane,
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    /// JSON; null for none.
    body: Value,
}

/// How a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// HTTP/1.1, without TLS.
    Http1,
    /// HTTP/2, with TLS.
    Http2,
}

impl Ask {
    pub(super) fn chat() -> Self {
        Self::new(Plane::OpenAi, Method::POST, CHAT, saying("hello"))
    }

    pub(super) fn search() -> Self {
        Self::new(Plane::Search, Method::POST, SEARCH, json!({"search": "*"}))
    }

    pub(super) fn new(plane: Plane, method: Method, target: &str, body: Value) -> Self {
        Self { plane, method, target: target.to_owned(), headers: Vec::new(), body }
    }

    pub(super) fn key(self, key: &str) -> Self {
        self.header("api-key", key)
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same with this in place of a word in its target.
    pub(super) fn holding(mut self, word: &str, key: &str) -> Self {
        self.target = self.target.replace(word, key);
        self
    }

    pub(super) fn has_body(&self) -> bool {
        !self.body.is_null()
    }

    pub(super) async fn send(&self, world: &World, wire: Wire) -> Answer {
        match wire {
            Wire::Http1 => self.to(world, &format!("http://{}", world.gateway.http)).await,
            Wire::Http2 => {
                let mut send = http2(world.gateway.https.unwrap(), world.emulator.ca_pem()).await;
                let request = self.request("https://localhost");
                let (head, body) = send.send_request(request).await.unwrap().into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                Answer { status: head.status, phrase: None, headers: head.headers, body }
            }
        }
    }

    /// The same request to whomever, over HTTP/1.1.
    pub(super) async fn to(&self, world: &World, origin: &str) -> Answer {
        let mut call = world.client.call(self.method.clone(), &format!("{origin}{}", self.target));
        for (name, value) in &self.headers {
            call = call.header(name, value);
        }
        if self.has_body() { call.json(&self.body).await } else { call.send().await }
    }

    fn request(&self, origin: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(self.method.clone()).uri(format!("{origin}{}", self.target));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let body = if self.has_body() { self.body.to_string() } else { String::new() };
        request.header("content-type", "application/json").body(Full::from(body)).unwrap()
    }
}

/// Walks through rows in this world, over both versions of HTTP.
pub(super) async fn hold(world: &World, rows: impl IntoIterator<Item = Row>) {
    for row in rows {
        for wire in [Wire::Http1, Wire::Http2] {
            row.holds(world, wire).await;
        }
    }
}

impl Row {
    async fn holds(&self, world: &World, wire: Wire) {
        let Self { condition, ask, azure, answer: expected } = self;
        if let Some(fault) = azure {
            world.emulator.next(ask.plane, Fault::named(fault), 9).unwrap();
        }
        let arrived = world.arrived().len();
        let answer = ask.send(world, wire).await;
        let expected = expected.shown(ask, world, wire).await;
        if azure.is_some() {
            world.emulator.clear_faults();
        }
        assert_eq!(shown(&answer, wire), expected, "{condition}, {wire:?}");

        let line = world.gateway.told(|line| line["request"].as_str() == answer.header("x-keyswap-request-id")).await;
        assert_eq!(line["status"], answer.status.as_u16(), "{condition}: {line}");
        assert_eq!(line["reason"].as_str(), answer.header("x-keyswap-reason"), "{condition}: {line}");
        let own = ["x-keyswap-upstream-request-id", "apim-request-id", "request-id"];
        let theirs = if answer.header("x-keyswap-reason").is_some() { &own[..1] } else { &own[1..] };
        let id = theirs.iter().find_map(|name| answer.header(name));
        assert_eq!(line["upstream_request"].as_str(), id, "{condition}: {line}");
        if let Some(last) = world.arrived().get(arrived..).and_then(<[_]>::last) {
            assert_eq!(line["upstream_status"].as_u64(), last.status.map(u64::from), "{condition}: {line}");
        }
    }
}
