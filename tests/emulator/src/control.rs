//! The control port: what the library offers, over plain HTTP on loopback.
//!
//! | request | |
//! |---|---|
//! | `GET /doors` | all addresses and credentials |
//! | `GET /journal[?after=N]` | what arrived |
//! | `GET /violations` | client credentials that arrived where none may |
//! | `GET /faults?at=PLANE` | the names that `/next` takes |
//! | `POST /next {"at":"openai","answer":"A1.12","times":1,"path":"chat"}` | answer this next |
//! | `DELETE /next` | forget what was not yet used |
//! | `POST /token-life {"seconds":6}` | of tokens issued from now on |
//! | `POST /revoke` | all tokens issued so far |
//! | `POST /role {"object_id":"…","role":"Search Index Data Reader","assigned":false}` | |
//! | `POST /certificate {"client_id":"…","pem":"…"}` | upload it to an application |
//! | `POST /federate {"client_id":"…","subject":"…"}` | the application trusts this service account |
//! | `POST /service-account-token {"subject":"…","seconds":3600}` | what the cluster gives a pod |
//! | `DELETE /journal` | forget entries and violations |

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::azure::Azure;
use crate::directory::{Role, ServiceAccountToken};
use crate::doors::Listener;
use crate::faults::{self, Fault};
use crate::scene::Scene;
use crate::{Plane, target};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenLife {
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleChange {
    object_id: String,
    role: Role,
    assigned: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upload {
    client_id: String,
    pem: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Federation {
    client_id: String,
    subject: String,
}

/// What was asked cannot be done; the text says why.
struct Refusal(StatusCode, String);

/// Serves until dropped.
pub(crate) async fn serve(listener: Listener, azure: Arc<Azure>, scene: Scene) {
    let scene = Arc::new(scene);
    let mut connections = JoinSet::new();
    loop {
        let tcp = listener.accept().await;
        while connections.try_join_next().is_some() {}
        let (azure, scene) = (Arc::clone(&azure), Arc::clone(&scene));
        let service =
            hyper::service::service_fn(move |request| answer(Arc::clone(&azure), Arc::clone(&scene), request));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

async fn answer(
    azure: Arc<Azure>,
    scene: Arc<Scene>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match decide(&azure, &scene, request).await {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal(status, text)) => (status, json!({"error": text}).to_string()),
    };
    let mut response = Response::new(Full::from(body + "\n"));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn decide(azure: &Azure, scene: &Scene, request: Request<Incoming>) -> Result<String, Refusal> {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let body = async {
        let collected = body.collect().await.map(http_body_util::Collected::to_bytes);
        collected.map_err(|error| Refusal::bad(&error))
    };
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/doors") => print(scene),
        (&Method::GET, "/journal") => {
            let after = match target::parameter(query, "after") {
                Some(after) => after.parse().map_err(|error| Refusal::bad(&error))?,
                None => 0,
            };
            print(&azure.journal.entries_after(after))
        }
        (&Method::DELETE, "/journal") => {
            azure.journal.clear();
            done()
        }
        (&Method::GET, "/violations") => print(&azure.journal.violations()),
        (&Method::GET, "/faults") => {
            let plane = target::parameter(query, "at").unwrap_or_default();
            print(&faults::names(value(plane.into())?))
        }
        (&Method::POST, "/next") => next(azure, &body.await?),
        (&Method::DELETE, "/next") => {
            azure.faults.clear();
            done()
        }
        (&Method::POST, "/token-life") => {
            let TokenLife { seconds } = read(&body.await?)?;
            azure.directory.set_token_life(Duration::from_secs(seconds));
            done()
        }
        (&Method::POST, "/revoke") => {
            azure.directory.revoke();
            done()
        }
        (&Method::POST, "/role") => {
            let change: RoleChange = read(&body.await?)?;
            azure.directory.set_role(&change.object_id, change.role, change.assigned);
            done()
        }
        (&Method::POST, "/certificate") => {
            let Upload { client_id, pem } = read(&body.await?)?;
            azure.directory.upload(&client_id, &pem).map_err(|error| Refusal::bad(&error))?;
            done()
        }
        (&Method::POST, "/federate") => {
            let Federation { client_id, subject } = read(&body.await?)?;
            azure.directory.federate(&client_id, &subject);
            done()
        }
        (&Method::POST, "/service-account-token") => {
            let token: ServiceAccountToken = read(&body.await?)?;
            let signed = azure.directory.service_account_token(&token).map_err(|error| Refusal::bad(&error))?;
            print(&json!({ "token": signed }))
        }
        (method, path) => Err(Refusal(
            StatusCode::NOT_FOUND,
            format!("there is no {method} {path} here; see the emulator's README for what there is"),
        )),
    }
}

/// What remains beside `at` and `times` is the fault, and it refuses what it does not know.
fn next(azure: &Azure, body: &[u8]) -> Result<String, Refusal> {
    let mut members: Map<String, Value> = read(body)?;
    let at = members.remove("at").unwrap_or_default();
    let times = members.remove("times").unwrap_or(Value::from(1));
    let plane: Plane = value(at)?;
    let fault: Fault = value(Value::Object(members))?;
    azure.faults.push(plane, fault, value(times)?).map_err(|error| Refusal::bad(&error))?;
    done()
}

fn value<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| Refusal::bad(&error))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(&error))
}

fn print(value: &impl Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| Refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn done() -> Result<String, Refusal> {
    Ok("{}".to_owned())
}

impl Refusal {
    fn bad(error: &impl std::fmt::Display) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}
