//! All operations (A3), kind by kind. To add one, add a line.

use hyper::Method;

use crate::answer::Answer;
use crate::openai::deployments::{Deployment, Kind};
use crate::openai::{
    Request, assistants, audio, batches, chat, completions, embeddings, files, images, messages, models, realtime,
    responses, runs, speech, threads,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

/// Where a path begins that names a deployment, and where the body does so instead.
const MODEL: &[&str] = &["openai/deployments/{deployment-id}", "openai/v1"];
/// The same, and Foundry's own.
const FOUNDRY: &[&str] = &["openai/deployments/{deployment-id}", "openai/v1", "models"];
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
    pub(super) needs: Needs,
}

/// What an operation needs besides the request, and what it does.
pub(super) enum Needs {
    /// A deployment of this kind.
    Deployment(Kind, fn(&Request<'_>, &'static Deployment) -> Result<Answer, Answer>),
    /// Nothing.
    Nothing(fn(&Request<'_>) -> Result<Answer, Answer>),
    /// Stored objects, which may be there or not. The lenient door asks for none of them: it takes the operation for done,
    /// since it judges who came so far.
    Objects(fn(&Request<'_>) -> Result<Answer, Answer>),
}

const CHAT: &str = "deployments/chat/completions";
const AUDIO: &str = "deployments/audio";
const IMAGES: &str = "images/generations";
const THREADS: &str = "assistants/threads";
const MESSAGES: &str = "assistants/threads/messages";
const RUNS: &str = "assistants/threads/runs";

pub(super) const OPERATIONS: &[Operation] = &[
    inference("chat-completions", FOUNDRY, "chat/completions", CHAT, Kind::Chat, chat::run),
    inference("completions", MODEL, "completions", "deployments/completions", Kind::Completion, completions::run),
    inference("embeddings", FOUNDRY, "embeddings", "deployments/embeddings", Kind::Embedding, embeddings::run),
    inference("audio-transcriptions", MODEL, "audio/transcriptions", AUDIO, Kind::Transcription, audio::transcribe),
    inference("audio-translations", MODEL, "audio/translations", AUDIO, Kind::Transcription, audio::translate),
    inference("audio-speech", MODEL, "audio/speech", AUDIO, Kind::Speech, speech::speak),
    inference("images-generations", MODEL, "images/generations", IMAGES, Kind::Image, images::generate),
    alone("images-submit", POST, LEGACY, "images/generations:submit", IMAGES, images::submit),
    alone("images-poll", GET, LEGACY, "operations/images/{operation-id}", IMAGES, images::poll),
    Operation {
        name: "realtime",
        method: GET,
        roots: ACCOUNT,
        path: "realtime",
        data: "realtime",
        needs: Needs::Deployment(Kind::Realtime, realtime::open),
    },
    alone("models-list", GET, ACCOUNT, "models", "models", models::list),
    alone("models-get", GET, ACCOUNT, "models/{model}", "models", models::get),
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
    object("assistants-create", POST, "assistants", "assistants", assistants::create),
    object("assistants-list", GET, "assistants", "assistants", assistants::list),
    object("assistants-get", GET, "assistants/{assistant-id}", "assistants", assistants::get),
    object("assistants-update", POST, "assistants/{assistant-id}", "assistants", assistants::update),
    object("assistants-delete", DELETE, "assistants/{assistant-id}", "assistants", assistants::delete),
    object("threads-create", POST, "threads", THREADS, threads::create),
    object("runs-create-with-thread", POST, "threads/runs", RUNS, runs::create_with_thread),
    object("threads-get", GET, "threads/{thread-id}", THREADS, threads::get),
    object("threads-update", POST, "threads/{thread-id}", THREADS, threads::update),
    object("threads-delete", DELETE, "threads/{thread-id}", THREADS, threads::delete),
    object("messages-create", POST, "threads/{thread-id}/messages", MESSAGES, messages::create),
    object("messages-list", GET, "threads/{thread-id}/messages", MESSAGES, messages::list),
    object("messages-get", GET, "threads/{thread-id}/messages/{message-id}", MESSAGES, messages::get),
    object("messages-update", POST, "threads/{thread-id}/messages/{message-id}", MESSAGES, messages::update),
    object("messages-delete", DELETE, "threads/{thread-id}/messages/{message-id}", MESSAGES, messages::delete),
    object("runs-create", POST, "threads/{thread-id}/runs", RUNS, runs::create),
    object("runs-list", GET, "threads/{thread-id}/runs", RUNS, runs::list),
    object("runs-get", GET, "threads/{thread-id}/runs/{run-id}", RUNS, runs::get),
    object("runs-update", POST, "threads/{thread-id}/runs/{run-id}", RUNS, runs::update),
    object("runs-cancel", POST, "threads/{thread-id}/runs/{run-id}/cancel", RUNS, runs::cancel),
    object("runs-submit", POST, "threads/{thread-id}/runs/{run-id}/submit_tool_outputs", RUNS, runs::submit),
    object("runs-steps-list", GET, "threads/{thread-id}/runs/{run-id}/steps", RUNS, runs::steps),
    object("runs-step-get", GET, "threads/{thread-id}/runs/{run-id}/steps/{step-id}", RUNS, runs::step),
];

const fn inference(
    name: &'static str,
    roots: &'static [&'static str],
    path: &'static str,
    data: &'static str,
    kind: Kind,
    run: fn(&Request<'_>, &'static Deployment) -> Result<Answer, Answer>,
) -> Operation {
    Operation { name, method: POST, roots, path, data, needs: Needs::Deployment(kind, run) }
}

const fn alone(
    name: &'static str,
    method: Method,
    roots: &'static [&'static str],
    path: &'static str,
    data: &'static str,
    run: fn(&Request<'_>) -> Result<Answer, Answer>,
) -> Operation {
    Operation { name, method, roots, path, data, needs: Needs::Nothing(run) }
}

const fn object(
    name: &'static str,
    method: Method,
    path: &'static str,
    data: &'static str,
    run: fn(&Request<'_>) -> Result<Answer, Answer>,
) -> Operation {
    Operation { name, method, roots: ACCOUNT, path, data, needs: Needs::Objects(run) }
}

// === impl Operation ===

impl Operation {
    /// For A1.5b: what is done, and by what.
    pub(super) fn data_action(&self) -> String {
        let verb = match (&self.needs, &self.method) {
            (Needs::Deployment(..), _) | (Needs::Nothing(_), &Method::POST) => "action",
            (_, &Method::GET) => "read",
            (_, &Method::DELETE) => "delete",
            _ => "write",
        };
        format!("{}/{verb}", self.data)
    }
}
