//! Azure OpenAI: who may come in, which operation it is, and the table of all operations (A3).
//!
//! The order is Azure's: credentials, then the operation, then the api-version, then the role,
//! then the deployment, then the body.

use hyper::Method;

use crate::answer::Answer;
use crate::azure::Azure;
use crate::credentials::{self, Key};
use crate::directory::{Judgement, Role};
use crate::exchange::Call;
use crate::lenient::{self, Reading};
use crate::{Door, Plane, target};

mod audio;
mod chat;
mod completions;
mod deployments;
mod embeddings;
mod form;
mod images;
mod models;
mod realtime;
mod refusal;
mod reply;
mod speech;
mod unserved;

pub(crate) use images::Running;
pub(crate) use refusal::{NAMES as FAULTS, on_demand};

pub(crate) use realtime::Dialogue;

use deployments::{Deployment, Kind};
use form::Form;

/// What an operation gets: everything before it was in order.
struct Request<'a> {
    azure: &'a Azure,
    call: &'a Call<'a>,
    /// What stood for `{}` in the path, decoded.
    named: Option<&'a str>,
    surface: Surface,
    body: Body,
}

/// A request body, read.
enum Body {
    Json(serde_json::Value),
    Form(Form),
    None,
}

/// One line of the table.
struct Operation {
    name: &'static str,
    method: Method,
    /// `{}` stands for one segment.
    paths: &'static [&'static str],
    /// For A1.5b, as Azure writes them.
    data_action: &'static str,
    run: Run,
}

/// What an operation needs besides the request.
enum Run {
    /// A deployment of this kind.
    OnDeployment(Kind, fn(&Request<'_>, &'static Deployment) -> Result<Answer, Answer>),
    /// Nothing.
    OnResource(fn(&Request<'_>) -> Result<Answer, Answer>),
}

/// All operations. To add one, add a line.
const OPERATIONS: &[Operation] = &[
    Operation {
        name: "chat-completions",
        method: Method::POST,
        paths: &["openai/deployments/{}/chat/completions", "openai/v1/chat/completions", "models/chat/completions"],
        data_action: "deployments/chat/completions/action",
        run: Run::OnDeployment(Kind::Chat, chat::run),
    },
    Operation {
        name: "completions",
        method: Method::POST,
        paths: &["openai/deployments/{}/completions", "openai/v1/completions"],
        data_action: "deployments/completions/action",
        run: Run::OnDeployment(Kind::Completion, completions::run),
    },
    Operation {
        name: "embeddings",
        method: Method::POST,
        paths: &["openai/deployments/{}/embeddings", "openai/v1/embeddings", "models/embeddings"],
        data_action: "deployments/embeddings/action",
        run: Run::OnDeployment(Kind::Embedding, embeddings::run),
    },
    Operation {
        name: "audio-transcriptions",
        method: Method::POST,
        paths: &["openai/deployments/{}/audio/transcriptions", "openai/v1/audio/transcriptions"],
        data_action: "deployments/audio/action",
        run: Run::OnDeployment(Kind::Transcription, audio::transcribe),
    },
    Operation {
        name: "audio-translations",
        method: Method::POST,
        paths: &["openai/deployments/{}/audio/translations", "openai/v1/audio/translations"],
        data_action: "deployments/audio/action",
        run: Run::OnDeployment(Kind::Transcription, audio::translate),
    },
    Operation {
        name: "audio-speech",
        method: Method::POST,
        paths: &["openai/deployments/{}/audio/speech", "openai/v1/audio/speech"],
        data_action: "deployments/audio/action",
        run: Run::OnDeployment(Kind::Speech, speech::speak),
    },
    Operation {
        name: "images-generations",
        method: Method::POST,
        paths: &["openai/deployments/{}/images/generations", "openai/v1/images/generations"],
        data_action: "images/generations/action",
        run: Run::OnDeployment(Kind::Image, images::generate),
    },
    Operation {
        name: "images-submit",
        method: Method::POST,
        paths: &["openai/images/generations:submit"],
        data_action: "images/generations/action",
        run: Run::OnResource(images::submit),
    },
    Operation {
        name: "images-poll",
        method: Method::GET,
        paths: &["openai/operations/images/{}"],
        data_action: "images/generations/action",
        run: Run::OnResource(images::poll),
    },
    Operation {
        name: "realtime",
        method: Method::GET,
        paths: &["openai/realtime", "openai/v1/realtime"],
        data_action: "realtime/action",
        run: Run::OnDeployment(Kind::Realtime, realtime::open),
    },
    Operation {
        name: "models-list",
        method: Method::GET,
        paths: &["openai/models", "openai/v1/models"],
        data_action: "models/read",
        run: Run::OnResource(models::list),
    },
    Operation {
        name: "models-get",
        method: Method::GET,
        paths: &["openai/models/{}", "openai/v1/models/{}"],
        data_action: "models/read",
        run: Run::OnResource(models::get),
    },
];

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
        let segments = segments(&target::decode(call.path)).into_iter().map(str::to_owned).collect();
        Reading { method: call.method.clone(), segments }
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let v1 = segments.get(1).is_some_and(|part| part.eq_ignore_ascii_case("v1"));
    let surface = if v1 { Surface::V1 } else { Surface::Legacy };
    let found = if lenient { find_leniently(&method, &segments) } else { find(OPERATIONS, &method, &segments, false) };
    if let Some(found) = &found {
        call.record.note(|entry| entry.operation = Some(found.operation.name));
    }

    let principal = authenticate(azure, call, surface)?;
    let Some(Found { operation, pattern, named }) = found else {
        return Err(refusal::not_found(call));
    };
    check_api_version(call, surface)?;
    if let Some(object_id) = principal
        && !azure.directory.has_any_role(&object_id, &[Role::OpenAiUser])
    {
        return Err(refusal::role_missing(call, &object_id, operation, pattern));
    }
    let body = body?;
    let request = Request { azure, call, named, surface, body };
    let answer = match operation.run {
        Run::OnResource(run) => run(&request)?,
        Run::OnDeployment(kind, run) => {
            let name = named.or_else(|| request.body.text("model")).map(str::to_owned);
            let name = name.or_else(|| request.in_query(kind)).unwrap_or_default();
            let name = if lenient { name.to_ascii_lowercase() } else { name };
            call.record.note(|entry| entry.subject = Some(name.clone()));
            let deployment = deployments::find(&name)
                .ok_or_else(|| refusal::unknown_deployment(call, azure.options.unknown_deployment))?;
            if deployment.kind != kind {
                return Err(refusal::not_supported(call, operation.name, deployment));
            }
            run(&request, deployment)?
        }
    };
    call.record.note(|entry| entry.completed = true);
    Ok(answer)
}

/// An operation, the pattern that matched, and what stood for its `{}`.
struct Found<'a> {
    operation: &'static Operation,
    pattern: &'static str,
    named: Option<&'a str>,
}

/// What a careless server takes a request for: the operation's name, and what it names in its path.
pub(crate) fn recognise_leniently(reading: &Reading) -> Option<(&'static str, Option<String>)> {
    let segments: Vec<&str> = reading.segments.iter().map(String::as_str).collect();
    let found = find_leniently(&reading.method, &segments)?;
    Some((found.operation.name, found.named.map(str::to_ascii_lowercase)))
}

/// The same of a careful server.
pub(crate) fn recognise(method: &Method, raw_path: &str) -> Option<(&'static str, Option<String>)> {
    let path = target::decode(raw_path);
    let segments = segments(&path);
    let found = find(OPERATIONS, method, &segments, false);
    let found = found.or_else(|| find(unserved::OPERATIONS, method, &segments, false))?;
    Some((found.operation.name, found.named.map(str::to_owned)))
}

/// A doubled slash is accepted by the real service (H5).
fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// Ignores case, and knows what is not served besides.
fn find_leniently<'a>(method: &Method, segments: &[&'a str]) -> Option<Found<'a>> {
    find(OPERATIONS, method, segments, true).or_else(|| find(unserved::OPERATIONS, method, segments, true))
}

/// The first operation whose method and path fit; `fold` ignores case.
fn find<'a>(operations: &'static [Operation], method: &Method, segments: &[&'a str], fold: bool) -> Option<Found<'a>> {
    let same =
        |wanted: &str, given: &str| wanted == "{}" || wanted == given || (fold && wanted.eq_ignore_ascii_case(given));
    for operation in operations.iter().filter(|operation| operation.method == *method) {
        for pattern in operation.paths {
            let wanted: Vec<&str> = pattern.split('/').collect();
            let mut pairs = wanted.iter().zip(segments);
            if wanted.len() == segments.len() && pairs.all(|(wanted, given)| same(wanted, given)) {
                let place = wanted.iter().position(|part| *part == "{}");
                let named = place.and_then(|place| segments.get(place).copied());
                return Some(Found { operation, pattern, named });
            }
        }
    }
    None
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
