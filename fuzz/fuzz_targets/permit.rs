//! Any method, target and header before every client of the table: what keyswap permits is what the client may do,
//! whichever server reads it. Who judges is the file that the property tests use.
#![no_main]

#[path = "../input.rs"]
mod input;
#[path = "../../tests/it/bypass/judge.rs"]
mod judge;
#[path = "../../tests/it/bypass/want.rs"]
#[allow(dead_code, reason = "the table has more words than the judge needs")]
mod want;

use std::sync::LazyLock;

use judge::Judge;
use libfuzzer_sys::{Corpus, fuzz_target};
use want::KEYS;

static JUDGE: LazyLock<Judge> = LazyLock::new(Judge::new);

fuzz_target!(|data: &[u8]| -> Corpus {
    if input::request(data).is_none() {
        return Corpus::Reject;
    }
    for (who, _) in KEYS {
        if let Some(request) = input::request(data) {
            JUDGE.permits(who, request);
        }
    }
    Corpus::Keep
});
