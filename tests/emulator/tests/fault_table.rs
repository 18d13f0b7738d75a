//! The table of named answers in FAULTS.md, made from the answers themselves. `BLESS=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use azure_emulator::{Fault, Plane, fault_names};

use crate::bench::{Bench, CHAT, HALLO, OPENAI_SCOPE, Reply};

/// The ways to break a connection: no answers, so what they do is said here.
const TRANSPORTS: [(&str, &str); 10] = [
    ("stall", "the head never comes"),
    ("stall-mid-body", "the real answer up to `byte` of its body, then nothing"),
    ("cut", "the real answer up to `byte`, then a TCP reset (HTTP/2: RST_STREAM)"),
    ("truncate", "the same, then a FIN without TLS's close_notify"),
    ("hang-up", "the whole answer, then a FIN (HTTP/2: GOAWAY) that nothing announced"),
    ("close", "a FIN before any answer"),
    ("reset", "a TCP reset before any answer"),
    ("slow", "the real answer, `delay_ms` late"),
    ("clock", "the real answer, dated by a clock that is `seconds` ahead"),
    ("close-frame", "over a websocket: a close with `code` after the first message"),
];

const PLANES: [(Plane, &str, &str); 5] = [
    (Plane::OpenAi, "openai", "Azure OpenAI"),
    (Plane::Search, "search", "Azure AI Search"),
    (Plane::Entra, "entra", "Entra's token endpoint"),
    (Plane::Identity, "identity", "App Service's identity endpoint"),
    (Plane::Imds, "imds", "Instance metadata"),
];

/// The headers that tell what to do next.
const TELLING: [&str; 4] = ["content-type", "retry-after", "retry-after-ms", "www-authenticate"];

/// How much of a body is shown.
const SHOWN: usize = 100;

const HEAD: &str = "# Answers on demand

Each of these is answered when the control port, or `Emulator::next`, says so: `POST /next` with
`{\"at\":\"search\",\"answer\":\"B1.9\"}`. Names like `A1.12` and `B1.9` are rows of [azure-wire.md](azure-wire.md), which says
where the bytes are from. A body ends in `…` where the rest is long, or differs from one time to the next.

This file is written by a test: `BLESS=1 cargo test -p azure-emulator fault_table`.
";

async fn answer(bench: &Bench, plane: Plane, token: &str, name: &str) -> Reply {
    bench.emulator.next(plane, Fault::named(name), 1).expect(name);
    let app = bench.emulator.app();
    let ask = match plane {
        Plane::OpenAi => bench.openai("POST", CHAT).bearer(token).body(HALLO),
        Plane::Search => bench
            .search("GET", "/indexes('hotels')/docs('7')?api-version=2025-09-01")
            .host("contoso.search.windows.net"),
        Plane::Entra => bench.ask_token(&app, &app.secret, OPENAI_SCOPE),
        Plane::Identity | Plane::Imds => bench.ask_identity(plane),
    };
    ask.send().await
}

/// One line: what the answers of two emulators have in common.
fn row(name: &str, one: &Reply, other: &Reply) -> String {
    let reason = one.reason.as_deref().map_or(String::new(), |reason| format!(" {reason}"));
    let telling = TELLING.iter().filter_map(|header| {
        let value = one.header(header)?;
        Some(if *header == "content-type" { code(value) } else { code(&format!("{header}: {value}")) })
    });
    let headers = telling.collect::<Vec<_>>().join(" ");
    format!("| `{name}` | {}{reason} | {headers} | {} |\n", one.status.as_u16(), common(one.text(), other.text()))
}

/// The start that two bodies have in common, in one line; not a part of a word, which they may share by chance.
fn common(one: &str, other: &str) -> String {
    if one.is_empty() {
        return "nothing".to_owned();
    }
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).map(|(one, _)| one);
    let mut start: String = same.collect();
    let whole = start.len() == one.len();
    if !whole {
        let of_a_word = |sign: char| sign.is_ascii_alphanumeric() || sign == '-';
        start.truncate(start.trim_end_matches(of_a_word).len());
    }
    let line = start.split_whitespace().map(timeless).collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().take(SHOWN).collect();
    let end = if whole && shown.len() == line.len() { "" } else { "…" };
    code(&format!("{shown}{end}"))
}

/// Ten digits are a time, which is the same in both.
fn timeless(word: &str) -> String {
    let mut pieces: Vec<&str> = word.split_inclusive(|sign: char| !sign.is_ascii_digit()).collect();
    for piece in &mut pieces {
        if piece.trim_end_matches(|sign: char| !sign.is_ascii_digit()).len() == 10 {
            *piece = "…\"";
        }
    }
    pieces.concat()
}

/// In as many backticks as are needed.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

#[tokio::test]
async fn the_table_shows_what_is_answered() {
    let (one, other) = (Bench::start().await, Bench::start().await);
    let tokens = (one.openai_token().await, other.openai_token().await);
    let mut table = HEAD.to_owned();
    for (plane, at, title) in PLANES {
        write!(table, "\n## {title}: `{at}`\n\n| name | status | headers | body |\n|---|---|---|---|\n")
            .expect("a text");
        let names = fault_names(plane);
        let (own, transports) = names.split_at(names.len() - TRANSPORTS.len());
        for name in own {
            let first = answer(&one, plane, &tokens.0, name).await;
            let second = answer(&other, plane, &tokens.1, name).await;
            table.push_str(&row(name, &first, &second));
        }
        assert_eq!(transports, TRANSPORTS.map(|(name, _)| name));
    }
    table.push_str("\n## Everywhere\n\n| name | what the client sees |\n|---|---|\n");
    for (name, seen) in TRANSPORTS {
        writeln!(table, "| `{name}` | {seen} |").expect("a text");
    }

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("FAULTS.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &table).expect("written");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    for (line, (written, made)) in written.lines().zip(table.lines()).enumerate() {
        assert_eq!(written, made, "line {}; BLESS=1 writes it anew", line + 1);
    }
    assert_eq!(written.len(), table.len(), "BLESS=1 writes it anew");
}
