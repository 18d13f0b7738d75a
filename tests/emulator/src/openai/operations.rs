//! All operations (A3), kind by kind. To add one, add a line.

use hyper::Method;

use crate::answer::Answer;
use crate::openai::deployments::{Deployment, Kind};
use crate::openai::vector_stores::contents;
use crate::openai::{
    Request, assistants, audio, batches, chat, completions, conversations, embeddings, files, fine_tuning, images,
    messages, models, realtime, responses, runs, speech, stored_chats, threads, uploads, vector_stores,
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
/// What the legacy surface has not got.
const V1: &[&str] = &["openai/v1"];
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
const STORES: &str = "assistants/vector_stores";
const TALKS: &str = "conversations";
const CHATS: &str = "stored-completions";
const BATCHES: &str = "batch-jobs";
const TUNES: &str = "fine-tunes";
const THREADS: &str = "assistants/threads";
const MESSAGES: &str = "assistants/threads/messages";
const RUNS: &str = "assistants/threads/runs";

pub(super) const OPERATIONS: &[Operation] = &[
    // Models that answer.
    inference("chat-completions", FOUNDRY, "chat/completions", CHAT, Kind::Chat, chat::run),
    inference("completions", MODEL, "completions", "deployments/completions", Kind::Completion, completions::run),
    inference("embeddings", FOUNDRY, "embeddings", "deployments/embeddings", Kind::Embedding, embeddings::run),
    inference("audio-transcriptions", MODEL, "audio/transcriptions", AUDIO, Kind::Transcription, audio::transcribe),
    inference("audio-translations", MODEL, "audio/translations", AUDIO, Kind::Transcription, audio::translate),
    inference("audio-speech", MODEL, "audio/speech", AUDIO, Kind::Speech, speech::speak),
    inference("images-generations", MODEL, "images/generations", IMAGES, Kind::Image, images::generate),
    inference("images-edits", MODEL, "images/edits", IMAGES, Kind::Image, images::edit),
    alone("images-submit", POST, LEGACY, "images/generations:submit", IMAGES, images::submit),
    alone("images-poll", GET, LEGACY, "operations/images/{operation}", IMAGES, images::poll),
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
    object("models-delete", DELETE, "models/{model}", "models", models::delete),
    // Files, whole and in parts.
    object("files-create", POST, "files", "files", files::create),
    object("files-list", GET, "files", "files", files::list),
    object("files-get", GET, "files/{file}", "files", files::get),
    object("files-content", GET, "files/{file}/content", "files", files::content),
    object("files-delete", DELETE, "files/{file}", "files", files::delete),
    object("uploads-create", POST, "uploads", "files", uploads::create),
    object("uploads-add-part", POST, "uploads/{upload}/parts", "files", uploads::add_part),
    object("uploads-complete", POST, "uploads/{upload}/complete", "files", uploads::complete),
    object("uploads-cancel", POST, "uploads/{upload}/cancel", "files", uploads::cancel),
    // Vector stores, and the files in them.
    object("vector-stores-create", POST, "vector_stores", STORES, vector_stores::create),
    object("vector-stores-list", GET, "vector_stores", STORES, vector_stores::list),
    object("vector-stores-get", GET, "vector_stores/{store}", STORES, vector_stores::get),
    object("vector-stores-update", POST, "vector_stores/{store}", STORES, vector_stores::update),
    object("vector-stores-delete", DELETE, "vector_stores/{store}", STORES, vector_stores::delete),
    object("vector-stores-search", POST, "vector_stores/{store}/search", STORES, vector_stores::search),
    object("store-files-add", POST, "vector_stores/{store}/files", STORES, contents::add),
    object("store-files-list", GET, "vector_stores/{store}/files", STORES, contents::list),
    object("store-files-get", GET, "vector_stores/{store}/files/{file}", STORES, contents::get),
    object("store-files-update", POST, "vector_stores/{store}/files/{file}", STORES, contents::update),
    object("store-files-content", GET, "vector_stores/{store}/files/{file}/content", STORES, contents::content),
    object("store-files-remove", DELETE, "vector_stores/{store}/files/{file}", STORES, contents::remove),
    object("store-batches-add", POST, "vector_stores/{store}/file_batches", STORES, contents::add_batch),
    object("store-batches-get", GET, "vector_stores/{store}/file_batches/{batch}", STORES, contents::get_batch),
    object("store-batches-cancel", POST, "vector_stores/{store}/file_batches/{batch}/cancel", STORES, contents::cancel),
    object("store-batches-list", GET, "vector_stores/{store}/file_batches/{batch}/files", STORES, contents::list_batch),
    // Responses, and the conversations that they are part of.
    object("responses-create", POST, "responses", "responses", responses::create),
    object("responses-get", GET, "responses/{response}", "responses", responses::get),
    object("responses-delete", DELETE, "responses/{response}", "responses", responses::delete),
    object("responses-cancel", POST, "responses/{response}/cancel", "responses", responses::cancel),
    object("response-items-list", GET, "responses/{response}/input_items", "responses", responses::input_items),
    of_v1("conversations-create", POST, "conversations", TALKS, conversations::create),
    of_v1("conversations-get", GET, "conversations/{talk}", TALKS, conversations::get),
    of_v1("conversations-update", POST, "conversations/{talk}", TALKS, conversations::update),
    of_v1("conversations-delete", DELETE, "conversations/{talk}", TALKS, conversations::delete),
    of_v1("conversations-add-items", POST, "conversations/{talk}/items", TALKS, conversations::add_items),
    of_v1("conversations-items-list", GET, "conversations/{talk}/items", TALKS, conversations::list_items),
    of_v1("conversations-item-get", GET, "conversations/{talk}/items/{item}", TALKS, conversations::get_item),
    of_v1("conversations-item-delete", DELETE, "conversations/{talk}/items/{item}", TALKS, conversations::delete_item),
    // Chats that were stored.
    of_v1("stored-chats-list", GET, "chat/completions", CHATS, stored_chats::list),
    of_v1("stored-chats-get", GET, "chat/completions/{chat}", CHATS, stored_chats::get),
    of_v1("stored-chats-update", POST, "chat/completions/{chat}", CHATS, stored_chats::update),
    of_v1("stored-chats-delete", DELETE, "chat/completions/{chat}", CHATS, stored_chats::delete),
    of_v1("stored-chats-messages-list", GET, "chat/completions/{chat}/messages", CHATS, stored_chats::messages),
    // Batches.
    object("batches-create", POST, "batches", BATCHES, batches::create),
    object("batches-list", GET, "batches", BATCHES, batches::list),
    object("batches-get", GET, "batches/{batch}", BATCHES, batches::get),
    object("batches-cancel", POST, "batches/{batch}/cancel", BATCHES, batches::cancel),
    // Assistants, and what is said to them.
    object("assistants-create", POST, "assistants", "assistants", assistants::create),
    object("assistants-list", GET, "assistants", "assistants", assistants::list),
    object("assistants-get", GET, "assistants/{assistant}", "assistants", assistants::get),
    object("assistants-update", POST, "assistants/{assistant}", "assistants", assistants::update),
    object("assistants-delete", DELETE, "assistants/{assistant}", "assistants", assistants::delete),
    object("threads-create", POST, "threads", THREADS, threads::create),
    object("runs-create-with-thread", POST, "threads/runs", RUNS, runs::create_with_thread),
    object("threads-get", GET, "threads/{thread}", THREADS, threads::get),
    object("threads-update", POST, "threads/{thread}", THREADS, threads::update),
    object("threads-delete", DELETE, "threads/{thread}", THREADS, threads::delete),
    object("messages-create", POST, "threads/{thread}/messages", MESSAGES, messages::create),
    object("messages-list", GET, "threads/{thread}/messages", MESSAGES, messages::list),
    object("messages-get", GET, "threads/{thread}/messages/{message}", MESSAGES, messages::get),
    object("messages-update", POST, "threads/{thread}/messages/{message}", MESSAGES, messages::update),
    object("messages-delete", DELETE, "threads/{thread}/messages/{message}", MESSAGES, messages::delete),
    object("runs-create", POST, "threads/{thread}/runs", RUNS, runs::create),
    object("runs-list", GET, "threads/{thread}/runs", RUNS, runs::list),
    object("runs-get", GET, "threads/{thread}/runs/{run}", RUNS, runs::get),
    object("runs-update", POST, "threads/{thread}/runs/{run}", RUNS, runs::update),
    object("runs-cancel", POST, "threads/{thread}/runs/{run}/cancel", RUNS, runs::cancel),
    object("runs-submit", POST, "threads/{thread}/runs/{run}/submit_tool_outputs", RUNS, runs::submit),
    object("runs-steps-list", GET, "threads/{thread}/runs/{run}/steps", RUNS, runs::steps),
    object("runs-step-get", GET, "threads/{thread}/runs/{run}/steps/{step}", RUNS, runs::step),
    // Fine-tuning.
    object("fine-tuning-create", POST, "fine_tuning/jobs", TUNES, fine_tuning::create),
    object("fine-tuning-list", GET, "fine_tuning/jobs", TUNES, fine_tuning::list),
    object("fine-tuning-get", GET, "fine_tuning/jobs/{job}", TUNES, fine_tuning::get),
    object("fine-tuning-cancel", POST, "fine_tuning/jobs/{job}/cancel", TUNES, fine_tuning::cancel),
    object("fine-tuning-events-list", GET, "fine_tuning/jobs/{job}/events", TUNES, fine_tuning::events),
    object("fine-tuning-checkpoints-list", GET, "fine_tuning/jobs/{job}/checkpoints", TUNES, fine_tuning::checkpoints),
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

const fn of_v1(
    name: &'static str,
    method: Method,
    path: &'static str,
    data: &'static str,
    run: fn(&Request<'_>) -> Result<Answer, Answer>,
) -> Operation {
    Operation { name, method, roots: V1, path, data, needs: Needs::Objects(run) }
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
