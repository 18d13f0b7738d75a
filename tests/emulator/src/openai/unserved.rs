//! Operations that the emulator does not serve. The lenient door takes them for done, so that whoever lets one through
//! without leave is caught.

use hyper::{Method, StatusCode};

use super::{Operation, Request, Run, reply};
use crate::answer::Answer;

const fn unserved(name: &'static str, method: Method, paths: &'static [&'static str]) -> Operation {
    Operation { name, method, paths, data_action: "", run: Run::OnResource(done) }
}

pub(super) const OPERATIONS: &[Operation] = &[
    unserved("files-create", Method::POST, &["openai/files", "openai/v1/files", "api/projects/{}/openai/v1/files"]),
    unserved("files-list", Method::GET, &["openai/files", "openai/v1/files"]),
    unserved("files-content", Method::GET, &["openai/files/{}/content", "openai/v1/files/{}/content"]),
    unserved("files-delete", Method::DELETE, &["openai/files/{}", "openai/v1/files/{}"]),
    unserved("vector-stores-create", Method::POST, &["openai/vector_stores", "openai/v1/vector_stores"]),
    unserved("batches-create", Method::POST, &["openai/batches", "openai/v1/batches", "anthropic/v1/messages/batches"]),
    unserved(
        "responses-create",
        Method::POST,
        &["openai/responses", "openai/v1/responses", "api/projects/{}/openai/v1/responses"],
    ),
    unserved("responses-get", Method::GET, &["openai/responses/{}", "openai/v1/responses/{}"]),
    unserved("stored-chats-list", Method::GET, &["openai/v1/chat/completions"]),
    unserved("assistants-create", Method::POST, &["openai/assistants", "openai/v1/assistants"]),
    unserved("threads-run", Method::POST, &["openai/threads/{}/runs", "openai/v1/threads/{}/runs"]),
    unserved("fine-tuning-create", Method::POST, &["openai/fine_tuning/jobs", "openai/v1/fine_tuning/jobs"]),
    unserved("models-delete", Method::DELETE, &["openai/models/{}", "openai/v1/models/{}"]),
    unserved("evals-create", Method::POST, &["openai/evals", "openai/v1/evals"]),
    unserved("realtime-secrets", Method::POST, &["openai/v1/realtime/client_secrets", "openai/realtimeapi/sessions"]),
    unserved("deployments-put", Method::PUT, &["openai/deployments/{}"]),
    unserved("agents-create", Method::POST, &["api/projects/{}/agents"]),
];

#[expect(clippy::unnecessary_wraps, reason = "it stands in the table of operations")]
fn done(request: &Request<'_>) -> Result<Answer, Answer> {
    Ok(reply::api(request.call, StatusCode::OK).json("{}"))
}
