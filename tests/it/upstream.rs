//! An upstream of bytes: it answers what it is told, byte for byte, and remembers what came just so. The emulator speaks
//! through hyper, which would hide what hyper does to a body.

use std::sync::{Arc, Mutex};

use azure_emulator::{Door, Emulator};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::world::Plan;

/// A running upstream, in place of Azure OpenAI.
pub(crate) struct Upstream {
    endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
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
        Self::start(answer.to_vec(), true).await
    }

    /// Answers every head with these bytes, and never reads a body.
    pub(crate) async fn answering_early(answer: &[u8]) -> Self {
        Self::start(answer.to_vec(), false).await
    }

    async fn start(answer: Vec<u8>, reads_bodies: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (answer, told) = (Arc::new(answer), asked.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, told) = (answer.clone(), told.clone());
                connections.spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(head) = read_head(&mut stream).await {
                        let body = if reads_bodies { read_body(&mut stream, &head).await } else { String::new() };
                        told.lock().unwrap().push(Asked { head, body });
                        if stream.write_all(&answer).await.is_err() {
                            return;
                        }
                        if !reads_bodies {
                            // The connection stays as it is, until the other side has had enough of it.
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { endpoint, asked, _serving: serving }
    }

    /// A world whose gateway forwards here what is for Azure OpenAI.
    pub(crate) fn plan(&self) -> Plan {
        let endpoint = self.endpoint.clone();
        let here = move |text: String, emulator: &Emulator| text.replace(&emulator.openai(Door::Behind), &endpoint);
        Plan { settings: Box::new(here), ..Plan::default() }
    }

    /// The one request that came since the last time.
    pub(crate) fn only_asked(&self) -> Asked {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked.remove(0)
    }
}

impl Asked {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// The lines of a head; `None` at the end of the connection.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
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

async fn read_body(stream: &mut BufReader<TcpStream>, head: &[String]) -> String {
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
