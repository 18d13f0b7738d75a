//! Operations that the emulator does not serve. The lenient door takes them for done, so that whoever lets one through
//! without leave is caught.

use hyper::{Method, StatusCode};

use super::operations::{Needs, Operation};
use super::{Request, reply};
use crate::answer::Answer;

const ACCOUNT: &[&str] = &["openai", "openai/v1"];
const PROJECT: &[&str] = &["api/projects/{project}"];
const PROJECT_V1: &[&str] = &["api/projects/{project}/openai/v1"];

const fn unserved(name: &'static str, method: Method, roots: &'static [&'static str], path: &'static str) -> Operation {
    Operation { name, method, roots, path, data: "", needs: Needs::Objects(done) }
}

pub(super) const OPERATIONS: &[Operation] = &[
    unserved("files-create", Method::POST, PROJECT_V1, "files"),
    unserved("batches-create", Method::POST, &["anthropic/v1"], "messages/batches"),
    unserved("responses-create", Method::POST, PROJECT_V1, "responses"),
    unserved("evals-create", Method::POST, ACCOUNT, "evals"),
    unserved("realtime-secrets", Method::POST, &["openai/v1"], "realtime/client_secrets"),
    unserved("realtime-secrets", Method::POST, &["openai"], "realtimeapi/sessions"),
    unserved("deployments-put", Method::PUT, &["openai"], "deployments/{deployment-id}"),
    unserved("agents-create", Method::POST, PROJECT, "agents"),
];

#[expect(clippy::unnecessary_wraps, reason = "it stands in the table of operations")]
pub(super) fn done(request: &Request<'_>) -> Result<Answer, Answer> {
    Ok(reply::api(request.call, StatusCode::OK).json("{}"))
}
