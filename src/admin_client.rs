//! What our own commands ask of the admin address of a running keyswap: one question, one answer, within bounds.
//!
//! The health check of a container is one of them, in an image without a shell or curl.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST};
use http::uri::{Authority, Uri};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use zeroize::Zeroizing;

use crate::settings::{Admin, SecretSource, is_loopback, without_brackets};

/// Where an admin address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminUrl {
    /// A name or an address, as it stands in a URL.
    host: String,
    port: u16,
}

/// Asks admin addresses.
#[derive(Debug, Default)]
pub struct AdminClient {
    /// Marked sensitive.
    authorization: Option<HeaderValue>,
}

/// What an admin address answered.
#[derive(Debug)]
pub struct AdminAnswer {
    /// Its status; never 403.
    pub status: StatusCode,
    /// Its page.
    pub page: String,
}

/// Why there is no answer, and what to do.
#[derive(Debug)]
pub struct NoAnswer {
    url: AdminUrl,
    why: Why,
}

#[derive(Debug)]
enum Why {
    NotFound(io::Error),
    Unreachable(io::Error),
    NotHttp(hyper::Error),
    TooLate,
    /// Too large, broken off, no text.
    Unreadable(String),
    /// What it says of that.
    Denied(String),
}

/// How long an answer may take, from the look-up of the name to its last byte.
const LIMIT: Duration = Duration::from_secs(5);

/// The largest page that is taken, in bytes.
const LARGEST_PAGE: usize = 16 * 1024 * 1024;

/// The most that is shown of what a stranger says, in characters.
const LONGEST_LINE: usize = 300;

// === impl AdminUrl ===

impl Default for AdminUrl {
    /// The one on this machine.
    fn default() -> Self {
        let here = Admin::DEFAULT_ADDRESS;
        Self { host: here.ip().to_string(), port: here.port() }
    }
}

impl FromStr for AdminUrl {
    type Err = &'static str;

    /// Reads `http://host:port` or `host:port`.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "must be host and port, like 127.0.0.1:9090 or http://keyswap.internal:9090";
        let bare = text.strip_prefix("http://").map_or(text, |rest| rest.strip_suffix('/').unwrap_or(rest));
        let authority: Authority = bare.parse().map_err(|_| FORM)?;
        let host = authority.host().to_owned();
        let is_host = !host.is_empty() && !bare.contains('@');
        authority.port_u16().filter(|_| is_host).map(|port| Self { host, port }).ok_or(FORM)
    }
}

impl AdminUrl {
    /// The same at each address that its host has: a name may stand for several replicas. Not to be called where a runtime
    /// runs.
    ///
    /// # Errors
    /// The name leads nowhere.
    pub fn replicas(&self) -> io::Result<Vec<Self>> {
        let found = (without_brackets(&self.host), self.port).to_socket_addrs()?;
        let mut replicas: Vec<Self> = Vec::new();
        for address in found {
            let host = match address.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            };
            let replica = Self { host, port: self.port };
            if !replicas.contains(&replica) {
                replicas.push(replica);
            }
        }
        Ok(replicas)
    }

    /// Whether it is of this machine alone, as an address or by the name that every machine has for itself.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

// === impl AdminClient ===

impl AdminClient {
    /// One that shows this secret, if there is one.
    ///
    /// # Errors
    /// The secret cannot be read, or cannot be sent.
    pub fn showing(secret: Option<&SecretSource>) -> Result<Self, String> {
        let Some(secret) = secret else { return Ok(Self::default()) };
        let bearer = Zeroizing::new(format!("Bearer {}", *secret.read()?));
        let mut bearer = HeaderValue::from_str(&bearer)
            .map_err(|_| "the secret of the admin address is no text that a header can hold")?;
        bearer.set_sensitive(true);
        Ok(Self { authorization: Some(bearer) })
    }

    /// Asks for a page, and waits for it. Not to be called where a runtime runs.
    ///
    /// # Errors
    /// There is no answer in HTTP, no end of it within five seconds or 16 MiB, or it says that we may not ask.
    pub fn ask(&self, url: &AdminUrl, path: &str) -> Result<AdminAnswer, NoAnswer> {
        let no_answer = |why| NoAnswer { url: url.clone(), why };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| no_answer(Why::Unreachable(error)))?;
        let asked = runtime.block_on(async { tokio::time::timeout(LIMIT, self.exchange(url, path)).await });
        // A name that is still being looked up is nothing to wait for.
        runtime.shutdown_background();
        let answer = asked.unwrap_or(Err(Why::TooLate)).map_err(no_answer)?;
        if answer.status == StatusCode::FORBIDDEN {
            return Err(no_answer(Why::Denied(answer.page)));
        }
        Ok(answer)
    }

    /// Asks every replica behind a name for a page, all at once. Of this machine, which has two addresses, only those count
    /// who answer, if anybody does: who listens on one of them does not on the other.
    pub fn ask_each(&self, url: &AdminUrl, path: &str) -> Vec<(AdminUrl, Result<AdminAnswer, NoAnswer>)> {
        let replicas = match url.replicas() {
            Ok(replicas) => replicas,
            Err(error) => return vec![(url.clone(), Err(NoAnswer { url: url.clone(), why: Why::NotFound(error) }))],
        };
        let mut answers: Vec<_> = thread::scope(|threads| {
            let ask = |replica: AdminUrl| {
                let asked = replica.clone();
                (replica, threads.spawn(move || self.ask(&asked, path)))
            };
            let asking: Vec<_> = replicas.into_iter().map(ask).collect();
            // Whoever could not be asked, for whatever reason, must not be missing from what is said.
            let broken =
                |url: &AdminUrl| NoAnswer { url: url.clone(), why: Why::Unreadable("it broke off".to_owned()) };
            let answers = asking.into_iter().map(|(replica, asking)| {
                let answer = asking.join().unwrap_or_else(|_| Err(broken(&replica)));
                (replica, answer)
            });
            answers.collect()
        });
        if url.is_loopback() && answers.iter().any(|(_, answer)| answer.is_ok()) {
            answers.retain(|(_, answer)| answer.is_ok());
        }
        answers
    }

    async fn exchange(&self, url: &AdminUrl, path: &str) -> Result<AdminAnswer, Why> {
        let stream = TcpStream::connect((without_brackets(&url.host), url.port)).await.map_err(Why::Unreachable)?;
        let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Why::NotHttp)?;
        tokio::spawn(connection);
        let uri = Uri::from_str(path).map_err(|error| Why::Unreadable(error.to_string()))?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.extend(self.authorization.clone().map(|secret| (AUTHORIZATION, secret)));
        headers.extend(HeaderValue::from_str(&url.to_string()).map(|host| (HOST, host)));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let (head, body) = requests.send_request(request).await.map_err(Why::NotHttp)?.into_parts();
        let body = Limited::new(body, LARGEST_PAGE).collect().await;
        let body = body.map_err(|error| Why::Unreadable(error.to_string()))?.to_bytes();
        let page = String::from_utf8(body.into()).map_err(|_| Why::Unreadable("no text".to_owned()))?;
        Ok(AdminAnswer { status: head.status, page })
    }
}

// === impl NoAnswer ===

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, why } = self;
        match why {
            Why::NotFound(error) => write!(f, "{url} cannot be found: {error}"),
            Why::Unreachable(error) => write!(f, "{url} does not answer: {error}"),
            Why::NotHttp(error) => write!(f, "{url} does not answer in HTTP: {error}. Is that the admin address?"),
            Why::TooLate => write!(f, "{url} does not answer within {} s", LIMIT.as_secs()),
            Why::Unreadable(why) => write!(f, "{url} answers what cannot be read: {why}"),
            Why::Denied(page) => write!(f, "{url} does not let us ask: {}", line_of(page)),
        }
    }
}

impl std::error::Error for NoAnswer {}

/// A page that somebody answered, as far as it is fit for a line: it may be anybody who is asked.
fn line_of(page: &str) -> String {
    let line = page.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(LONGEST_LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_address_is_host_and_port() {
        for (text, read) in [
            ("127.0.0.1:9090", "127.0.0.1:9090"),
            ("[::1]:9090", "[::1]:9090"),
            ("http://keyswap.internal:9090", "keyswap.internal:9090"),
            ("http://keyswap.internal:9090/", "keyswap.internal:9090"),
        ] {
            assert_eq!(text.parse::<AdminUrl>().unwrap().to_string(), read);
        }
        for bad in
            ["", "keyswap", "https://a:9090", "http://a:9090/why", "user@a:9090", ":9090", "a:", "a:99999", "a b:1"]
        {
            assert!(bad.parse::<AdminUrl>().is_err(), "{bad}");
        }
        assert_eq!(AdminUrl::default().to_string(), "127.0.0.1:9090");
    }
}
