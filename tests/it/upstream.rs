//! An upstream of bytes: it answers what it is told, byte for byte, and remembers what came just so. The emulator speaks
//! through hyper, which would hide what hyper does to a body.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use azure_emulator::{Certificate, Door, Emulator};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::gateway::LIMIT;
use crate::world::Plan;

/// A running upstream, in place of Azure OpenAI or of Azure AI Search.
pub(crate) struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// How many connections have ended.
    ended: watch::Receiver<usize>,
    _serving: JoinSet<()>,
}

/// What an upstream does with a connection when it has written an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Stay,
    Close,
}

/// What an upstream answers.
#[derive(Debug)]
struct Script {
    /// One answer for each request, the last for all that come then.
    answers: Vec<(Vec<u8>, Then)>,
    reads_bodies: bool,
}

/// A request as it came, in bytes of the wire.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The lines of the head, in lower case but for values.
    pub(crate) head: Vec<String>,
    /// With the framing of chunks, if it came in chunks.
    pub(crate) body: String,
}

impl Upstream {
    /// Answers every request with these bytes, once it was read.
    pub(crate) async fn answering(answer: &[u8]) -> Self {
        Self::answering_in_turn(&[(answer, Then::Stay)]).await
    }

    /// Answers the requests with these bytes, one after the other, and all others with the last.
    pub(crate) async fn answering_in_turn(answers: &[(&[u8], Then)]) -> Self {
        let answers = answers.iter().map(|(answer, then)| (answer.to_vec(), *then)).collect();
        Self::start(("127.0.0.1", 0), |_| Script { answers, reads_bodies: true }).await
    }

    /// Answers every request with the bytes that are made of its own URL, once it was read.
    pub(crate) async fn naming_itself(answer: impl FnOnce(&str) -> Vec<u8>) -> Self {
        let script = |url: &str| Script { answers: vec![(answer(url), Then::Stay)], reads_bodies: true };
        Self::start(("127.0.0.1", 0), script).await
    }

    /// Answers every request with these bytes, at an address that is given.
    pub(crate) async fn answering_at(address: (&str, u16), answer: &[u8]) -> Self {
        Self::start(address, |_| Script { answers: vec![(answer.to_vec(), Then::Stay)], reads_bodies: true }).await
    }

    /// Answers every head with these bytes, and never reads a body.
    pub(crate) async fn answering_early(answer: &[u8]) -> Self {
        let script = Script { answers: vec![(answer.to_vec(), Then::Stay)], reads_bodies: false };
        Self::start(("127.0.0.1", 0), |_| script).await
    }

    async fn start(address: (&str, u16), script: impl FnOnce(&str) -> Script) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (ending, ended) = watch::channel(0);
        let script = script(&format!("http://{address}"));
        let (script, told, ending) = (Arc::new(script), asked.clone(), Arc::new(ending));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, told, ending) = (script.clone(), told.clone(), ending.clone());
                connections.spawn(async move {
                    script.serve(stream, &told).await;
                    ending.send_modify(|ended| *ended += 1);
                });
            }
        });
        Self { address, asked, ended, _serving: serving }
    }

    /// A world whose gateway forwards here what is for Azure OpenAI.
    pub(crate) fn plan(&self) -> Plan {
        self.plan_with("127.0.0.1", "")
    }

    /// The same, by this name of the machine, and with more settings.
    pub(crate) fn plan_with(&self, host: &str, more: &str) -> Plan {
        let (endpoint, more) = (format!("http://{host}:{}", self.address.port()), more.to_owned());
        let here =
            move |text: String, emulator: &Emulator| text.replace(&emulator.openai(Door::Behind), &endpoint) + &more;
        Plan { settings: Box::new(here), ..Plan::default() }
    }

    /// A world whose gateway forwards here what is for Azure AI Search.
    pub(crate) fn search_plan(&self) -> Plan {
        let endpoint = self.url();
        let here = move |text: String, emulator: &Emulator| text.replace(&emulator.search(Door::Behind), &endpoint);
        Plan { settings: Box::new(here), ..Plan::default() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until so many connections have ended, by whomever.
    pub(crate) async fn connections_ended(&self, count: usize) {
        let mut ended = self.ended.clone();
        tokio::time::timeout(LIMIT, ended.wait_for(|ended| *ended >= count)).await.expect("it stays open").unwrap();
    }

    /// How many requests have come.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The requests that came since the last time.
    pub(crate) fn all_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The one request that came since the last time.
    pub(crate) fn only_asked(&self) -> Asked {
        let mut asked = self.all_asked();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked.remove(0)
    }
}

impl Script {
    async fn serve(&self, stream: TcpStream, told: &Mutex<Vec<Asked>>) {
        let mut stream = BufReader::new(stream);
        while let Some(head) = read_head(&mut stream).await {
            let body = if self.reads_bodies { read_body(&mut stream, &head).await } else { String::new() };
            let turn = {
                let mut told = told.lock().unwrap();
                told.push(Asked { head, body });
                told.len() - 1
            };
            let (answer, then) = self.answers.get(turn).or(self.answers.last()).unwrap();
            if stream.write_all(answer).await.is_err() || *then == Then::Close {
                return;
            }
            if !self.reads_bodies {
                // The connection stays as it is, until the other side has had enough of it.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Asked {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The head of an answer in chunks, and so many bytes of one that is longer.
pub(crate) fn unfinished(length: usize) -> Vec<u8> {
    let (whole, came) = (length + 1, "x".repeat(length));
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{whole:x}\r\n{came}").into_bytes()
}

/// What takes TLS off connections and shows this certificate.
pub(crate) fn acceptor(certificate: &Certificate) -> TlsAcceptor {
    let chain: Result<_, _> = CertificateDer::pem_slice_iter(certificate.cert_pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(chain.unwrap(), key).unwrap();
    TlsAcceptor::from(Arc::new(tls))
}

/// The lines of a head; `None` at the end of the connection.
pub(crate) async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|length| *length > 0)?;
        match line.trim_end() {
            "" => return Some(head),
            line => head.push(line.to_owned()),
        }
    }
}

pub(crate) async fn read_body(stream: &mut BufReader<TcpStream>, head: &[String]) -> String {
    let mut body = Vec::new();
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
    if let Some(length) = length {
        body.resize(length.parse().unwrap(), 0);
        stream.read_exact(&mut body).await.unwrap();
    } else if head.iter().any(|line| line == "transfer-encoding: chunked") {
        loop {
            let begin = body.len();
            stream.read_until(b'\n', &mut body).await.unwrap();
            let size = usize::from_str_radix(String::from_utf8_lossy(&body[begin..]).trim_end(), 16).unwrap();
            if size == 0 {
                break;
            }
            let begin = body.len();
            body.resize(begin + size + 2, 0);
            stream.read_exact(&mut body[begin..]).await.unwrap();
        }
        // Trailers, and the empty line.
        while !body.ends_with(b"\r\n\r\n") {
            assert!(stream.read_until(b'\n', &mut body).await.unwrap() > 0, "an end in the middle");
        }
    }
    String::from_utf8(body).unwrap()
}
