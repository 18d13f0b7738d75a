//! `azure-emulator`: runs the emulator until SIGTERM or SIGINT.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use azure_emulator::{Emulator, FixedTokens, Options, Scene};
use clap::Parser;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

/// Azure OpenAI, Azure AI Search and Entra on loopback, with keys disabled.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Print one line of JSON when ready, instead of a summary
    #[arg(long)]
    json: bool,
    /// Write the certificate authority to this file
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// How long tokens live
    #[arg(long, value_name = "SECONDS", default_value_t = 3599)]
    token_life: u64,
    /// Hand out exactly this token for Azure OpenAI
    #[arg(long, value_name = "TOKEN", requires = "search_token")]
    openai_token: Option<String>,
    /// Hand out exactly this token for Azure AI Search
    #[arg(long, value_name = "TOKEN", requires = "openai_token")]
    search_token: Option<String>,
    /// Serve IMDS here too: 169.254.169.254:80 in a network namespace
    #[arg(long, value_name = "ADDRESS")]
    imds: Option<SocketAddr>,
    /// The pause between two pieces of an event stream
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2)]
    stream_pause: u64,
    /// How long the first poll for an image says to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    image_wait: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "azure-emulator: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> io::Result<()> {
    // Before anything is printed: who reads "ready" may send a signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let fixed_tokens = arguments.openai_token.zip(arguments.search_token);
    let emulator = Emulator::start(Options {
        token_life: Duration::from_secs(arguments.token_life),
        fixed_tokens: fixed_tokens.map(|(openai, search)| FixedTokens { openai, search }),
        imds: arguments.imds,
        stream_pause: Duration::from_millis(arguments.stream_pause),
        image_wait: Duration::from_secs(arguments.image_wait),
        ..Options::default()
    })
    .await?;
    if let Some(file) = &arguments.ca_out {
        std::fs::write(file, emulator.ca_pem())?;
    }
    let ready =
        if arguments.json { line(emulator.scene(), arguments.ca_out.as_ref())? } else { summary(emulator.scene()) };
    writeln!(io::stdout(), "{ready}")?;

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    emulator.shutdown().await;
    Ok(())
}

/// The scene in one line; `ca` is the file that `--ca-out` named.
fn line(scene: &Scene, ca: Option<&PathBuf>) -> io::Result<String> {
    let mut line = serde_json::to_value(scene)?;
    line["ca"] = ca.map_or(Value::Null, |file| file.display().to_string().into());
    Ok(line.to_string())
}

fn summary(scene: &Scene) -> String {
    let Scene { openai, search, entra, identity, imds, control, app, keys, .. } = scene;
    format!(
        "Azure OpenAI      {behind}  (keys disabled)
                  {enabled}  (api-key {key})
Azure AI Search   {search_behind}  (keys disabled)
                  {search_enabled}  (api-key {admin}, query key {query})
Entra             {entra}  (tenant {tenant}, client {client}, secret {secret})
App Service       {identity_url}  (X-IDENTITY-HEADER {identity_header})
IMDS              {imds}
Control           {control}  (try /doors and /journal)",
        behind = openai.behind,
        enabled = openai.keys_enabled,
        key = keys.openai,
        search_behind = search.behind,
        search_enabled = search.keys_enabled,
        admin = keys.search_admin,
        query = keys.search_query,
        tenant = app.tenant,
        client = app.client_id,
        secret = app.secret,
        identity_url = identity.url,
        identity_header = identity.header,
    )
}
