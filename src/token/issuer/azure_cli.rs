//! The Azure CLI, asked for the token of whoever is logged in.
//!
//! `azure_identity` starts it without a limit of any kind, and leaves it running. Here it is one process at a time, which
//! is ended with all that it has started when nobody waits for it any more, and of what it prints no more is read than a
//! token needs. What it says on standard error may hold anything, and is shown to nobody.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_identity::{AzureCliCredential, AzureCliCredentialOptions, Executor};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, MutexGuard};

use super::Denial;
use crate::token::aadsts::{self, Ailment};
use crate::token::transport::Exchange;

/// Whose turn it is. One for the process: a reload is no reason for a second one.
static TURN: Mutex<()> = Mutex::const_new(());

/// The most that is read of either of its outputs.
const LARGEST: u64 = 64 * 1024;

/// What to do where it does not say.
const ASK: &str = "see what az account get-access-token says";

/// What the shell says of a program that it does not find.
const NOT_FOUND: i32 = 127;

/// Waits until no other fetch asks the Azure CLI.
pub(super) async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

pub(super) fn credential(tenant: Option<String>, exchange: &Exchange) -> Result<Arc<dyn TokenCredential>, Denial> {
    let executor: Arc<dyn Executor> = Arc::new(Bounded { exchange: exchange.clone() });
    let options = AzureCliCredentialOptions {
        tenant_id: tenant,
        executor: Some(executor),
        ..AzureCliCredentialOptions::default()
    };
    Ok(AzureCliCredential::new(Some(options)).map_err(|_| Denial::refused("azure_identity refuses the tenant"))?)
}

/// Runs it, within its limits.
#[derive(Debug)]
struct Bounded {
    exchange: Exchange,
}

#[async_trait]
impl Executor for Bounded {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        self.exchange.program("the Azure CLI had not ended, and was killed", ASK);
        let mut running = Running::start(program, args)?;
        let (out, err) = (running.0.stdout.take(), running.0.stderr.take());
        let (out, err) = tokio::try_join!(read(out), read(err))
            .inspect_err(|_| self.exchange.program("the Azure CLI prints more than a token, and was killed", ASK))?;
        let status = running.0.wait().await?;
        if status.success() {
            // All is well, unless azure_identity finds no token in it.
            self.exchange.program("what the Azure CLI has printed", "it must be 2.54.0 or newer");
        } else {
            let (why, cure) = complaint(status.code(), &err);
            self.exchange.program_refused(why, cure);
        }
        Ok(Output { status, stdout: out, stderr: Vec::new() })
    }
}

/// What is told of a failure, and what to do. Of its own words only the code of Entra's, which is digits.
fn complaint(status: Option<i32>, err: &[u8]) -> (String, &'static str) {
    let says = |words: &str| String::from_utf8_lossy(err).contains(words);
    match (status, aadsts::find(err)) {
        (Some(NOT_FOUND), _) => {
            ("there is no Azure CLI on the PATH".to_owned(), "install it, or name another kind of identity")
        }
        (_, Some(code)) => (format!("the Azure CLI fails, {code}"), Ailment::of(&code).map_or(ASK, Ailment::cure)),
        _ if says("az login") => ("nobody is logged in to the Azure CLI".to_owned(), "run az login"),
        (Some(status), None) => (format!("the Azure CLI fails with status {status}"), ASK),
        (None, None) => ("the Azure CLI was killed".to_owned(), ASK),
    }
}

/// A program that ends, with all that it has started, when it is dropped.
struct Running(Child);

impl Running {
    fn start(program: &OsStr, args: &[&OsStr]) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The CLI is a child of a shell: a group of their own is what can be ended as one.
        command.process_group(0).spawn().map(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has no number once it has been waited for, and then the number may be another's.
        let group = self.0.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // It may have ended by itself.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

/// All of an output, unless it is too much.
async fn read(output: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(output) = output {
        output.take(LARGEST + 1).read_to_end(&mut text).await?;
    }
    if text.len() as u64 > LARGEST { Err(io::Error::other("too much output")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_the_cure_and_quotes_nothing() {
        for (status, err, told, to_do) in [
            (Some(127), "sh: az: not found", "there is no Azure CLI on the PATH", "install it"),
            (Some(1), "ERROR: Please run 'az login' to setup account.", "nobody is logged in", "run az login"),
            (
                Some(1),
                "ERROR: AADSTS70043: The refresh token has expired. hunter2",
                "fails, AADSTS70043",
                "run az login",
            ),
            (Some(3), "hunter2", "fails with status 3", ASK),
            (None, "hunter2", "was killed", ASK),
        ] {
            let (why, cure) = complaint(status, err.as_bytes());
            assert!(why.contains(told) && !why.contains("hunter2") && cure.contains(to_do), "{why}: {cure}");
        }
    }
}
