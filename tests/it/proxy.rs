//! A corporate proxy: it makes tunnels to where a test leads them, and remembers who asked and what went through.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running proxy. It ends with the last of its handles.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    _accepting: Arc<JoinSet<()>>,
}

#[derive(Default)]
struct Shared {
    ways: HashMap<String, Way>,
    /// Whose tunnels are made; everybody's if this is `None`.
    wanted: Option<String>,
    asked: Vec<Asked>,
    overheard: Vec<u8>,
}

/// Where a tunnel leads.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// To this address.
    To(SocketAddr),
    /// Nowhere: the proxy answers with this status, and a page as proxies have them.
    Refused(u16),
    /// Nowhere: the proxy closes without a word.
    Cut,
    /// Nowhere: the proxy says nothing.
    Silent,
}

/// A request for a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The whole request line, so that a test sees all that it tells.
    pub(crate) line: String,
    /// `Proxy-Authorization`.
    pub(crate) credentials: Option<String>,
    /// The names of all headers.
    pub(crate) headers: Vec<String>,
}

impl Proxy {
    /// Starts one that refuses every tunnel until it is told a way.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared.clone()));
        Self { address, shared, _accepting: Arc::new(accepting) }
    }

    /// From now on tunnels to `target`, a host and a port, go this way.
    pub(crate) fn lead(&self, target: &str, way: Way) {
        self.shared().ways.insert(target.to_owned(), way);
    }

    /// From now on only who has these credentials gets a tunnel.
    pub(crate) fn demand(&self, credentials: &str) {
        self.shared().wanted = Some(credentials.to_owned());
    }

    /// Every request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared().asked.clone()
    }

    /// The targets of all requests so far, sorted, each once.
    pub(crate) fn targets(&self) -> Vec<String> {
        let mut targets: Vec<_> = self.asked().iter().map(|asked| target(&asked.line).to_owned()).collect();
        targets.sort();
        targets.dedup();
        targets
    }

    /// Everything that clients sent through tunnels, as a proxy can see it.
    pub(crate) fn overheard(&self) -> Vec<u8> {
        self.shared().overheard.clone()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<Shared>>) {
    let mut open = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        open.spawn(serve(client, shared.clone()));
    }
}

/// Where a client or an upstream breaks off, the tunnel does.
async fn serve(mut client: TcpStream, shared: Arc<Mutex<Shared>>) {
    let Some(head) = head(&mut client).await else { return };
    let asked = Asked::read(&head);
    let (way, yes) = {
        let mut shared = shared.lock().unwrap();
        // Proxies say yes in many ways; every other one here is an old proxy's, with a length that means nothing.
        let yes: &[u8] = match shared.asked.len() % 2 {
            0 => b"HTTP/1.0 200 Connection established\r\nproxy-agent: old\r\ncontent-length: 7\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nvia: corp\r\n\r\n",
        };
        let welcome = shared.wanted.is_none() || shared.wanted == asked.credentials;
        let way = shared.ways.get(target(&asked.line)).copied().unwrap_or(Way::Refused(502));
        shared.asked.push(asked);
        if welcome { (way, yes) } else { (Way::Refused(407), yes) }
    };
    let upstream = match way {
        Way::To(address) => TcpStream::connect(address).await.unwrap(),
        Way::Refused(status) => {
            let page = "<html>hunter2 is not welcome here</html>";
            let answer = format!("HTTP/1.1 {status} hunter2\r\ncontent-length: {}\r\n\r\n{page}", page.len());
            drop(client.write_all(answer.as_bytes()).await);
            return;
        }
        Way::Cut => return,
        Way::Silent => return std::future::pending().await,
    };
    client.write_all(yes).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_upstream, mut to_upstream) = upstream.into_split();
    let up = async {
        let mut piece = [0; 16 * 1024];
        while let Ok(n @ 1..) = from_client.read(&mut piece).await {
            shared.lock().unwrap().overheard.extend(&piece[..n]);
            drop(to_upstream.write_all(&piece[..n]).await);
        }
        drop(to_upstream.shutdown().await);
    };
    let down = async {
        drop(copy(&mut from_upstream, &mut to_client).await);
        drop(to_client.shutdown().await);
    };
    tokio::join!(up, down);
}

/// Reads up to the empty line and not beyond it.
async fn head(client: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

fn target(line: &str) -> &str {
    line.split(' ').nth(1).unwrap_or_default()
}

impl Asked {
    fn read(head: &str) -> Self {
        let mut lines = head.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let fields: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
        let credentials = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
        Self {
            line,
            credentials: credentials.map(|(_, value)| (*value).to_owned()),
            headers: fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect(),
        }
    }
}
