//! Azure OpenAI: who may come in, which operation it is, and in what order that is asked.
//!
//! The order is Azure's: credentials, then the operation, then the api-version, then the role,
//! then the deployment, then the body.
//!
//! # The map
//!
//! `operations` is the table of all operations, `route` finds the line for a path. Models answer in `chat`, `completions`,
//! `embeddings`, `images`, `audio`, `speech`, `realtime`; objects are kept in the `store`, and each kind of them has a file
//! of its own. How answers look is in `reply`, how refusals look in `refusal` and `on_demand`, how lists
//! look in `page`.

use std::sync::MutexGuard;

use crate::answer::Answer;
use crate::azure::Azure;
use crate::credentials::{self, Key};
use crate::directory::{Judgement, Role};
use crate::exchange::Call;
use crate::lenient::{self, Reading};
use crate::{Door, Plane, target};

mod assistants;
mod audio;
mod batches;
mod chat;
mod completions;
mod conversations;
mod deployments;
mod embeddings;
mod files;
mod fine_tuning;
mod form;
mod images;
mod messages;
mod models;
mod on_demand;
mod operations;
mod page;
mod realtime;
mod refusal;
mod reply;
mod responses;
mod route;
mod runs;
mod schema;
mod speech;
mod store;
mod stored_chats;
mod threads;
mod unserved;
mod uploads;
mod vector_stores;

pub(crate) use on_demand::{NAMES as FAULTS, on_demand};
pub(crate) use realtime::Dialogue;
pub(crate) use route::{recognise, recognise_leniently};
pub(crate) use store::Store;

use deployments::{Deployment, Kind};
use form::Form;
use operations::Needs;
use route::Found;
use store::Objects;

/// What an operation gets: everything before it was in order.
struct Request<'a> {
    azure: &'a Azure,
    call: &'a Call<'a>,
    /// What stood for the placeholders of the path, decoded.
    names: Vec<&'a str>,
    surface: Surface,
    body: Body,
}

/// A request body, read.
enum Body {
    Json(serde_json::Value),
    Form(Form),
    None,
}

/// The two families of paths: they name deployments and versions differently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surface {
    /// `/openai/…` and Foundry's `/models/…`: api-version required.
    Legacy,
    /// `/openai/v1/…`: the deployment is the body's `model`, a dated api-version is refused.
    V1,
}

/// Answers one request.
pub(crate) async fn answer(azure: &Azure, call: &Call<'_>) -> Answer {
    let body = Body::read(call).await;
    decide(azure, call, body).unwrap_or_else(|refusal| refusal)
}

fn decide(azure: &Azure, call: &Call<'_>, body: Result<Body, Answer>) -> Result<Answer, Answer> {
    let lenient = call.door == Door::Lenient;
    let Reading { method, segments } = if lenient {
        lenient::read(&call.method, call.path, call.query, call.headers)
    } else {
        let path = target::decode(call.path);
        let segments = route::segments(&path).into_iter().map(str::to_owned).collect();
        Reading { method: call.method.clone(), segments }
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let v1 = segments.get(1).is_some_and(|part| part.eq_ignore_ascii_case("v1"));
    let surface = if v1 { Surface::V1 } else { Surface::Legacy };
    let found =
        if lenient { route::find_leniently(&method, &segments) } else { route::find_strictly(&method, &segments) };
    if let Some(found) = &found {
        call.record.note(|entry| entry.operation = Some(found.operation.name));
    }

    let principal = authenticate(azure, call, surface)?;
    let Some(Found { operation, root, names }) = found else {
        return Err(refusal::not_found(call));
    };
    check_api_version(call, surface)?;
    if let Some(object_id) = principal
        && !azure.directory.has_any_role(&object_id, &[Role::OpenAiUser])
    {
        return Err(refusal::role_missing(call, &object_id, operation, root));
    }
    let body = body?;
    let request = Request { azure, call, names, surface, body };
    let answer = match operation.needs {
        Needs::Nothing(run) => run(&request)?,
        Needs::Objects(run) => {
            let name = request.names.first().map(|name| (*name).to_owned());
            call.record.note(|entry| entry.subject = name);
            if lenient { unserved::done(&request)? } else { run(&request)? }
        }
        Needs::Deployment(kind, run) => {
            let name = request.names.first().copied().or_else(|| request.body.text("model")).map(str::to_owned);
            let name = name.or_else(|| request.in_query(kind)).unwrap_or_default();
            let name = if lenient { name.to_ascii_lowercase() } else { name };
            call.record.note(|entry| entry.subject = Some(name.clone()));
            run(&request, request.deployment(&name, kind, operation.name)?)?
        }
    };
    call.record.note(|entry| entry.completed = true);
    Ok(answer)
}

/// The principal of the token; `None` if a key opened the door.
fn authenticate(azure: &Azure, call: &Call<'_>, surface: Surface) -> Result<Option<String>, Answer> {
    let key = credentials::key(call.headers, call.query).map(|(Key::Header(key) | Key::Query(key))| key);
    let key = key.or_else(|| credentials::subprotocol_key(call.headers));
    let bearer = credentials::bearer(call.headers);
    if let Some(key) = key {
        // A key wins over a token (A2), or loses everything (E3).
        return if call.door != Door::KeysEnabled {
            Err(refusal::keys_disabled(call))
        } else if key == azure.options.keys.openai {
            Ok(None)
        } else {
            Err(refusal::wrong_key(call))
        };
    }
    let Some(token) = bearer else {
        return Err(refusal::bad_token(call));
    };
    match azure.directory.judge(token, Plane::OpenAi) {
        Judgement::Fit(object_id) => {
            call.record.note(|entry| entry.principal = Some(object_id.clone()));
            Ok(Some(object_id))
        }
        // The v1 surface takes a key as a bearer (A2.3), the legacy one does not.
        Judgement::Foreign if call.door == Door::KeysEnabled && surface == Surface::V1 => {
            if token == azure.options.keys.openai { Ok(None) } else { Err(refusal::wrong_key(call)) }
        }
        Judgement::Unfit | Judgement::Foreign => Err(refusal::bad_token(call)),
    }
}

/// A1.7 and A1.8.
fn check_api_version(call: &Call<'_>, surface: Surface) -> Result<(), Answer> {
    let version = call.parameter("api-version");
    match (surface, version.as_deref()) {
        (Surface::V1, None | Some("preview" | "v1")) => Ok(()),
        (Surface::V1, Some(_)) => Err(refusal::version_not_supported(call)),
        (Surface::Legacy, Some(version)) if target::is_api_version(version) => Ok(()),
        (Surface::Legacy, _) => Err(refusal::not_found(call)),
    }
}

// === impl Body ===

impl Body {
    async fn read(call: &Call<'_>) -> Result<Self, Answer> {
        if call.body.is_empty() {
            return Ok(Self::None);
        }
        let content_type = call.header("content-type").unwrap_or_default();
        if content_type.starts_with("multipart/form-data") {
            let form = Form::read(content_type, call.body.clone()).await;
            return form
                .map(Self::Form)
                .ok_or_else(|| refusal::bad_request(call, "The multipart form could not be read."));
        }
        serde_json::from_slice(&call.body)
            .map(Self::Json)
            .map_err(|_| refusal::bad_request(call, "The request body is not a valid JSON document."))
    }

    /// A field that is a text, whether in JSON or in a form.
    fn text(&self, name: &str) -> Option<&str> {
        match self {
            Self::Json(value) => value.get(name)?.as_str(),
            Self::Form(form) => form.text(name),
            Self::None => None,
        }
    }
}

// === impl Request ===

impl Request<'_> {
    /// What stood for a placeholder of the path.
    fn name(&self, place: usize) -> &str {
        self.names.get(place).copied().unwrap_or_default()
    }

    /// All that is stored, for as long as the guard lives.
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.azure.openai.objects()
    }

    /// The absolute URL of an object that was made by a `POST` to where it belongs (H6). It has the request's version, and
    /// nothing else of its query, where a key could be.
    fn location(&self, id: &str) -> String {
        let version =
            self.call.parameter("api-version").map(|version| format!("?api-version={}", target::encode(&version)));
        format!("{}{}/{id}{}", self.call.origin, self.call.path, version.unwrap_or_default())
    }

    /// The deployment of this name, if it can do what `operation` needs.
    fn deployment(&self, name: &str, kind: Kind, operation: &str) -> Result<&'static Deployment, Answer> {
        let deployment = deployments::find(name)
            .ok_or_else(|| refusal::unknown_deployment(self.call, self.azure.options.unknown_deployment))?;
        if deployment.kind != kind {
            return Err(refusal::not_supported(self.call, operation, deployment));
        }
        Ok(deployment)
    }

    /// The deployment, where there is no body that could name one (A3).
    fn in_query(&self, kind: Kind) -> Option<String> {
        let parameter = match self.surface {
            Surface::Legacy => "deployment",
            Surface::V1 => "model",
        };
        (kind == Kind::Realtime).then(|| self.call.parameter(parameter)).flatten()
    }

    /// The body, where only JSON will do.
    fn json(&self) -> Result<&serde_json::Value, Answer> {
        match &self.body {
            Body::Json(value) => Ok(value),
            Body::Form(_) | Body::None => {
                Err(refusal::bad_request(self.call, "The request body is not a valid JSON document."))
            }
        }
    }
}
