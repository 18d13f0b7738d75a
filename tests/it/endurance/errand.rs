//! What clients want: each errand with a name of its own, by which the gateway's line, Azure's journal and the client's
//! memory of it are found again, and which every answer must repeat.

use azure_emulator::ClientKeys;
use bytes::Bytes;
use http::Request;
use keyswap::keys::Digest;
use serde_json::json;

use super::caller::{Framing, Upload};
use super::dice::Dice;
use crate::websocket::noise;
use crate::world::{CHAT, SEARCH, saying};

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    Chat,
    /// A chat whose answer comes in events.
    Stream,
    /// The same, and the client goes before it has all.
    LeftStream,
    Search,
    /// Documents for an index.
    Documents,
    /// A chat that has much to say.
    LongChat,
    /// A recording to be written down.
    Recording,
    /// A file to be kept.
    File,
    /// Something with a key that is not listed.
    WrongKey,
    /// A realtime websocket.
    Talk,
}

/// What Azure does to the connection of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// It answers, and closes the connection without a word of that.
    HangsUp,
    /// It resets the connection when the request has come.
    Resets,
    /// It resets the connection after so many bytes of its answer.
    Cuts(usize),
}

/// A request to be made.
pub(super) struct Plea {
    pub(super) target: String,
    pub(super) key: String,
    content_type: String,
    pub(super) body: Bytes,
    framing: Framing,
    /// What the answer has to hold.
    pub(super) expected: String,
}

/// How often each errand is run, the talks aside: they have clients of their own.
const OFTEN: [(u64, Errand); 9] = [
    (30, Errand::Chat),
    (18, Errand::Stream),
    (4, Errand::LeftStream),
    (24, Errand::Search),
    (6, Errand::Documents),
    (5, Errand::LongChat),
    (6, Errand::Recording),
    (4, Errand::File),
    (3, Errand::WrongKey),
];

/// The largest upload, in bytes: some are longer than what is kept for a second try.
const LARGEST: usize = 200_000;

const BOUNDARY: &str = "endurance";

impl Errand {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        dice.weighed(&OFTEN)
    }

    /// What may happen to it on Azure's side.
    pub(super) fn draw_trouble(self, dice: &mut Dice, per_mille: u64) -> Option<Trouble> {
        let happens = dice.happens(per_mille);
        let trouble = dice.weighed(&[(2, Trouble::HangsUp), (1, Trouble::Resets), (1, Trouble::Cuts(0))]);
        let byte = dice.index(200);
        let is_spared = matches!(self, Self::LeftStream | Self::WrongKey | Self::Talk);
        let trouble = if let Trouble::Cuts(_) = trouble { Trouble::Cuts(byte) } else { trouble };
        (happens && !is_spared).then_some(trouble)
    }

    /// Whether the gateway may send it a second time, and has kept enough of it for that.
    pub(super) fn is_repeatable(self, sent: usize) -> bool {
        !matches!(self, Self::Documents | Self::File | Self::Talk) && sent <= 64 * 1024
    }

    /// Makes the request that goes by this name.
    pub(super) fn plea(self, name: &str, keys: &ClientKeys, dice: &mut Dice) -> Plea {
        let length = dice.index(LARGEST);
        let framing = if dice.happens(500) { Framing::Length } else { Framing::Chunks };
        let of_json = |target: &str, key: &str, body: serde_json::Value| Plea {
            target: target.to_owned(),
            key: key.to_owned(),
            content_type: "application/json".to_owned(),
            body: body.to_string().into(),
            framing,
            expected: name.to_owned(),
        };
        let of_form = |target: &str, fields: &[(&str, &str)], file: &[u8], expected: String| Plea {
            target: target.to_owned(),
            key: keys.openai.clone(),
            content_type: format!("multipart/form-data; boundary={BOUNDARY}"),
            body: form(fields, name, file),
            framing,
            expected,
        };
        match self {
            Self::Chat => of_json(CHAT, &keys.openai, saying(name)),
            Self::WrongKey => Plea {
                expected: "Access denied due to invalid subscription key".to_owned(),
                ..of_json(CHAT, &"f".repeat(32), saying(name))
            },
            Self::Stream | Self::LeftStream => {
                let mut said = saying(&format!("{name} {}", "and so on ".repeat(20)));
                said["stream"] = json!(true);
                of_json(CHAT, &keys.openai, said)
            }
            Self::Search => Plea {
                expected: "\"value\":[".to_owned(),
                ..of_json(SEARCH, &keys.search_query, json!({"search": "*", "top": 5}))
            },
            Self::Documents => {
                let document = json!({"@search.action": "mergeOrUpload", "HotelId": "endurance", "HotelName": name});
                let target = "/indexes('hotels')/docs/search.index?api-version=2024-07-01";
                let plea = of_json(target, &keys.search_admin, json!({"value": [document]}));
                Plea { expected: "\"status\":true".to_owned(), ..plea }
            }
            Self::LongChat => of_json(CHAT, &keys.openai, saying(&format!("{} {name}", "x".repeat(length)))),
            Self::Recording => {
                let recording = noise(length);
                let target = "/openai/deployments/whisper/audio/transcriptions?api-version=2024-10-21";
                of_form(target, &[], &recording, Digest::of(&recording).to_string())
            }
            Self::File => {
                let target = "/openai/files?api-version=2024-10-21";
                of_form(target, &[("purpose", "assistants")], &noise(length), name.to_owned())
            }
            Self::Talk => unreachable!("a talk is no single request"),
        }
    }
}

impl Plea {
    /// The request itself.
    pub(super) fn request(&self, name: &str) -> Request<Upload> {
        Request::post(&self.target)
            .header("host", "localhost")
            .header("user-agent", name)
            .header("api-key", &self.key)
            .header("content-type", &self.content_type)
            .body(Upload::new(self.body.clone(), self.framing))
            .unwrap()
    }
}

fn form(fields: &[(&str, &str)], name: &str, file: &[u8]) -> Bytes {
    let part = |disposition: &str| format!("--{BOUNDARY}\r\ncontent-disposition: form-data; {disposition}\r\n");
    let mut body = Vec::new();
    for (field, value) in fields {
        body.extend(format!("{}\r\n{value}\r\n", part(&format!("name=\"{field}\""))).bytes());
    }
    let head = part(&format!("name=\"file\"; filename=\"{name}\""));
    body.extend(format!("{head}content-type: application/octet-stream\r\n\r\n").bytes());
    body.extend(file);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
    body.into()
}
