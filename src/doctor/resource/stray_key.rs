//! Whether a resource takes no keys any more: one that nobody gave out is sent there, and the answer looked at.
//!
//! keyswap never sends a key, and this is no exception on its way: what goes there holds one of our tokens or a client's,
//! and has no place for a key. The request here is made by this file alone, holds a key that was drawn a moment before
//! and is forgotten after, never a token, and goes on a connection of its own. Nothing of a client's comes near it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use super::advice::Advice;
use super::exchange::{NoAnswer, send};
use super::{Finding, Site, Status};
use crate::keyring::Shape;
use crate::plane::Plane;
use crate::rewrite::Said;

const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// A GET that shows a key's holder something short.
const ASKED: [(Plane, &str); 2] =
    [(Plane::OpenAi, "/openai/models?api-version=2024-10-21"), (Plane::Search, "/servicestats?api-version=2024-07-01")];

const ASK_AZURE: &str = "Ask Azure's management, which says true where they are.";

pub(super) async fn look(site: &Site) -> Finding {
    let cannot_tell = |found: String| {
        let means = match site.resource.plane {
            Plane::OpenAi => {
                "Only HTTP 403 AuthenticationTypeDisabled proves that keys are disabled. What else such a resource may say to a \
                 wrong key, nobody has written down."
            }
            Plane::Search => {
                "No answer proves that keys are disabled: what a search service says to a key then, nobody has written down."
            }
        };
        let advice = Advice::of(&site.resource);
        let commands = vec![advice.show("properties.disableLocalAuth")];
        let cure: Vec<_> = [ASK_AZURE.to_owned()].into_iter().chain(advice.note(&commands)).collect();
        let finding = Finding::new("keys", Status::CannotTell, found).means(means).cure(cure.join(" "));
        Finding { commands, ..finding }
    };
    let Some(request) = stray(site.resource.plane) else {
        return cannot_tell("no key could be drawn".to_owned());
    };
    match send(site, request).await {
        Ok(answer) => match read(answer).await {
            (StatusCode::FORBIDDEN, Said { code, .. }) if code == "AuthenticationTypeDisabled" => {
                let found = "disabled: a random key was answered HTTP 403 AuthenticationTypeDisabled";
                Finding::new("keys", Status::Ok, found)
            }
            (status, Said { text, .. }) if text.is_empty() => {
                cannot_tell(format!("a random key was answered HTTP {}, without a text", status.as_u16()))
            }
            (status, Said { text, .. }) => {
                cannot_tell(format!("a random key was answered HTTP {}: {text}", status.as_u16()))
            }
        },
        Err(NoAnswer(why)) => cannot_tell(format!("a random key came to nothing: {why}")),
    }
}

/// A request with a key of the plane's looks, from fresh randomness.
fn stray(plane: Plane) -> Option<Request<Full<Bytes>>> {
    let (_, path) = ASKED.iter().find(|(of, _)| *of == plane)?;
    let key = Shape::of(plane).fresh()?;
    let mut key = HeaderValue::from_str(&key).ok()?;
    key.set_sensitive(true);
    Request::get(*path).header(API_KEY, key).body(Full::default()).ok()
}

async fn read(answer: Response<Full<Bytes>>) -> (StatusCode, Said) {
    let (head, body) = answer.into_parts();
    let Ok(body) = body.collect().await;
    (head.status, Said::read(&body.to_bytes()))
}
