//! The command line of keyswap.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use keyswap::document::Mistakes;
use keyswap::egress::Egress;
use keyswap::keys::Keys;
use keyswap::listen::check_certificate;
use keyswap::server::Server;
use keyswap::settings::{DEFAULT_ADMIN, Settings, Single};
use tracing_subscriber::EnvFilter;

/// An authenticating gateway: a legacy api-key request becomes a Microsoft Entra request to Azure OpenAI or Azure AI
/// Search.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: from a file of settings, or from flags alone
    Serve {
        #[command(flatten)]
        source: Source,
        /// How log lines are written, to standard error; RUST_LOG chooses which
        #[arg(long, value_name = "FORMAT", env = "KEYSWAP_LOG")]
        log: Option<LogFormat>,
    },
    /// Check settings, keys and certificates without serving; reaches out to nothing
    Check {
        #[command(flatten)]
        source: Source,
    },
    /// Ask a running keyswap whether it is ready: exit status 0 if it is, 1 if not
    Health {
        /// The admin address to ask
        #[arg(long, value_name = "ADDRESS", env = "KEYSWAP_ADMIN", default_value_t = DEFAULT_ADMIN)]
        admin: std::net::SocketAddr,
        /// Ask whether it is alive instead
        #[arg(long)]
        live: bool,
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
enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Settings, flags or files are wrong. Distinct from 1, so that a supervisor can tell: a restart will not help.
const EXIT_MISTAKES: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve { source, log } => {
            start_log(log);
            serve(&source)
        }
        Command::Check { source } => check(&source),
        Command::Health { admin, live } => health(admin, live),
    }
}

fn serve(source: &Source) -> ExitCode {
    let server = source.load().and_then(|(settings, keys)| Server::bind(settings, keys));
    match server {
        Ok(server) => match server.run_until_signalled() {
            Ok(()) => ExitCode::SUCCESS,
            Err(broken) => complain(&broken, ExitCode::FAILURE),
        },
        Err(mistakes) => complain(&mistakes, EXIT_MISTAKES.into()),
    }
}

fn check(source: &Source) -> ExitCode {
    let checked = source.load().and_then(|(settings, keys)| {
        Egress::new(&settings.egress, settings.timeouts.egress)?;
        if let Some(https) = &settings.listen.https {
            check_certificate(&https.cert, &https.key)?;
        }
        Ok(report(&settings, &keys))
    });
    match checked {
        Ok(report) => {
            // A closed pipe is the reader's wish to hear no more.
            drop(std::io::stdout().write_all(report.as_bytes()));
            ExitCode::SUCCESS
        }
        Err(mistakes) => complain(&mistakes, EXIT_MISTAKES.into()),
    }
}

/// What the settings come to, for somebody who reviews them.
fn report(settings: &Settings, keys: &Keys) -> String {
    let mut lines = Vec::new();
    for resource in &settings.resources {
        lines.push(format!(
            "resource {}: {} at {}, scope {}",
            resource.name, resource.plane, resource.endpoint, resource.scope
        ));
    }
    if let Some(proxy) = &settings.egress.proxy {
        let credentials = if proxy.credentials.is_some() { "with" } else { "without" };
        let near: Vec<_> = proxy.no_proxy.iter().map(ToString::to_string).collect();
        let near = [&["managed identities".to_owned(), "loopback".to_owned()], &near[..]].concat().join(", ");
        lines.push(format!("proxy {}: {credentials} credentials; reached without it: {near}", proxy.authority));
    }
    for client in keys.clients() {
        for grant in &client.grants {
            let families: Vec<_> = grant.families.iter().collect();
            let names: Vec<_> = families.iter().map(|family| family.name()).collect();
            lines.push(format!("client {}: {} on {}", client.name, names.join(", "), grant.resource.name));
            let shared: Vec<_> =
                families.iter().filter(|family| family.is_shared()).map(|family| family.name()).collect();
            if !shared.is_empty() && grant.resource.plane == keyswap::plane::Plane::OpenAi {
                lines.push(format!(
                    "  note: {} share one upstream identity: clients can see what others stored there",
                    shared.join(", ")
                ));
            }
        }
    }
    lines.push(format!("ok: {} keys\n", keys.len()));
    lines.join("\n")
}

fn health(admin: std::net::SocketAddr, live: bool) -> ExitCode {
    let path = if live { "/health/live" } else { "/health/ready" };
    match keyswap::health::ask(admin, path) {
        Ok((healthy, page)) => {
            drop(std::io::stdout().write_all(page.as_bytes()));
            if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => complain(&format!("{admin} does not answer: {error}"), ExitCode::FAILURE),
    }
}

fn complain(what: &dyn std::fmt::Display, exit: ExitCode) -> ExitCode {
    drop(writeln!(std::io::stderr(), "{what}"));
    exit
}

fn start_log(format: Option<LogFormat>) {
    // azure_identity tells at every fetch which kind it is; the settings have said so.
    let default = "info,azure_identity=warn,azure_core=warn";
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A terminal has a reader; anything else has a parser.
    let default = if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    match format.unwrap_or(default) {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).with_target(false).init(),
    }
}

impl Source {
    fn load(&self) -> Result<(Settings, Keys), Mistakes> {
        let settings = Settings::load(self.config.as_deref().map(Path::new), &self.single)?;
        let keys = Keys::read(&settings)?;
        Ok((settings, keys))
    }
}
