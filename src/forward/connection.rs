//! One connection to a resource, which carries one request after the other.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tracing::debug;

use super::pool::Place;
use super::upload::{Broke, Course, Upload};
use crate::egress::{Connector, Unreachable};
use crate::guard::Guarded;
use crate::patience::Patience;
use crate::settings::{Resource, UpstreamTimeouts};

/// A connection that is open, as far as we know.
#[derive(Debug)]
pub(super) struct Connection<B> {
    sender: http1::SendRequest<Upload<Guarded<B>>>,
    born: Instant,
    /// Whether it has brought an answer before.
    kept: bool,
    heard: Heard,
    course: Course,
    patience: Patience,
}

/// What became of a request.
pub(super) enum Sent<B> {
    /// Its answer has begun.
    Answered(Response<Incoming>),
    /// No byte of it has left: the connection was gone, and here is the request again.
    Unsent(Request<Guarded<B>>),
    /// It has left, and nothing came back in time.
    TimedOut,
    /// It has not all left, since its own body broke off.
    Broken(Broke),
    /// It has left, and the connection ended.
    Lost {
        /// What ended it.
        error: hyper::Error,
        /// Whether the request was perhaps never seen: upstream closes a kept connection when it likes, and had said
        /// nothing since.
        unseen: bool,
    },
}

/// Azure's answers have some forty fields, and grow by the year.
const MAX_FIELDS: usize = 200;

/// The most of a request that waits for upstream to take it, and the most of an answer that is read at once, in bytes. A
/// larger head is taken for broken: Azure's are a hundredth of it.
const BUFFER: usize = 128 * 1024;

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Opens a connection to a resource. It takes this place until it has closed, also where it was taken over for
    /// another protocol.
    ///
    /// # Errors
    /// Who did what, for the log.
    pub(super) async fn open(connector: Connector, resource: &Resource, place: Place<B>) -> Result<Self, Unreachable> {
        let stream = connector.connect_at(resource.endpoint.url(), resource.address).await?;
        let heard = Heard::default();
        let stream = Listened { stream, heard: heard.clone(), _place: place };
        let opened =
            http1::Builder::new().max_headers(MAX_FIELDS).max_buf_size(BUFFER).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = opened.map_err(|error| Unreachable::Broken(error.to_string()))?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                debug!(%error, "an upstream connection ended");
            }
        });
        let (born, course, patience) = (Instant::now(), Course::new(), Patience::begin());
        Ok(Self { sender, born, kept: false, heard, course, patience })
    }

    /// Sends a request, and waits for its answer to begin: so long from when the last piece of it has left. If that is not
    /// waited for, the connection closes.
    pub(super) fn send(
        &mut self,
        request: Request<Guarded<B>>,
        limits: UpstreamTimeouts,
    ) -> impl Future<Output = Sent<B>> + use<'_, B> {
        self.heard.forget();
        self.patience.restart();
        let request = request.map(|body| Upload::new(body, &self.course, limits.stream));
        let mut answer = Box::pin(self.sender.try_send_request(request));
        poll_fn(move |cx| {
            let Poll::Ready(answer) = answer.as_mut().poll(cx) else {
                return Self::poll_late(&mut self.patience, &self.course, limits.answer, cx).map(|()| Sent::TimedOut);
            };
            Poll::Ready(match answer {
                Ok(answer) => {
                    self.kept = true;
                    self.course.answered();
                    Sent::Answered(answer)
                }
                Err(mut error) => match (error.take_message(), self.course.broke()) {
                    (Some(request), _) => Sent::Unsent(request.map(Upload::into_inner)),
                    (None, Some(broke)) => Sent::Broken(broke),
                    (None, None) => {
                        Sent::Lost { unseen: self.kept && !self.heard.anything(), error: error.into_error() }
                    }
                },
            })
        })
    }
}

impl<B> Connection<B> {
    /// Ready when the upstream has had its time, in which nothing of the request has left.
    fn poll_late(patience: &mut Patience, course: &Course, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(patience.poll_end(limit, cx));
            match course.last_moved(patience.since()) {
                Some(moved) => patience.restart_at(moved),
                None => return Poll::Ready(()),
            }
        }
    }

    /// Waits until the next request may be sent; `false` if there can be none.
    pub(super) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Whether the next request may be sent.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether it has brought an answer before.
    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    /// For how long its upstream may leave us waiting.
    pub(super) fn patience(&mut self) -> &mut Patience {
        &mut self.patience
    }

    /// When it was opened.
    pub(super) fn born(&self) -> Instant {
        self.born
    }
}

/// Whether the upstream has said anything since it was forgotten.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<AtomicBool>);

impl Heard {
    fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn anything(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that notes when something is read from it: hyper does not tell an answer that broke off in its head from
/// one that never began. It has its place until it is closed, whoever has it then.
#[derive(Debug)]
struct Listened<S, B> {
    stream: S,
    heard: Heard,
    _place: Place<B>,
}

impl<S: AsyncRead + Unpin, B> AsyncRead for Listened<S, B> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        if into.filled().len() > before {
            self.heard.0.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin, B> AsyncWrite for Listened<S, B> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
