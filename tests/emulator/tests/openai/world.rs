//! An emulator with a token for Azure OpenAI in hand.

use azure_emulator::{Door, Options};
use bytes::Bytes;
use serde_json::Value;

use crate::bench::{Ask, Bench, Reply};

pub(super) struct World {
    pub(super) bench: Bench,
    token: String,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        let bench = Bench::with(options).await;
        let token = bench.openai_token().await;
        Self { bench, token }
    }

    pub(super) fn ask(&self, method: &str, target: &str) -> Ask<'_> {
        self.bench.openai(method, target).bearer(&self.token)
    }

    /// On the v1 surface; an answer of this status.
    pub(super) async fn call(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        let ask = self.ask(method, &format!("/openai/v1/{path}"));
        let ask = if body.is_null() { ask } else { ask.body(body.to_string()) };
        let reply = ask.send().await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        reply.json()
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, Value::Null, 200).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, body, 200).await
    }

    pub(super) async fn delete(&self, path: &str) -> Value {
        self.call("DELETE", path, Value::Null, 200).await
    }

    /// A file, uploaded.
    pub(super) async fn upload(&self, target: &str, purpose: &str, name: &str, content: &[u8]) -> Reply {
        let form = form(&[("purpose", None, purpose.as_bytes()), ("file", Some(name), content)]);
        self.ask("POST", target).header("content-type", FORM).body(form).send().await
    }

    /// A file on the v1 surface; its id.
    pub(super) async fn file(&self, purpose: &str, content: &str) -> String {
        let reply = self.upload("/openai/v1/files", purpose, "notes.txt", content.as_bytes()).await;
        id(&reply.json())
    }

    /// Where we are reached.
    pub(super) fn origin(&self) -> String {
        self.bench.emulator.openai(Door::Behind)
    }
}

pub(super) const FORM: &str = "multipart/form-data; boundary=XX";

/// A multipart form of these fields, each with the name of its file, if it is one.
pub(super) fn form(fields: &[(&str, Option<&str>, &[u8])]) -> Bytes {
    let mut form = Vec::new();
    for (name, file, content) in fields {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        form.extend(format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").into_bytes());
        form.extend(*content);
        form.extend(b"\r\n");
    }
    form.extend(b"--XX--\r\n");
    Bytes::from(form)
}

pub(super) fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

/// The ids of a list.
pub(super) fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().expect("a list").iter().map(id).collect()
}
