//! The clients: for each right two, one that keeps its connection and one that opens another for each request. They know both
//! replicas, and ask one that says it is ready, as any balancer would have them do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::replica::Door;
use super::rights::{Book, Fate, Memory};
use crate::closing_table::{OPENAI_WRONG_KEY, SEARCH_WRONG_KEY};
use crate::endurance::caller::{Caller, End, Framing, Front, Seen, Upload};
use crate::world::{CHAT, SEARCH, saying};

/// What a client does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    Chat,
    Search,
    /// Writes documents.
    Index,
    /// Lists what was uploaded to the models.
    Files,
}

/// All clients that have come.
pub(super) struct Crowd {
    book: Arc<Book>,
    doors: [Door; 2],
    clients: JoinSet<()>,
    leave: CancellationToken,
}

/// Somebody who runs an errand, and one only, with one key.
struct Client {
    right: String,
    key: String,
    errand: Errand,
    /// One for each door.
    callers: [Caller; 2],
}

/// Between two requests of a client: the machine has other work, too.
const PAUSE: Duration = Duration::from_millis(25);

/// What a good key is told that is not granted files.
const NO_FILES: &str = r#"{"error":{"code":"PermissionDenied","message":"This key may not use files operations. Ask the gateway's owner to grant 'files'.","type":"invalid_request_error","param":null}}"#;

impl Crowd {
    pub(super) fn new(book: &Arc<Book>, doors: [Door; 2]) -> Self {
        Self { book: book.clone(), doors, clients: JoinSet::new(), leave: CancellationToken::new() }
    }

    /// Has the clients of a right come.
    pub(super) fn come(&mut self, right: &str) {
        let (key, errand) = self.book.right(right, |right| (right.key.clone(), right.errand));
        let front = if self.clients.len().is_multiple_of(4) { Front::Http2 } else { Front::Http1OverTls };
        for (front, keeps) in [(front, true), (Front::Http1, false)] {
            let callers = self.doors.each_ref().map(|door| Caller::new(&door.place, front, keeps));
            let client = Client { right: right.to_owned(), key: key.clone(), errand, callers };
            self.clients.spawn(client.go_on(self.book.clone(), self.doors.clone(), self.leave.clone()));
        }
    }

    /// Lets every client end what it has begun.
    pub(super) async fn leave(&mut self) {
        self.leave.cancel();
        while let Some(left) = self.clients.join_next().await {
            left.unwrap();
        }
    }
}

// === impl Client ===

impl Client {
    async fn go_on(mut self, book: Arc<Book>, doors: [Door; 2], leave: CancellationToken) {
        static TURNS: AtomicUsize = AtomicUsize::new(0);
        while !leave.is_cancelled() {
            let turn = TURNS.fetch_add(1, Ordering::Relaxed);
            let ready: Vec<usize> = (0..doors.len()).filter(|door| doors[*door].is_ready()).collect();
            let name = format!("turn-{turn}.");
            let sent = SystemTime::now();
            let fate = match ready.get(turn % ready.len().max(1)) {
                Some(door) => {
                    let seen = self.callers[*door].ask(self.request(&name), None).await;
                    self.fate(&name, &seen)
                }
                None => Fate::Neither("no replica is ready".to_owned()),
            };
            book.note(&self.right, Memory { sent, answered: SystemTime::now(), fate });
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = leave.cancelled() => {}
            }
        }
    }

    fn request(&self, name: &str) -> Request<Upload> {
        let (target, body) = match self.errand {
            Errand::Files => {
                let request = Request::get("/openai/files?api-version=2024-10-21").header("host", "localhost");
                return request.header("api-key", &self.key).body(Upload::new(Bytes::new(), Framing::Length)).unwrap();
            }
            Errand::Chat => (CHAT, saying(name)),
            Errand::Search => (SEARCH, json!({"search": "*", "top": 1})),
            Errand::Index => {
                let document = json!({"@search.action": "mergeOrUpload", "HotelId": "life", "HotelName": name});
                ("/indexes('hotels')/docs/search.index?api-version=2024-07-01", json!({"value": [document]}))
            }
        };
        Request::post(target)
            .header("host", "localhost")
            .header("api-key", &self.key)
            .header("content-type", "application/json")
            .body(Upload::new(Bytes::from(body.to_string()), Framing::Length))
            .unwrap()
    }

    fn fate(&self, name: &str, seen: &Seen) -> Fate {
        let Seen { status, reason, body, end, .. } = seen;
        let text = String::from_utf8_lossy(body);
        let (refused, served) = match self.errand {
            Errand::Chat => ((401, OPENAI_WRONG_KEY), name),
            Errand::Search => ((403, SEARCH_WRONG_KEY), "\"HotelId\""),
            // Azure's answer to a query key that writes is that to a wrong key.
            Errand::Index => ((403, SEARCH_WRONG_KEY), "\"status\":true"),
            Errand::Files => ((403, NO_FILES), "\"object\""),
        };
        match (end, status) {
            (End::Whole, Some(200)) if text.contains(served) => Fate::Passed,
            (End::Whole, Some(status)) if (*status, &*text) == refused => Fate::Refused,
            (End::BrokenOff(why), Some(200)) => Fate::BrokenOff(format!("{why} {text}")),
            _ => Fate::Neither(format!("{status:?} {reason:?} {end:?} {text}")),
        }
    }
}
