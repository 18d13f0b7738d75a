//! A talk over a realtime websocket: what is said is heard back.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::caller::Place;
use super::dice::Dice;
use crate::gateway::LIMIT;
use crate::websocket::REALTIME;

/// A talk over a realtime websocket.
pub(super) struct Talk(WebSocketStream<TlsStream<TcpStream>>);

impl Talk {
    /// Opens one; gives what the gateway calls its request, too.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn open(place: &Place, name: &str, key: &str) -> Result<(Self, String), String> {
        let opened = timeout(LIMIT, async {
            let stream = place.secure(b"http/1.1").await?;
            let said = |error: Error| error.to_string();
            let mut request = format!("wss://localhost{REALTIME}").into_client_request().map_err(said)?;
            for (field, value) in [("user-agent", name), ("api-key", key)] {
                request.headers_mut().insert(field, value.parse().unwrap());
            }
            let (socket, answer) = tokio_tungstenite::client_async(request, stream).await.map_err(said)?;
            let request = answer.headers()["x-keyswap-request-id"].to_str().unwrap().to_owned();
            Ok((Self(socket), request))
        });
        opened.await.unwrap_or_else(|_| Err("nothing in time".to_owned()))
    }

    /// Says so many words, up to four pauses apart, hears the answer to each, and closes it.
    ///
    /// # Errors
    /// It did not end well.
    pub(super) async fn hold(mut self, name: &str, words: u64, dice: &mut Dice, pause: Duration) -> Result<(), String> {
        for word in 0..words {
            self.hear_back(&format!("{name} {word}")).await?;
            sleep(pause.mul_f64(f64::from(u32::try_from(dice.below(100)).unwrap()) / 25.0)).await;
        }
        self.0.close(None).await.map_err(|error| error.to_string())?;
        // What still comes is the answer to the close.
        while let Some(message) = timeout(LIMIT, self.0.next()).await.map_err(|_| "no close in time")? {
            message.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Says something, and waits for the answer that repeats it.
    ///
    /// # Errors
    /// It never came.
    pub(super) async fn hear_back(&mut self, said: &str) -> Result<(), String> {
        let content = json!([{"type": "input_text", "text": said}]);
        let item = json!({"type": "message", "role": "user", "content": content});
        let events = [json!({"type": "conversation.item.create", "item": item}), json!({"type": "response.create"})];
        for event in events {
            self.0.send(Message::text(event.to_string())).await.map_err(|error| error.to_string())?;
        }
        let mut heard = String::new();
        loop {
            let event = self.next_event().await?;
            match event["type"].as_str() {
                Some("response.output_text.delta") => heard.push_str(event["delta"].as_str().unwrap_or_default()),
                Some("response.done") if heard.contains(said) => return Ok(()),
                Some("response.done") => return Err(format!("{said} was answered with {heard}")),
                _ => {}
            }
        }
    }

    async fn next_event(&mut self) -> Result<Value, String> {
        loop {
            let message = timeout(LIMIT, self.0.next()).await.map_err(|_| "nothing in time")?;
            match message.ok_or("its end")?.map_err(|error| error.to_string())? {
                Message::Text(text) => return serde_json::from_str(&text).map_err(|error| error.to_string()),
                Message::Close(close) => return Err(format!("closed: {close:?}")),
                _ => {}
            }
        }
    }

    /// Waits until it ends, without a close.
    ///
    /// # Errors
    /// It was closed in words, or never.
    pub(super) async fn wait_for_its_cut(mut self) -> Result<(), String> {
        loop {
            match timeout(LIMIT, self.0.next()).await {
                Ok(Some(Ok(Message::Close(_)))) => return Err("it was closed in words".to_owned()),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_)) | None) => return Ok(()),
                Err(_) => return Err("it lives on".to_owned()),
            }
        }
    }
}
