//! What else comes out of keyswap: its commands for keys, the file for their use, and everything as text.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process;

use super::{ADMIN_SECRET, DOCS, Environment, MODELS, NEW_KEY, Seen, WRONG_KEY};
use crate::client::{exchange, request_text};
use crate::gateway::{LIMIT, command, given};
use crate::world::World;

impl Seen {
    /// What `keyswap keys` prints, of a gateway that serves.
    pub(super) fn add_commands(&mut self, world: &World) {
        let keys = world.emulator.keys();
        let admin = format!("http://{}", world.gateway.admin);
        let from = ["list", "--from", &admin, "--admin-secret-file", "admin.secret"];
        for (arguments, input, expected) in [
            (&["list"][..], "", Some(0)),
            (&["list", "--json"], "", Some(0)),
            (&from, "", Some(0)),
            (&[&from[..], &["--json"]].concat(), "", Some(0)),
            (&["list", "--from", &admin], "", Some(1)),
            (&["verify"], &keys.openai, Some(0)),
            (&["verify", "--json"], &keys.search_admin, Some(0)),
            (&["verify"], WRONG_KEY, Some(1)),
            (&["verify"], &format!("{WRONG_KEY}\n{}", keys.openai), Some(2)),
            (&["import", "--client", "new", "--resource", "ai", "--json"], NEW_KEY, Some(0)),
            (&["import", "--client", "new", "--resource", "ai"], NEW_KEY, Some(2)),
            (&["import", "--client", "new"], ADMIN_SECRET, Some(2)),
        ] {
            let mut command = command(world.gateway.directory.path(), &[]);
            let (code, out, error) = given(command.arg("keys").args(arguments), input);
            assert_eq!(code, expected, "{arguments:?}: {out}{error}");
            self.add(&format!("keyswap keys {arguments:?}"), &format!("{out}{error}"));
        }
    }

    /// What is written to files.
    pub(super) fn add_files(&mut self, world: &World) {
        let usage = fs::read_to_string(world.path("usage.json")).unwrap();
        assert!(usage.contains("\"times\""), "{usage}");
        self.add("the use of keys", &usage);
        self.add("the file of keys", &fs::read_to_string(world.path("keys.toml")).unwrap());
    }

    /// What is said for people: both outputs as text, of the same gateway when it is started once more.
    pub(super) async fn add_text(&mut self, world: &World, environment: &Environment) {
        let mut serve = process::Command::from(command(world.gateway.directory.path(), environment));
        serve.args(["serve", "--config", "keyswap.toml", "--log", "text", "--requests", "text"]);
        let child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let id = child.id().unwrap();
        let ended = tokio::spawn(child.wait_with_output());

        let key = world.emulator.keys().search_query;
        let bearer = format!("Bearer {key}");
        for (target, headers) in [
            (MODELS.to_owned(), vec![("api-key", key.as_str())]),
            (MODELS.to_owned(), vec![("authorization", bearer.as_str())]),
            (DOCS.to_owned(), vec![("api-key", key.as_str())]),
            (format!("{DOCS}&api-key={key}"), vec![]),
            (format!("{DOCS};api-key={key}"), vec![]),
            (format!("/indexes%3Fapi-key={key}"), vec![]),
            (MODELS.to_owned(), vec![("api-key", WRONG_KEY)]),
        ] {
            let stream = connected(world).await;
            self.add("an answer", &exchange(stream, &request_text("GET", &target, &headers)).await);
        }
        assert!(process::Command::new("kill").arg(id.to_string()).status().await.unwrap().success());
        let output = tokio::time::timeout(LIMIT, ended).await.expect("the process to end").unwrap().unwrap();
        let (out, log) =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).into();
        assert!(out.contains("unknown-key") && log.contains("TRACE"), "{out}\n{log}");
        out.lines().for_each(|line| self.add("standard output as text", line));
        log.lines().for_each(|line| self.add("standard error as text", line));
    }
}

/// A connection to the gateway's unix socket, as soon as it listens.
async fn connected(world: &World) -> UnixStream {
    let connecting = async {
        loop {
            if let Ok(stream) = UnixStream::connect(world.path("keyswap.sock")).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, connecting).await.expect("it to listen")
}
