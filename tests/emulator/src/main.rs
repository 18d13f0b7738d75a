//! `azure-emulator`: runs the emulator until SIGTERM or SIGINT.

mod arguments;
mod environment;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use azure_emulator::{Emulator, Scene};
use clap::Parser;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;

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

    let Arguments { json, ca_out, env_out, .. } = arguments.clone();
    let emulator = Emulator::start(arguments.options()).await?;
    if let Some(file) = &ca_out {
        write(file, emulator.ca_pem())?;
        if let Some(env) = &env_out {
            write(env, &environment::of(emulator.scene(), &std::path::absolute(file)?))?;
        }
    }
    let ready = if json { line(emulator.scene(), ca_out.as_ref())? } else { summary(emulator.scene()) };
    writeln!(io::stdout(), "{ready}")?;

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    emulator.shutdown().await;
    Ok(())
}

fn write(file: &PathBuf, text: &str) -> io::Result<()> {
    std::fs::write(file, text).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
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
        "Azure OpenAI      {direct}  keys are refused, as with disableLocalAuth
                  {enabled}  api-key {key}
Azure AI Search   {search_direct}  keys are refused
                  {search_enabled}  api-key {admin}
                  {blank}  query key {query}
Entra             {entra}  tenant {tenant}
                  {entra_blank}  client {client}
                  {entra_blank}  secret {secret}
App Service       {identity_url}  X-IDENTITY-HEADER {identity_header}
IMDS              {imds}
Control           {control}  GET /doors, /journal, /violations, /faults?at=openai; POST /next

Clients must trust the authority of all this: --ca-out FILE writes it, --env-out FILE writes what a shell needs.
Ready; Ctrl-C ends it.",
        direct = openai.direct,
        enabled = openai.keys_enabled,
        key = keys.openai,
        search_direct = search.direct,
        search_enabled = search.keys_enabled,
        admin = keys.search_admin,
        blank = " ".repeat(search.keys_enabled.len()),
        query = keys.search_query,
        entra_blank = " ".repeat(entra.len()),
        tenant = app.tenant,
        client = app.client_id,
        secret = app.secret,
        identity_url = identity.url,
        identity_header = identity.header,
    )
}
