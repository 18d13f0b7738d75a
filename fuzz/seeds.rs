//! Writes the attempts of the table, and some requests that are granted, as files into a directory: the fuzzer's
//! beginning. It needs nothing but the compiler.

#[path = "../tests/it/bypass/attempts.rs"]
mod attempts;
#[path = "../tests/it/bypass/want.rs"]
#[allow(dead_code, reason = "the table has more words than its requests need")]
mod want;

use std::path::PathBuf;

/// What clients may do: without it the fuzzer would have to find the other side of the wall by itself.
const GRANTED: &[&str] = &[
    "GET /indexes('hotels')/docs",
    "GET /indexes('hotels')/docs('a%2Fb')",
    "GET /indexes/hotels/docs/$count",
    "POST /indexes('hotels')/docs/search.post.search",
    "POST /indexes/hotels/docs/suggest",
    "GET /indexes/hotels/docs/autocomplete",
    "POST //openai//deployments/gpt-4o/chat/completions",
    "POST /openai/images/generations:submit",
    "GET /openai/models",
    "GET /openai/operations/images/1",
    "POST /models/chat/completions",
    "POST /anthropic/v1/messages",
    "GET /ai/openai/models",
    "POST /search/indexes('hotels')/docs/search.index",
    "GET http://contoso.search.windows.net/indexes/hotels/docs",
];

fn main() {
    let directory = PathBuf::from(std::env::args_os().nth(1).expect("a directory to write to"));
    std::fs::create_dir_all(&directory).expect("the directory");
    let attempts = attempts::FAMILIES.iter().flat_map(|(_, attempts)| attempts.iter());
    let attempts = attempts.map(|(_, _, line, headers, _)| {
        let headers = headers.iter().map(|(name, value)| format!("\n{name}:{value}"));
        format!("{line}{}", headers.collect::<String>())
    });
    for (n, text) in attempts.chain(GRANTED.iter().map(|line| (*line).to_owned())).enumerate() {
        std::fs::write(directory.join(format!("seed-{n:03}")), text).expect("a file");
    }
}
