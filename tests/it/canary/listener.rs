//! Whoever stands in Entra's place for one identity, and so hears what proves it: the emulator's journal keeps no bodies.

use std::sync::{Arc, Mutex};

use azure_emulator::Certificate;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::upstream::acceptor;

/// A running one. It refuses whoever asks.
pub(super) struct Listener {
    pub(super) url: String,
    heard: Heard,
    _serving: JoinSet<()>,
}

/// The bodies of all requests.
type Heard = Arc<Mutex<Vec<Bytes>>>;

const REFUSAL: &str = r#"{"error":"invalid_client","error_description":"AADSTS700027: not registered"}"#;

impl Listener {
    /// One that shows this certificate.
    pub(super) async fn start(certificate: &Certificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let heard = Heard::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, acceptor(certificate), heard.clone()));
        Self { url, heard, _serving: serving }
    }

    /// The assertions that it was sent so far, each whole.
    pub(super) fn assertions(&self) -> Vec<String> {
        let of_form = |form: &Bytes| {
            let form = String::from_utf8(form.to_vec()).unwrap();
            let assertion = form.split('&').find_map(|field| field.strip_prefix("client_assertion=")).expect(&form);
            // None of its letters is written otherwise in a form.
            assert_eq!(assertion.split('.').map(|part| !part.is_empty()).collect::<Vec<_>>(), [true; 3], "{form}");
            assertion.to_owned()
        };
        self.heard.lock().unwrap().iter().map(of_form).collect()
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, heard: Heard) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, heard) = (tls.clone(), heard.clone());
        connections.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let refuse = service_fn(|request: Request<Incoming>| {
                let heard = heard.clone();
                async move {
                    let form = request.into_body().collect().await?.to_bytes();
                    heard.lock().unwrap().push(form);
                    let refusal = Full::new(Bytes::from_static(REFUSAL.as_bytes()));
                    Ok::<_, hyper::Error>(Response::builder().status(401).body(refusal).unwrap())
                }
            });
            // Whoever asks may be gone before its answer.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), refuse).await);
        });
    }
}
