//! Two replicas behind HAProxy, restarted one after the other under load: no request fails, no stream is cut, and a
//! websocket lives until the deadline of the replica that it is on.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use azure_emulator::Emulator;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::caller::Place;
use super::ledger::{Fate, Ledger};
use super::load::{Crowd, Load};
use super::summary::print_fates;
use super::talk::Talk;
use super::{azure, keys, ready, seed, settings};
use crate::gateway::{Gateway, LIMIT, address};
use crate::world;

/// How each replica stops. HAProxy asks every second how it is.
const DELAY: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(8);

/// Every replica gets several tokens in each of its lives.
const TOKEN_LIFE: Duration = Duration::from_secs(10);

/// How long a replica serves between two restarts.
const BETWEEN: Duration = Duration::from_secs(2);

/// Websockets that outlast every deadline. HAProxy deals connections out in turn, and others come in between: so many that
/// neither replica is without one.
const LONG_TALKS: usize = 16;

/// HAProxy, with the example's own settings.
struct Balancer {
    child: Child,
    http: SocketAddr,
    https: SocketAddr,
}

/// A replica, at an address of its own, through all its lives.
struct Replica {
    gateway: Gateway,
    arguments: [String; 2],
    /// What it told in the lives that have ended.
    lines: Vec<Value>,
}

// === impl Balancer ===

impl Balancer {
    async fn start(directory: &Path, emulator: &Emulator) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/haproxy.cfg");
        let certificate = emulator.gateway_certificate();
        let own = directory.join("haproxy.pem");
        fs::write(&own, [&*certificate.cert_pem, &certificate.key_pem].concat()).unwrap();
        let (front, a, b) = (address(1), address(11), address(12));
        let mut text = fs::read_to_string(example).unwrap();
        for (there, here) in [
            // One more door, for those who speak no TLS.
            ("bind :443 ssl", &*format!("bind {front}:8080\n    bind {front}:8443 ssl")),
            ("/etc/haproxy/keyswap.pem", own.to_str().unwrap()),
            ("/etc/haproxy/keyswap-ca.pem", directory.join("ca.pem").to_str().unwrap()),
            ("verifyhost keyswap.internal", "verifyhost localhost"),
            ("server a 10.0.0.11:", &format!("server a {a}:")),
            ("server b 10.0.0.12:", &format!("server b {b}:")),
        ] {
            assert_eq!(text.matches(there).count(), 1, "{there}");
            text = text.replace(there, here);
        }
        let file = directory.join("haproxy.cfg");
        fs::write(&file, text).unwrap();
        // Debian puts it where only root looks.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let log = directory.join("haproxy.log");
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&file)
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("haproxy: {error}; as root: apt-get install haproxy"));
        let at = |port: u16| SocketAddr::new(front.parse().unwrap(), port);
        let balancer = Self { child, http: at(8080), https: at(8443) };
        let begun = Instant::now();
        while TcpStream::connect(balancer.https).await.is_err() {
            assert!(begun.elapsed() < LIMIT, "haproxy does not listen: {}", fs::read_to_string(&log).unwrap());
            sleep(Duration::from_millis(50)).await;
        }
        balancer
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

// === impl Replica ===

impl Replica {
    async fn start(name: &str, address: &str, directory: &Arc<TempDir>, emulator: &Emulator) -> Self {
        let listen = format!("[listen]\nhttps = \"{address}:8443\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n");
        let drain = format!("delay = \"{}s\"\ndeadline = \"{}s\"", DELAY.as_secs(), DEADLINE.as_secs());
        let usual = "[listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\nunix = \"keyswap.sock\"\n";
        let text = settings(emulator)
            .replace(usual, &listen)
            .replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{address}:9090\""))
            .replace("delay = \"0s\"", &drain);
        let file = format!("{name}.toml");
        fs::write(directory.path().join(&file), text).unwrap();
        let arguments = ["--config".to_owned(), file];
        let gateway = Gateway::start(directory.clone(), &arguments, &[]).await;
        ready(&gateway).await;
        Self { gateway, arguments, lines: Vec::new() }
    }

    /// Stops it as an operator does, and starts it again at the same address; gives what it said at its end.
    async fn restart(&mut self) -> String {
        self.gateway.signal("TERM");
        assert!(self.gateway.ended().await.success());
        self.lines.extend(self.gateway.requests());
        let said = self.gateway.log().pop().unwrap()["message"].as_str().unwrap().to_owned();
        self.gateway = Gateway::start(self.gateway.directory.clone(), &self.arguments, &[]).await;
        // It is sent something again.
        self.gateway.told(|_| true).await;
        said
    }
}

/// Restarts both replicas so many times, in turn.
async fn restart_in_turn(rounds: usize, crowd: Crowd) {
    let seed = seed();
    let emulator = azure(TOKEN_LIFE).await;
    let directory = world::files(&emulator, "", &keys(&emulator));
    let mut replicas = [
        Replica::start("a", &address(11), &directory, &emulator).await,
        Replica::start("b", &address(12), &directory, &emulator).await,
    ];
    let balancer = Balancer::start(directory.path(), &emulator).await;
    let place = Place { http: balancer.http, https: balancer.https, ca_pem: emulator.ca_pem().into() };
    let running = Load::begin(&emulator, &place, crowd, seed);

    let mut said = Vec::new();
    for round in 0..rounds {
        for replica in &mut replicas {
            sleep(BETWEEN).await;
            // In every second round nothing outlasts its deadline.
            if round % 2 == 0 {
                said.push(outlast(replica, &place, &emulator).await);
            } else {
                said.push(replica.restart().await);
            }
        }
    }
    let memories = running.end().await;

    let mut lines = Vec::new();
    for replica in &mut replicas {
        replica.gateway.signal("TERM");
        assert!(replica.gateway.ended().await.success());
        lines.append(&mut replica.lines);
        lines.extend(replica.gateway.requests());
    }
    let is_long = |name: Option<&str>| name.is_some_and(|name| name.starts_with("long"));
    lines.retain(|line| !is_long(line["user_agent"].as_str()));
    let mut arrived = emulator.journal().entries();
    arrived.retain(|entry| entry.door.is_some() && !is_long(entry.header("user-agent")));
    let ledger = Ledger { memories, lines, arrived };
    let balance = ledger.balance();
    print_fates(&ledger, &balance);
    let wrong = &balance.wrong;
    assert!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    let failed = balance.fates.keys().filter(|(_, fate)| matches!(fate, Fate::BrokenOff | Fate::Lost | Fate::Stopped));
    assert_eq!(failed.count(), 0, "{:?}", balance.fates);
    let outlasted = "stopped: the deadline has passed, what still ran was cut";
    let drained = "stopped: every request was answered";
    let expected = (0..rounds).flat_map(|round| [if round % 2 == 0 { outlasted } else { drained }; 2]);
    assert_eq!(said, expected.collect::<Vec<_>>());
}

/// Restarts a replica while there are websockets that nobody means to close: those on it live until its deadline, and the
/// others do not notice.
async fn outlast(replica: &mut Replica, place: &Place, emulator: &Emulator) -> String {
    let mut talks = Vec::new();
    for number in 0..LONG_TALKS {
        talks.push(Talk::open(place, &format!("long-{number}"), &emulator.keys().openai).await.unwrap());
    }
    let begun = Instant::now();
    let restarting = replica.restart();
    let talking = async {
        // Into the time after the delay, when nothing new is taken any more.
        while begun.elapsed() < DELAY + DEADLINE / 2 {
            for (talk, _) in &mut talks {
                talk.hear_back("still there").await.unwrap();
            }
            sleep(Duration::from_millis(200)).await;
        }
        talks
    };
    let (said, talks) = tokio::join!(restarting, talking);
    assert!(begun.elapsed() >= DELAY + DEADLINE, "{:?}", begun.elapsed());
    let mut cut = 0;
    for (mut talk, request) in talks {
        match replica.lines.iter().find(|line| line["request"] == *request) {
            Some(line) => {
                assert_eq!(line["outcome"], "stopped", "{line}");
                talk.wait_for_its_cut().await.unwrap();
                cut += 1;
            }
            None => talk.hear_back("the other replica's").await.unwrap(),
        }
    }
    assert!(0 < cut && cut < LONG_TALKS, "{cut} were on the replica that stopped");
    said
}

const CROWD: Crowd = Crowd { callers_of_a_kind: 2, talkers: 3, pause: Duration::from_millis(150), troubled: 0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_restart_in_turn_and_no_client_notices() {
    restart_in_turn(1, CROWD).await;
}

/// `make soak`: again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: make soak"]
async fn soak_replicas_restart_again_and_again() {
    restart_in_turn(6, CROWD).await;
}
