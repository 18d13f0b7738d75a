//! `keyswap why`: its command line, and an account of a request for people.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use keyswap::admin_client::{AdminAnswer, AdminClient, AdminUrl, NoAnswer};
use keyswap::settings::AdminSecretPlace;
use serde_json::{Value, json};

use super::{complain, help};
use crate::table::table;

/// Say why a request was refused or failed, and what cures it
///
/// Asks a running keyswap, which keeps the newest 1000 requests that it has refused, or that failed or broke off for its own
/// or Azure's fault. Without an id it lists the newest. A client finds the id in its answer's header x-keyswap-request-id; the request
/// lines have it, too.
///
/// The step is the part of keyswap that said no, in the order of a request: listen (is it HTTP), route (what is wanted),
/// authenticate (whose key), authorize (may this client do this, there), token (our own token), guard (what the body
/// names), forward (the way to Azure), upstream (Azure itself). cors answers web pages in advance.
#[derive(Args)]
#[command(after_long_help = help::WHY)]
pub(super) struct Command {
    /// The id, alone or as the header that a client shows: x-keyswap-request-id: ...
    #[arg(value_name = "REQUEST-ID")]
    id: Vec<String>,
    /// The admin address to ask, like 127.0.0.1:9090 or `http://keyswap.internal:9090`; a name with several addresses means all
    /// of them
    #[arg(long, value_name = "ADDRESS", env = "KEYSWAP_ADMIN", default_value_t)]
    admin: AdminUrl,
    #[command(flatten)]
    secret: AdminSecretPlace,
    /// Say it as JSON
    #[arg(long)]
    json: bool,
}

/// No such request is kept.
const EXIT_NOT_KEPT: u8 = 1;

/// Nobody could be asked.
const EXIT_NOT_ASKED: u8 = 2;

const HEADINGS: [&str; 8] = ["TIME", "REQUEST", "STATUS", "STEP", "REASON", "CLIENT", "RESOURCE", "ASKED FOR"];

/// What keyswap has said.
enum Said {
    /// What is told of the request.
    Account(Value),
    /// What is told of the newest.
    Newest(Value),
    /// That no such request is kept.
    NotKept(Value),
}

impl Command {
    /// Asks, and says what was answered.
    pub(super) fn run(&self) -> ExitCode {
        let asked = self.path().and_then(|path| Ok((path, AdminClient::showing(self.secret.source().as_ref())?)));
        let (path, client) = match asked {
            Ok(asked) => asked,
            Err(why) => return complain(&why, EXIT_NOT_ASKED.into()),
        };
        let (mut newest, mut not_kept, mut unheard) = (Vec::new(), None, Vec::new());
        for (replica, answer) in client.ask_each(&self.admin, &path) {
            match said(&replica, answer) {
                // One replica has had it, whatever the others say.
                Ok(Said::Account(told)) => return self.tell(&told, &account(&told), ExitCode::SUCCESS),
                Ok(Said::Newest(told)) => newest.push(told),
                Ok(Said::NotKept(told)) => not_kept = Some(told),
                Err(why) => unheard.push(why),
            }
        }
        let exit = if unheard.is_empty() { ExitCode::SUCCESS } else { EXIT_NOT_ASKED.into() };
        for why in &unheard {
            complain(why, exit);
        }
        if !newest.is_empty() {
            let all = together(&newest);
            return self.tell(&all, &listed(&all["newest"]), exit);
        }
        match not_kept.filter(|_| unheard.is_empty()) {
            Some(told) if self.json => self.tell(&told, "", EXIT_NOT_KEPT.into()),
            Some(told) => complain(&text(&told["error"]).unwrap_or_default(), EXIT_NOT_KEPT.into()),
            None => exit,
        }
    }

    fn tell(&self, json: &Value, words: &str, exit: ExitCode) -> ExitCode {
        let told = if self.json { format!("{json}\n") } else { words.to_owned() };
        // A closed pipe is the reader's wish to hear no more.
        drop(std::io::stdout().write_all(told.as_bytes()));
        exit
    }

    /// The page to ask for.
    fn path(&self) -> Result<String, String> {
        let text = self.id.join(" ");
        if text.is_empty() {
            return Ok("/why".to_owned());
        }
        let id = text.rsplit_once(':').map_or(&*text, |(_, id)| id).trim_matches([' ', '"', '\'', ',']);
        if id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') && !id.is_empty() {
            Ok(format!("/why/{}", id.to_ascii_lowercase()))
        } else {
            Err("that is no request's id: give what x-keyswap-request-id says in the answer".to_owned())
        }
    }
}

/// Reads what a replica has answered.
fn said(replica: &AdminUrl, answer: Result<AdminAnswer, NoAnswer>) -> Result<Said, String> {
    let AdminAnswer { status, page } = answer.map_err(|no_answer| no_answer.to_string())?;
    let json: Value = serde_json::from_str(&page).unwrap_or_default();
    match status.as_u16() {
        200 if json["newest"].is_array() => Ok(Said::Newest(json)),
        200 if json["step"].is_string() => Ok(Said::Account(json)),
        404 if json["error"].is_string() => Ok(Said::NotKept(json)),
        _ => Err(format!("{replica} answers {status}, and not as keyswap does: is it its admin address?")),
    }
}

/// What several replicas tell, as if it were one, the newest first.
fn together(pages: &[Value]) -> Value {
    let mut newest: Vec<_> = pages.iter().filter_map(|page| page["newest"].as_array()).flatten().collect();
    // Moments in UTC, all written alike.
    newest.sort_by_key(|told| std::cmp::Reverse(told["line"]["time"].as_str()));
    let kept: u64 = pages.iter().filter_map(|page| page["kept"].as_u64()).sum();
    let since = pages.iter().filter_map(|page| page["since"].as_str()).min();
    json!({ "since": since, "kept": kept, "newest": newest })
}

/// A line for each.
fn listed(newest: &Value) -> String {
    let newest = newest.as_array().map(Vec::as_slice).unwrap_or_default();
    if newest.is_empty() {
        return "no request was refused, or has failed, since keyswap was started\n".to_owned();
    }
    let row = |told: &Value| {
        let line = &told["line"];
        let cells = [&line["time"], &told["request"], &line["status"], &told["step"], &told["reason"]];
        let cells = cells
            .into_iter()
            .chain([&told["client"], &told["resource"]])
            .map(|value| text(value).unwrap_or("-".into()));
        cells.chain([asked(line)]).collect::<Vec<_>>().try_into().ok()
    };
    let rows = std::iter::once(HEADINGS.map(str::to_owned)).chain(newest.iter().filter_map(row));
    table(&rows.collect::<Vec<_>>())
}

/// All that is told of one request.
fn account(told: &Value) -> String {
    let line = &told["line"];
    let rows = [
        ("request", all([("", &told["request"]), ("", &line["time"])])),
        ("asked for", asked(line)),
        ("answered", all([("", &line["status"]), ("", &told["reason"])])),
        ("step", all([("", &told["step"])])),
        ("why", all([("", &told["why"])])),
        ("cure", all([("", &told["cure"])])),
        ("client", all([("", &told["client"]), ("key ", &told["key"])])),
        ("resource", all([("", &told["resource"]), ("identity ", &line["identity"])])),
        ("azure", all([("", &line["upstream_status"]), ("request ", &line["upstream_request"])])),
        ("from", all([("", &line["from"]), ("", &line["user_agent"])])),
    ];
    let known = rows.into_iter().filter(|(_, what)| !what.is_empty());
    known.map(|(name, what)| format!("{:<10} {what}\n", format!("{name}:"))).collect()
}

/// Those that are known, with their names before them.
fn all<const COUNT: usize>(values: [(&str, &Value); COUNT]) -> String {
    let known = values.into_iter().filter_map(|(name, value)| Some(format!("{name}{}", text(value)?)));
    known.collect::<Vec<_>>().join(", ")
}

/// Method and path.
fn asked(line: &Value) -> String {
    [&line["method"], &line["path"]].into_iter().filter_map(text).collect::<Vec<_>>().join(" ")
}

/// A value as people read it, if it is known.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(plain(text)),
        other => Some(other.to_string()),
    }
}

/// Without what a terminal would obey: clients choose their paths.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
