//! Why requests were refused or failed: one by its id, or the newest.

use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Admin;
use crate::recorder::{Extent, MOST};

/// How many of the newest are shown.
const NEWEST: usize = 50;

/// How many of them may be of one client, reason and resource: a flood of one kind would hide all else.
const NEWEST_OF_A_KIND: usize = 10;

/// `/why/REQUEST-ID`: what is told of one request.
pub(super) async fn one(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let recorder = &admin.gateway.load().recorder;
    match recorder.account(&id) {
        Some(account) => json_page(Bytes::from_owner(account)),
        None => (StatusCode::NOT_FOUND, json_page(not_kept(recorder.extent()).into())).into_response(),
    }
}

/// `/why`: what is told of the newest.
pub(super) async fn newest(State(admin): State<Admin>) -> Response {
    let recorder = &admin.gateway.load().recorder;
    let Extent { since, kept } = recorder.extent();
    let head = format!("{{\"since\":\"{}\",\"kept\":{kept},\"newest\":[", written(since));
    // The accounts are JSON already.
    let accounts = recorder.newest(NEWEST, NEWEST_OF_A_KIND).join(&b","[..]);
    json_page([head.as_bytes(), &accounts, b"]}"].concat().into())
}

/// What is said in place of a request that is not kept: what is, and where to look else.
fn not_kept(Extent { since, kept }: Extent) -> String {
    let since = written(since);
    let text = format!(
        "No such request is kept. Kept are the newest {MOST} that keyswap has refused, or that failed or broke off for its own or \
         Azure's fault ({kept} at the moment), since it was started ({since}); those that went well are not, nor what Azure \
         alone has refused, which has no x-keyswap-reason. Another replica may have had it. Every request has its line on \
         standard output, with its id in the field request."
    );
    json!({ "since": since, "kept": kept, "error": text }).to_string()
}

fn json_page(page: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], page).into_response()
}

fn written(moment: SystemTime) -> String {
    let moment = OffsetDateTime::from(moment).replace_nanosecond(0);
    // Whatever the clock of a machine shows has a year of four digits.
    moment.ok().and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}
