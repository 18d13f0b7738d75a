//! The command line of keyswap.

#[path = "main/doctor.rs"]
mod doctor;
#[path = "main/help.rs"]
mod help;
#[path = "main/keys.rs"]
mod keys;
#[path = "main/log.rs"]
mod log;
#[path = "main/table.rs"]
mod table;
#[path = "main/why.rs"]
mod why;

use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use keyswap::admin_client::{AdminAnswer, AdminClient, AdminUrl};
use keyswap::authority::{Existing, make_authority, make_leaves};
use keyswap::certificate::{Certificates, Pair};
use keyswap::document::Mistakes;
use keyswap::egress::Egress;
use keyswap::family::Family;
use keyswap::keyring::written;
use keyswap::keys::{Ending, Grant, Keys};
use keyswap::plane::{Access, Plane};
use keyswap::proof::{self, Note};
use keyswap::request_line::Format;
use keyswap::server::{Broken, Server};
use keyswap::settings::{Settings, Single};
use keyswap::sources::{self, Reading};
use keyswap::trust::{Client, environment};
use log::{Log, LogFormat};
use time::OffsetDateTime;

/// Requests come with some seventy small allocations and a few large ones; glibc's keeps only the small ones at hand.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// When the allocator gives back what a thread keeps at hand and does not use, as a C string: it looks after 4 MiB that were
/// asked for, and not after 64 KiB. A worker with thirty requests under way has use for it again at once: a request costs 3 %
/// fewer instructions (`benches/`), and some 4 MiB more are kept under a load of everything (`tests/it/endurance.rs`).
/// `_RJEM_MALLOC_CONF` in the environment comes after this.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[expect(unsafe_code, reason = "the name is jemalloc's own for its options, and nothing else has it")]
#[unsafe(export_name = "_rjem_malloc_conf")]
#[used]
static ALLOCATOR_OPTIONS: &[u8; 29] = b"tcache_gc_incr_bytes:4194304\0";

/// An authenticating gateway: a legacy api-key request becomes a Microsoft Entra request to Azure OpenAI or Azure AI
/// Search.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = help::BEGIN)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take requests that bring keys, and forward them with tokens: as a file of settings says, or flags alone
    ///
    /// Without arguments the settings are in keyswap.toml here. Where --upstream is given, the flags are all there is, and no
    /// such file is read. A change of the settings, or of any file that they name, takes effect within two seconds, or at once
    /// with SIGHUP. SIGTERM stops it when what it has begun has ended.
    #[command(after_long_help = help::SERVE)]
    Serve {
        #[command(flatten)]
        source: Source,
        /// How log lines are written, to standard error; RUST_LOG chooses which
        #[arg(long, value_name = "FORMAT", env = "KEYSWAP_LOG")]
        log: Option<LogFormat>,
        /// How the line of each request is written, to standard output
        #[arg(long, value_name = "FORMAT", env = "KEYSWAP_REQUESTS", default_value = "json")]
        requests: RequestFormat,
    },
    /// Check settings, keys and certificates without serving; reaches out to nothing
    ///
    /// It says what they come to, with notes on what their owner should know: who can see what others stored, which keys and
    /// certificates end soon.
    #[command(after_long_help = help::CHECK)]
    Check {
        #[command(flatten)]
        source: Source,
    },
    Doctor(doctor::Command),
    /// Make certificates for Azure's own host names, for clients that go on calling those
    ///
    /// DNS or a hosts file leads such a name to keyswap, which shows a certificate for it. That comes from an authority of your
    /// own, which is good for these names alone, and which the clients are made to trust: keyswap env.
    #[command(after_long_help = help::CERT)]
    Cert {
        #[command(subcommand)]
        wanted: Wanted,
    },
    Keys(keys::Command),
    Why(why::Command),
    /// Print the environment in which a client trusts what keyswap cert has made, as lines for a shell
    #[command(after_long_help = help::ENV)]
    Env {
        /// The SDK or program that is to trust them; more than once for several
        #[arg(long = "for", required = true, value_name = "CLIENT")]
        clients: Vec<Client>,
        /// The authority: the ca.pem that keyswap cert ca has made
        #[arg(long, value_name = "FILE")]
        ca: PathBuf,
        /// Where to write it together with all that this system trusts, if a client needs that; beside it if not given
        #[arg(long, value_name = "FILE")]
        bundle: Option<PathBuf>,
    },
    /// Print what makes a shell complete these commands
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell that is to complete them
        shell: Shell,
    },
    /// Ask a running keyswap whether it is ready to serve, for health checks without a shell
    #[command(after_long_help = help::HEALTH)]
    Health {
        /// The admin address to ask
        #[arg(long, value_name = "ADDRESS", env = "KEYSWAP_ADMIN", default_value_t)]
        admin: AdminUrl,
        /// Ask whether it is alive instead
        #[arg(long)]
        live: bool,
    },
}

#[derive(Subcommand)]
enum Wanted {
    /// Make an authority: ca.pem for clients to trust, and ca.key to be kept away from everybody
    #[command(after_long_help = help::CERT_CA)]
    Ca {
        /// The directory for the two files
        #[arg(long, value_name = "DIRECTORY")]
        out: PathBuf,
        /// Replace what is there
        #[arg(long)]
        replace: bool,
        /// The hosts that it is good for, like contoso.openai.azure.com, with all names below them, and for no others
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Make certificates from it, one for each name, as [tls] directory takes them
    #[command(after_long_help = help::CERT_LEAF)]
    Leaf {
        /// The directory of the authority
        #[arg(long, value_name = "DIRECTORY")]
        ca: PathBuf,
        /// The directory for NAME.pem and NAME.key
        #[arg(long, value_name = "DIRECTORY")]
        out: PathBuf,
        /// Replace what is there
        #[arg(long)]
        replace: bool,
        /// The hosts that clients call, like contoso.openai.azure.com
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(clap::Args)]
struct Source {
    /// The file of settings; keyswap.toml here if neither this nor an upstream is given
    #[arg(long, value_name = "FILE", env = "KEYSWAP_CONFIG", conflicts_with = "upstream")]
    config: Option<PathBuf>,
    #[command(flatten)]
    single: Single,
}

#[derive(Clone, Copy, ValueEnum)]
enum RequestFormat {
    /// A JSON object a line
    Json,
    /// name=value, for people
    Text,
    /// No lines: refusals are then told nowhere but in the metrics
    Off,
}

/// Settings, flags or files are wrong. Distinct from 1, so that a supervisor can tell: a restart will not help.
const EXIT_MISTAKES: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve { source, log, requests } => serve(&source, log, requests),
        Command::Check { source } => check(&source),
        Command::Doctor(command) => command.run(),
        Command::Cert { wanted } => cert(&wanted),
        Command::Keys(command) => command.run(),
        Command::Why(command) => command.run(),
        Command::Env { clients, ca, bundle } => show(environment(&clients, &ca, bundle.as_deref())),
        Command::Completions { shell } => completions(shell),
        Command::Health { admin, live } => health(&admin, live),
    }
}

fn serve(source: &Source, log: Option<LogFormat>, requests: RequestFormat) -> ExitCode {
    // Azure's crates tell at every fetch which kind it is, and of every one that fails: the settings say the one, we the
    // other.
    let log = match Log::start(log, "info,azure_identity=warn,azure_core=warn,typespec_client_core=warn") {
        Ok(log) => log,
        Err(error) => return complain(&error, ExitCode::FAILURE),
    };
    Log::tell_panics();
    let served = Server::follow(source.into()).map(|server| run(server, &log, requests));
    // A complaint stands after all that was logged, and waits no longer than that for whoever reads it.
    let (complaint, exit): (Option<&dyn Display>, _) = match &served {
        Ok(Ok(())) => (None, ExitCode::SUCCESS),
        Ok(Err(broken)) => (Some(broken), ExitCode::FAILURE),
        Err(mistakes) => (Some(mistakes), EXIT_MISTAKES.into()),
    };
    log.close(complaint);
    exit
}

fn run(server: Server, log: &Log, requests: RequestFormat) -> Result<(), Broken> {
    let server = server.counting_lost_log(log.dropped().clone());
    let format = match requests {
        RequestFormat::Json => Format::Json,
        RequestFormat::Text => Format::Text,
        RequestFormat::Off => return server.run_until_signalled(),
    };
    server.telling_requests(std::io::stdout(), format)?.run_until_signalled()
}

fn check(source: &Source) -> ExitCode {
    let checked =
        sources::Source::from(source).read().and_then(|Reading { settings, keys, certificates, notes, .. }| {
            Egress::new(&settings.egress, settings.timeouts.egress)?;
            proof::timely(&settings.identities)?;
            Ok(report(&settings, &keys, &certificates, &notes))
        });
    show(checked)
}

/// What was asked for, or what is wrong.
fn show(text: Result<String, Mistakes>) -> ExitCode {
    match text {
        Ok(text) => {
            // A closed pipe is the reader's wish to hear no more.
            drop(std::io::stdout().write_all(text.as_bytes()));
            ExitCode::SUCCESS
        }
        Err(mistakes) => complain(&mistakes, EXIT_MISTAKES.into()),
    }
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "keyswap", &mut script);
    show(Ok(String::from_utf8_lossy(&script).into_owned()))
}

fn cert(wanted: &Wanted) -> ExitCode {
    let existing = |replace: bool| if replace { Existing::IsReplaced } else { Existing::Stays };
    let made = match wanted {
        Wanted::Ca { out, replace, names } => make_authority(out, names, existing(*replace)).map(|made| vec![made]),
        Wanted::Leaf { ca, out, replace, names } => make_leaves(ca, out, names, existing(*replace)),
    };
    show(made.map(|made| made.iter().map(|made| format!("{made}\n")).collect()))
}

/// What the settings come to, for somebody who reviews them.
fn report(settings: &Settings, keys: &Keys, certificates: &Certificates, notes: &[Note]) -> String {
    let mut lines = Vec::new();
    for identity in &settings.identities {
        lines.push(format!("identity {}: {}", identity.name, identity.kind));
        let own = notes.iter().filter(|note| note.identity == identity.name);
        lines.extend(own.map(|note| format!("  note: {}", note.text)));
    }
    for resource in &settings.resources {
        let hosts = resource.hosts.join(", ");
        let hosts = if hosts.is_empty() { hosts } else { format!(", called as {hosts}") };
        lines.push(format!(
            "resource {}: {} at {}, scope {}{hosts}",
            resource.name, resource.plane, resource.endpoint, resource.scope
        ));
    }
    lines.extend(certificates.each().flat_map(report_certificate));
    if let Some(proxy) = &settings.egress.proxy {
        let credentials = if proxy.credentials.is_some() { "with" } else { "without" };
        let near: Vec<_> = proxy.no_proxy.iter().map(ToString::to_string).collect();
        let near = [&["managed identities".to_owned(), "loopback".to_owned()], &near[..]].concat().join(", ");
        lines.push(format!("proxy {}: {credentials} credentials; reached without it: {near}", proxy.authority));
    }
    let admin = &settings.admin;
    if admin.secret.is_none() && !admin.is_loopback() {
        lines.push(format!("admin {}: health and metrics alone; for more, set secret_file in [admin]", admin.address));
    }
    let endings = keys.endings(SystemTime::now());
    for client in keys.clients() {
        for grant in &client.grants {
            lines.extend(report_grant(&client.name, grant));
        }
        lines.extend(endings.iter().filter(|ending| ending.key.client.name == client.name).map(report_ending));
    }
    lines.push(format!("ok: {} keys\n", keys.len()));
    lines.join("\n")
}

/// What a certificate is for, and whether it ends soon.
fn report_certificate(pair: &Pair) -> Vec<String> {
    let names: Vec<_> = pair.names().collect();
    let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
    let until = OffsetDateTime::from(pair.ends()).date();
    let mut lines = vec![format!("certificate {}: for {names}, until {until}", pair.file().display())];
    lines.extend(pair.near_its_end(SystemTime::now()).map(|end| format!("  note: it {end}")));
    lines
}

/// What a grant comes to, and what its owner should know of it.
fn report_grant(client: &str, grant: &Grant) -> Vec<String> {
    let families: Vec<_> = grant.families.iter().collect();
    let names = |families: &[Family]| families.iter().map(|family| family.name()).collect::<Vec<_>>().join(", ");
    let accesses: Vec<_> = Access::NAMES.iter().filter(|(_, access)| *grant.access.at(*access)).collect();
    let narrowed = match accesses.len() {
        3 => String::new(),
        _ => format!(" (to {})", accesses.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")),
    };
    let mut lines = vec![format!("client {client}: {}{narrowed} on {}", names(&families), grant.resource.name)];
    let shared = |family: &Family| family.is_shared() && family.plane() == Plane::OpenAi;
    let (past, shared): (Vec<_>, Vec<_>) =
        families.into_iter().filter(shared).partition(|family| *family == Family::RealtimeSecrets);
    if !shared.is_empty() {
        lines.push(format!(
            "  note: {} share one upstream identity: clients can see what others stored there",
            names(&shared)
        ));
    }
    if !past.is_empty() {
        lines.push(format!("  note: {} let a client go past keyswap", names(&past)));
    }
    let unlimited: Vec<_> = grant.families.iter().filter(|family| !family.can_be_limited()).collect();
    if !unlimited.is_empty() && !grant.targets.cover(None) {
        lines.push(format!(
            "  note: {} cannot be limited to some deployments: refused to this client",
            names(&unlimited)
        ));
    }
    lines
}

/// What its owner should know of a key that has ended, or will soon.
fn report_ending(ending: &Ending<'_>) -> String {
    let (key, at, cure) = (&ending.key.id, written(ending.at), &ending.cure);
    match ending.days_left() {
        Some(days) => format!("  note: its key {key} ends in {days} days, at {at}: {cure}"),
        None => format!("  note: its key {key} has ended, at {at}: {cure}"),
    }
}

fn health(admin: &AdminUrl, live: bool) -> ExitCode {
    let path = if live { "/health/live" } else { "/health/ready" };
    match AdminClient::default().ask(admin, path) {
        Ok(AdminAnswer { status, page }) => {
            drop(std::io::stdout().write_all(page.as_bytes()));
            if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(no_answer) => complain(&no_answer, ExitCode::FAILURE),
    }
}

fn complain(what: &dyn Display, exit: ExitCode) -> ExitCode {
    drop(writeln!(std::io::stderr(), "{what}"));
    exit
}

impl From<&Source> for sources::Source {
    fn from(source: &Source) -> Self {
        Self { file: source.config.clone(), single: source.single.clone() }
    }
}
