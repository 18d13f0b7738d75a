//! A websocket that is open: a dialogue over it, to its end or to where a fault says.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::delivery::Ending;
use crate::journal::{Record, Websocket};
use crate::openai::Dialogue;

type Socket = WebSocketStream<Counted>;

/// How a dialogue ended.
enum Ended {
    /// As one of the two wanted it.
    Meant,
    /// The client went away.
    Gone,
}

/// Takes the connection over when the client was told, and talks.
pub(crate) async fn talk(promised: OnUpgrade, mut dialogue: Box<Dialogue>, ending: Ending, record: Record) {
    let Ok(upgraded) = promised.await else { return };
    record.note(|entry| entry.websocket = Some(Websocket { open: true, ..Websocket::default() }));
    let record = Arc::new(record);
    let sent = Arc::<AtomicUsize>::default();
    let counted = Counted { io: TokioIo::new(upgraded), record: Arc::clone(&record), sent: Arc::clone(&sent) };
    let mut socket = Socket::from_raw_socket(counted, Role::Server, None).await;
    let ended = converse(&mut socket, &mut dialogue, &ending, &sent, &record).await;
    if let Ending::Break(_, Some(wire)) = &ending {
        wire.reset();
    }
    drop(socket);
    record.note(|entry| {
        if let Some(websocket) = &mut entry.websocket {
            websocket.open = false;
        }
    });
    if let (Ok(Ended::Meant), Some(record)) = (ended, Arc::into_inner(record)) {
        record.end();
    }
}

async fn converse(
    socket: &mut Socket,
    dialogue: &mut Dialogue,
    ending: &Ending,
    sent: &AtomicUsize,
    record: &Record,
) -> Result<Ended, Error> {
    // A client that takes a ping for an event, or a fragment for a message, is seen at once.
    socket.send(Message::Ping(Bytes::from_static(b"azure"))).await?;
    let mut due = vec![dialogue.opening()];
    loop {
        for event in due.drain(..) {
            say(socket, &event).await?;
            let sent = sent.load(Ordering::Relaxed);
            match ending {
                Ending::Stall(byte) if sent >= byte.unwrap_or(0) => return listen(socket).await,
                Ending::Break(byte, _) if sent >= byte.unwrap_or(0) => return Ok(Ended::Meant),
                Ending::CloseFrame(code) => {
                    let code = CloseCode::from(*code);
                    socket.close(Some(CloseFrame { code, reason: "as it was told to".into() })).await?;
                    return listen(socket).await;
                }
                _ => {}
            }
        }
        match socket.next().await.transpose()? {
            Some(Message::Text(text)) => due = dialogue.hear(&text),
            Some(Message::Binary(_)) => due = dialogue.hear(""),
            Some(Message::Close(frame)) => {
                record.note(|entry| {
                    if let Some(websocket) = &mut entry.websocket {
                        websocket.closed = frame.map(|frame| frame.code.into());
                    }
                });
                // What is read next sends our own close.
                return listen(socket).await;
            }
            Some(_) => {}
            None => return Ok(Ended::Gone),
        }
    }
}

/// Says nothing more, and waits for the end.
async fn listen(socket: &mut Socket) -> Result<Ended, Error> {
    while socket.next().await.transpose()?.is_some() {}
    Ok(Ended::Meant)
}

/// Sends an event in two fragments.
async fn say(socket: &mut Socket, event: &Value) -> Result<(), Error> {
    let mut first = Bytes::from(event.to_string());
    // In the middle of a character, if there is one of several bytes.
    let cut = first.iter().position(|byte| !byte.is_ascii()).map_or(first.len() / 2, |place| place + 1);
    let last = first.split_off(cut);
    socket.send(Message::Frame(Frame::message(first, OpCode::Data(Data::Text), false))).await?;
    socket.send(Message::Frame(Frame::message(last, OpCode::Data(Data::Continue), true))).await
}

/// A connection whose bytes are journalled.
struct Counted {
    io: TokioIo<Upgraded>,
    record: Arc<Record>,
    sent: Arc<AtomicUsize>,
}

impl Counted {
    fn note(&self, change: impl FnOnce(&mut Websocket)) {
        self.record.note(|entry| {
            if let Some(websocket) = &mut entry.websocket {
                change(websocket);
            }
        });
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut self.io).poll_read(context, buffer)) {
            // A client that ends TLS without a word has ended nevertheless.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            read => read?,
        }
        let read = buffer.filled().len() - before;
        self.note(|websocket| websocket.received += read as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes))?;
        self.sent.fetch_add(written, Ordering::Relaxed);
        self.note(|websocket| websocket.sent += written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
