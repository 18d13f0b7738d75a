//! Keys that come in: from standard input, never from an argument, which everybody on the machine could read.

use std::io::{IsTerminal, Read};

use keyswap::document::{Mistake, Mistakes};
use zeroize::Zeroizing;

/// More than the keys of any client are long.
const LONGEST: usize = 64 * 1024;

/// All of standard input.
pub(super) fn text() -> Result<Zeroizing<String>, Mistakes> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Err(wrong(
            "is a terminal, which would show the key: pipe it in, like printf %s \"$KEY\" | keyswap keys",
        ));
    }
    // As large as it can become: what grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    let read = input.lock().take(LONGEST as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    if bytes.len() > LONGEST {
        return Err(wrong("is longer than any list of keys"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is no text: keys are plain ASCII"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The one key on standard input.
pub(super) fn key() -> Result<Zeroizing<String>, Mistakes> {
    let text = text()?;
    let key = text.trim_end_matches(['\r', '\n']);
    match key {
        "" => Err(wrong("is empty: pipe the key in, like printf %s \"$KEY\" | keyswap keys verify")),
        key if key.contains('\n') => Err(wrong("has more than one line: verify one key at a time")),
        key => Ok(Zeroizing::new(key.to_owned())),
    }
}

/// What to say to somebody who has shown a key.
pub(super) fn as_argument() -> Mistakes {
    wrong(
        "is where a key goes: as an argument others can see it, and the shell remembers it. Rotate the one that was shown",
    )
}

fn wrong(fix: &str) -> Mistakes {
    Mistakes(vec![Mistake { file: "standard input".into(), at: None, place: String::new(), fix: fix.to_owned() }])
}
