//! A DNS server that knows a few names, and nothing else.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// A running name server.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

/// What a name leads to.
struct Known {
    /// The name that it stands for, if it does.
    alias: Option<String>,
    address: Ipv4Addr,
    address_6: Option<Ipv6Addr>,
}

/// The type of an IPv4 address in a question (RFC 1035, 3.2.2), and of one of IPv6 (RFC 3596, 2.1).
const A: [u8; 2] = [0, 1];
const AAAA: [u8; 2] = [0, 28];

/// A record of the Internet, good for a minute (RFC 1035, 4.1.3): another name, or an address.
const CNAME_RECORD: [u8; 8] = [0, 5, 0, 1, 0, 0, 0, 60];
const A_RECORD: [u8; 8] = [0, 1, 0, 1, 0, 0, 0, 60];
const AAAA_RECORD: [u8; 8] = [0, 28, 0, 1, 0, 0, 0, 60];

impl NameServer {
    pub(crate) async fn knowing(names: &[(&str, Ipv4Addr)]) -> Self {
        let known = |(name, address): &(&str, Ipv4Addr)| {
            ((*name).to_owned(), Known { alias: None, address: *address, address_6: None })
        };
        Self::start(names.iter().map(known).collect()).await
    }

    /// One that knows a single name, which stands for another.
    pub(crate) async fn knowing_alias(name: &str, alias: &str, address: Ipv4Addr) -> Self {
        Self::start([(name.to_owned(), Known { alias: Some(alias.to_owned()), address, address_6: None })].into()).await
    }

    /// One that knows a single name, which has an address of each kind.
    pub(crate) async fn knowing_both(name: &str, address: Ipv4Addr, address_6: Ipv6Addr) -> Self {
        Self::start([(name.to_owned(), Known { alias: None, address, address_6: Some(address_6) })].into()).await
    }

    async fn start(names: HashMap<String, Known>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
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

/// The question once more, and what is known, if an address is asked for.
fn answer(question: &[u8], known: Option<&Known>) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let asked = &question[end - 4..end - 2];
    let found = known.filter(|known| asked == A || (asked == AAAA && known.address_6.is_some()));
    // A response, with recursion; a name that is not known is told so.
    let code = if known.is_some() { 0x80 } else { 0x83 };
    let mut records = Vec::new();
    if let Some(Known { alias, address, address_6 }) = found {
        // The name of the question, by its place.
        let mut name = vec![0xc0, 12];
        if let Some(alias) = alias {
            let alias = written(alias);
            records.push([&name[..], &CNAME_RECORD, &[0, u8::try_from(alias.len()).unwrap()], &alias].concat());
            name = alias;
        }
        records.push(match address_6.filter(|_| asked == AAAA) {
            Some(address) => [&name[..], &AAAA_RECORD, &[0, 16], &address.octets()].concat(),
            None => [&name[..], &A_RECORD, &[0, 4], &address.octets()].concat(),
        });
    }
    let count = u8::try_from(records.len()).unwrap();
    let head = [&question[..2], &[0x81, code, 0, 1, 0, count, 0, 0, 0, 0]].concat();
    [&head[..], &question[12..end], &records.concat()].concat()
}

/// A name as messages have it.
fn written(name: &str) -> Vec<u8> {
    let labels = name.split('.').map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    labels.chain([vec![0]]).flatten().collect()
}
