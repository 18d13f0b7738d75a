//! All operations (A3), kind by kind. To add one, add a line.

use hyper::Method;

use crate::answer::Answer;
use crate::openai::deployments::{Deployment, Kind};
use crate::openai::{
    Request, audio, batches, chat, completions, embeddings, files, images, models, realtime, responses, speech,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

/// Where a path begins that names its deployment, and where its body does so instead.
const DEPLOYMENT: &[&str] = &["openai/deployments/{deployment-id}", "openai/v1"];
/// The same, and Foundry's own.
const MODEL: &[&str] = &["openai/deployments/{deployment-id}", "openai/v1", "models"];
/// Where a path begins that has nothing to do with a deployment.
const ACCOUNT: &[&str] = &["openai", "openai/v1"];
/// What the v1 surface has not got.
const LEGACY: &[&str] = &["openai"];

/// One line of the table.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) method: Method,
    /// The beginnings of its paths.
    pub(super) roots: &'static [&'static str],
    /// What follows. Here and there, `{...}` stands for one segment.
    pub(super) path: &'static str,
    /// What the role has to cover (A1.5b), as Azure names it.
    pub(super) data: &'static str,
    pub(super) run: Run,
}

/// What an operation needs besides the request.
pub(super) enum Run {
    /// A deployment of this kind.
    Deployment(Kind, fn(&Request<'_>, &'static Deployment) -> Result<Answer, Answer>),
    /// Nothing.
    Resource(fn(&Request<'_>) -> Result<Answer, Answer>),
    /// Stored objects, which may be there or not. The lenient door asks for none of them: it takes the operation for done,
    /// since it judges who came so far.
    Objects(fn(&Request<'_>) -> Result<Answer, Answer>),
}

const CHAT: &str = "deployments/chat/completions";
const AUDIO: &str = "deployments/audio";
const IMAGES: &str = "images/generations";

pub(super) const OPERATIONS: &[Operation] = &[
    inference("chat-completions", MODEL, "chat/completions", CHAT, Kind::Chat, chat::run),
    inference("completions", DEPLOYMENT, "completions", "deployments/completions", Kind::Completion, completions::run),
    inference("embeddings", MODEL, "embeddings", "deployments/embeddings", Kind::Embedding, embeddings::run),
    inference(
        "audio-transcriptions",
        DEPLOYMENT,
        "audio/transcriptions",
        AUDIO,
        Kind::Transcription,
        audio::transcribe,
    ),
    inference("audio-translations", DEPLOYMENT, "audio/translations", AUDIO, Kind::Transcription, audio::translate),
    inference("audio-speech", DEPLOYMENT, "audio/speech", AUDIO, Kind::Speech, speech::speak),
    inference("images-generations", DEPLOYMENT, "images/generations", IMAGES, Kind::Image, images::generate),
    of_resource("images-submit", POST, LEGACY, "images/generations:submit", IMAGES, images::submit),
    of_resource("images-poll", GET, LEGACY, "operations/images/{operation-id}", IMAGES, images::poll),
    Operation {
        name: "realtime",
        method: GET,
        roots: ACCOUNT,
        path: "realtime",
        data: "realtime",
        run: Run::Deployment(Kind::Realtime, realtime::open),
    },
    of_resource("models-list", GET, ACCOUNT, "models", "models", models::list),
    of_resource("models-get", GET, ACCOUNT, "models/{model}", "models", models::get),
    object("files-create", POST, "files", "files", files::create),
    object("files-list", GET, "files", "files", files::list),
    object("files-get", GET, "files/{file-id}", "files", files::get),
    object("files-content", GET, "files/{file-id}/content", "files", files::content),
    object("files-delete", DELETE, "files/{file-id}", "files", files::delete),
    object("responses-create", POST, "responses", "responses", responses::create),
    object("responses-get", GET, "responses/{response-id}", "responses", responses::get),
    object("responses-delete", DELETE, "responses/{response-id}", "responses", responses::delete),
    object("responses-cancel", POST, "responses/{response-id}/cancel", "responses", responses::cancel),
    object("response-items-list", GET, "responses/{response-id}/input_items", "responses", responses::input_items),
    object("batches-create", POST, "batches", "batch-jobs", batches::create),
    object("batches-list", GET, "batches", "batch-jobs", batches::list),
    object("batches-get", GET, "batches/{batch-id}", "batch-jobs", batches::get),
    object("batches-cancel", POST, "batches/{batch-id}/cancel", "batch-jobs", batches::cancel),
];

const fn inference(
    name: &'static str,
    roots: &'static [&'static str],
    path: &'static str,
    data: &'static str,
    kind: Kind,
    run: fn(&Request<'_>, &'static Deployment) -> Result<Answer, Answer>,
) -> Operation {
    Operation { name, method: POST, roots, path, data, run: Run::Deployment(kind, run) }
}

const fn of_resource(
    name: &'static str,
    method: Method,
    roots: &'static [&'static str],
    path: &'static str,
    data: &'static str,
    run: fn(&Request<'_>) -> Result<Answer, Answer>,
) -> Operation {
    Operation { name, method, roots, path, data, run: Run::Resource(run) }
}

const fn object(
    name: &'static str,
    method: Method,
    path: &'static str,
    data: &'static str,
    run: fn(&Request<'_>) -> Result<Answer, Answer>,
) -> Operation {
    Operation { name, method, roots: ACCOUNT, path, data, run: Run::Objects(run) }
}

// === impl Operation ===

impl Operation {
    /// For A1.5b: what is done, and by what.
    pub(super) fn data_action(&self) -> String {
        let verb = match (&self.run, &self.method) {
            (Run::Deployment(..), _) => "action",
            (_, &Method::GET) => "read",
            (_, &Method::DELETE) => "delete",
            _ => "write",
        };
        format!("{}/{verb}", self.data)
    }
}
