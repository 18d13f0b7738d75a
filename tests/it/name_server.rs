//! A DNS server that knows a few names, and nothing else.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// A running name server.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

/// The type of an IPv4 address in a question (RFC 1035, 3.2.2).
const A: [u8; 2] = [0, 1];

impl NameServer {
    pub(crate) async fn knowing(names: &[(&str, Ipv4Addr)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let names: HashMap<_, _> = names.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let told = asked.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let question = &buffer[..length];
                let name = name(&question[12..]);
                told.lock().unwrap().push(name.clone());
                socket.send_to(&answer(question, names.get(&name)), from).await.unwrap();
            }
        });
        Self { address, asked, _serving: serving }
    }

    /// The names that it was asked for, each once.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut names = self.asked.lock().unwrap().clone();
        names.sort();
        names.dedup();
        names
    }
}

/// The name at the beginning of a question, in lower case.
fn name(mut question: &[u8]) -> String {
    let mut labels = Vec::new();
    while question[0] != 0 {
        let (label, rest) = question[1..].split_at(question[0].into());
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        question = rest;
    }
    labels.join(".")
}

/// The question once more, and the address, if one is known and asked for.
fn answer(question: &[u8], address: Option<&Ipv4Addr>) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let found = address.filter(|_| question[end - 4..end - 2] == A);
    // A response, with recursion; a name that is not known is told so.
    let code = if address.is_some() { 0x80 } else { 0x83 };
    let mut answer = [&question[..2], &[0x81, code, 0, 1, 0, found.is_some().into(), 0, 0, 0, 0]].concat();
    answer.extend(&question[12..end]);
    if let Some(address) = found {
        // The name of the question, an address, in the Internet, for a minute, of four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
