//! The binary under test: started with files of its own, its log and its request lines read as they come, ended by its
//! id.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use serde_json::Value;
use socket2::SockRef;
use tempfile::TempDir;
use tokio::sync::watch;

/// A limit for what must happen; generous, since it is no assertion about speed.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The binary under test, which was built along with the tests.
pub(crate) const KEYSWAP: &str = env!("CARGO_BIN_EXE_keyswap");

/// How many of its lines are shown where a test fails.
const SHOWN: usize = 100;

/// Lines that a process has written, parsed where they are JSON.
type Lines = watch::Receiver<Vec<Value>>;

/// A running keyswap.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) directory: Arc<TempDir>,
    log: Lines,
    requests: Lines,
    /// Standard output, while nobody reads it.
    unread: Option<ChildStdout>,
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

impl Gateway {
    /// Starts `keyswap serve` with these arguments in a directory, and waits until it serves.
    pub(crate) async fn start(directory: Arc<TempDir>, arguments: &[String], environment: &[(&str, String)]) -> Self {
        Self::start_of(KEYSWAP.as_ref(), directory, arguments, environment).await
    }

    /// The same, of another build of the binary.
    pub(crate) async fn start_of(
        binary: &Path,
        directory: Arc<TempDir>,
        arguments: &[String],
        environment: &[(&str, String)],
    ) -> Self {
        let mut gateway = Self::spawn(of(binary, directory.path(), environment), directory, arguments).await;
        gateway.read_requests();
        gateway
    }

    /// Starts the binary under test; nobody reads its request lines yet.
    pub(crate) async fn start_unread(
        directory: Arc<TempDir>,
        arguments: &[String],
        environment: &[(&str, String)],
    ) -> Self {
        Self::spawn(command(directory.path(), environment), directory, arguments).await
    }

    async fn spawn(mut command: Command, directory: Arc<TempDir>, arguments: &[String]) -> Self {
        let mut child = command
            .arg("serve")
            .args(arguments)
            .args(["--log", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = follow(child.stderr.take().unwrap());
        let unread = child.stdout.take();
        let mut gateway = Self {
            child,
            directory,
            log,
            requests: watch::channel(Vec::new()).1,
            unread,
            http: SocketAddr::from(([0, 0, 0, 0], 0)),
            https: None,
            admin: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let serving = gateway.logged(|line| line["message"] == "serving").await;
        let address = |key: &str| serving[key].as_str().and_then(|text| text.parse().ok());
        gateway.http = address("http").unwrap_or(gateway.http);
        gateway.https = address("https");
        gateway.admin = address("admin").expect("an admin address");
        gateway
    }

    /// Begins to read the request lines.
    pub(crate) fn read_requests(&mut self) {
        self.requests = follow(self.unread.take().expect("nobody reads them yet"));
    }

    /// Reads no request line, ever.
    pub(crate) fn close_requests(&mut self) {
        self.unread = None;
    }

    /// The first log line that satisfies `wanted`, now or soon.
    pub(crate) async fn logged(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.logged_times(1, wanted).await
    }

    /// The log line that is the `count`th to satisfy `wanted`, now or soon.
    pub(crate) async fn logged_times(&self, count: usize, wanted: impl Fn(&Value) -> bool) -> Value {
        nth(self.log.clone(), count, wanted).await
    }

    /// The first request line that satisfies `wanted`, now or soon.
    pub(crate) async fn told(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        nth(self.requests.clone(), 1, wanted).await
    }

    /// Every log line so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.borrow().clone()
    }

    /// Every request line so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.borrow().clone()
    }

    /// Waits until there are so many request lines; gives all there are.
    pub(crate) async fn all_told(&self, count: usize) -> Vec<Value> {
        let mut requests = self.requests.clone();
        let told = requests.wait_for(|lines| lines.len() >= count);
        // Those who miss some will say which.
        drop(tokio::time::timeout(LIMIT, told).await);
        self.requests()
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that the process ever had, in KiB: what the system counts, its buffers for sockets not among it.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// One of the process's own sockets, shared: the one that is connected to this peer.
    pub(crate) fn socket_to(&self, peer: SocketAddr) -> OwnedFd {
        let process = Pid::from_child(&self.child);
        let process_fd = pidfd_open(process, PidfdFlags::empty()).unwrap();
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let numbers = files.map(|file| file.unwrap().file_name().into_string().unwrap().parse().unwrap());
        // A file that was closed meanwhile is not the one.
        let mut shared = numbers.filter_map(|number| pidfd_getfd(&process_fd, number, PidfdGetfdFlags::empty()).ok());
        let is_wanted = |socket: &OwnedFd| {
            let other_end = SockRef::from(socket).peer_addr().ok();
            other_end.and_then(|address| address.as_socket()) == Some(peer)
        };
        shared.find(is_wanted).unwrap_or_else(|| panic!("no connection to {peer}"))
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the process to end by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let (mut log, mut requests) = (self.log.clone(), self.requests.clone());
        // They end when the process does.
        let closed = async {
            while log.changed().await.is_ok() {}
            while requests.changed().await.is_ok() {}
        };
        tokio::time::timeout(LIMIT, closed).await.expect("the process to end");
        self.child.wait().unwrap()
    }

    /// What it said, for whoever reads why a test has failed: the last of it, since some say much.
    #[expect(clippy::print_stderr, reason = "the harness of tests takes it and shows it with the failure")]
    fn show(&self) {
        for (name, lines) in [("log", self.log()), ("requests", self.requests())] {
            eprintln!("the {name} of keyswap, {} lines:", lines.len());
            lines.iter().rev().take(SHOWN).rev().for_each(|line| eprintln!("{line}"));
        }
    }

    pub(crate) fn health(&self) -> (Option<i32>, String) {
        let output =
            command(self.directory.path(), &[]).args(["health", "--admin", &self.admin.to_string()]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            self.show();
        }
    }
}

/// The binary under test in a directory, with nothing of this process's environment.
pub(crate) fn command(directory: &Path, environment: &[(&str, String)]) -> Command {
    of(KEYSWAP.as_ref(), directory, environment)
}

fn of(binary: &Path, directory: &Path, environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(directory).env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub(crate) fn run(
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> (Option<i32>, String, String) {
    let output = command(directory, environment).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Runs a command to its end with this on standard input: exit code, standard output, standard error.
pub(crate) fn given(command: &mut Command, input: &str) -> (Option<i32>, String, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever reads none of it has ended already.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A directory with these files.
pub(crate) fn directory(files: &[(&str, &str)]) -> Arc<TempDir> {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
    }
    Arc::new(directory)
}

/// An address of loopback that this process alone uses: its ports are the ones that a machine of its own would have.
pub(crate) fn address(last: u8) -> String {
    let [.., high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{low}.{last}", high | 0x80)
}

async fn nth(mut lines: Lines, count: usize, wanted: impl Fn(&Value) -> bool) -> Value {
    let all = lines.clone();
    let found = async {
        loop {
            let found = lines.borrow_and_update().iter().filter(|line| wanted(line)).nth(count - 1).cloned();
            match found {
                Some(line) => return line,
                None => lines.changed().await.unwrap_or_else(|_| panic!("keyswap ended: {:#?}", *lines.borrow())),
            }
        }
    };
    match tokio::time::timeout(LIMIT, found).await {
        Ok(line) => line,
        Err(_) => panic!("no such line: {:#?}", *all.borrow()),
    }
}

fn follow(output: impl Read + Send + 'static) -> Lines {
    let (send, receive) = watch::channel(Vec::new());
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            send.send_modify(|lines| lines.push(line));
        }
    });
    receive
}
