//! Dressing a path up: the tricks of the table as rules, to be put together at random. The fuzz target reads this file,
//! too.

/// A trick: what it does to a path at a place in it, a byte that is ASCII.
type Trick = fn(&str, usize) -> String;

/// All tricks.
pub(crate) const TRICKS: &[Trick] = &[
    // Encodings of one character.
    |path, at| encoded(path, at, |byte| format!("%{byte:02x}")),
    |path, at| encoded(path, at, |byte| format!("%{byte:02X}")),
    |path, at| encoded(path, at, |byte| format!("%25{byte:02x}")),
    |path, at| encoded(path, at, |byte| format!("%25%{:02x}%{:02x}", digit(byte >> 4), digit(byte & 15))),
    |path, at| encoded(path, at, |byte| format!("%u00{byte:02x}")),
    |path, at| encoded(path, at, |byte| format!("%{:02x}%{:02x}", 0xc0 | byte >> 6, 0x80 | (byte & 0x3f))),
    |path, at| encoded(path, at, full_width),
    |path, at| encoded(path, at, |byte| char::from(byte).to_ascii_uppercase().to_string()),
    |path, at| encoded(path, at, |byte| char::from(byte ^ 0x20).to_string()),
    // Between two segments.
    |path, at| between(path, at, "//"),
    |path, at| between(path, at, "/./"),
    |path, at| between(path, at, "/x/../"),
    |path, at| between(path, at, "/%2e/"),
    |path, at| between(path, at, "/x/..+/"),
    |path, at| between(path, at, "/x/%2e%2e/"),
    |path, at| between(path, at, "/x/..;y/"),
    |path, at| between(path, at, "/x%2f..%2f"),
    |path, at| between(path, at, "%2f"),
    |path, at| between(path, at, "%252f"),
    |path, at| between(path, at, "%5c"),
    |path, at| between(path, at, "%c0%af"),
    |path, at| between(path, at, ";x=y/"),
    |path, at| between(path, at, "./"),
    |path, at| between(path, at, "%20/"),
    |path, at| between(path, at, "/%20"),
    |path, at| between(path, at, "+/"),
    |path, at| between(path, at, "()/"),
    // Within a segment.
    |path, at| within(path, at, "%e2%80%8b"),
    |path, at| within(path, at, "%c2%ad"),
    // In front and behind.
    |path, _| format!("/{path}"),
    |path, _| format!("/x/..{path}"),
    |path, _| format!("/nobody{path}"),
    |path, _| format!("{path}/"),
    |path, _| format!("{path}."),
    |path, _| format!("{path}%20"),
    |path, _| format!("{path}%00"),
    |path, _| format!("{path}%00/search"),
    |path, _| format!("{path}%3f/search"),
    |path, _| format!("{path}%23/search"),
    |path, _| format!("{path};/search"),
    |path, _| format!("{path}/search/.."),
    |path, _| format!("{path}()"),
    // Slash form and OData form.
    |path, _| keyed(path, "('", "')"),
    |path, _| keyed(path, "(%27", "%27)"),
    |path, _| keyed(path, "(", ")"),
    |path, _| keyed(path, "(name='", "')"),
    |path, _| path.replace("/index", "/search.index"),
];

/// A path with these tricks on it, each at a place: a fraction of its length in 256ths.
pub(crate) fn dress(path: &str, tricks: &[(u8, u8)]) -> String {
    tricks.iter().fold(path.to_owned(), |path, (trick, place)| {
        let at = path.len() * usize::from(*place) / 256;
        let dressed = TRICKS[usize::from(*trick) % TRICKS.len()](&path, at);
        // What grows without end is no path.
        if dressed.len() < 2000 { dressed } else { path }
    })
}

fn digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

fn full_width(byte: u8) -> String {
    char::from_u32(0xff01 + u32::from(byte) - 0x21)
        .map(|sign| sign.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect())
        .unwrap_or_default()
}

/// With one letter or digit written otherwise: the first at or behind the place.
fn encoded(path: &str, at: usize, write: impl Fn(u8) -> String) -> String {
    let found = path.bytes().enumerate().skip(at).find(|(_, byte)| byte.is_ascii_alphabetic() || *byte == b'/');
    let Some((at, byte)) = found else { return path.to_owned() };
    format!("{}{}{}", &path[..at], write(byte), &path[at + 1..])
}

/// With something else for a slash: the first at or behind the place that is not the path's first byte.
fn between(path: &str, at: usize, sign: &str) -> String {
    let Some((at, _)) = path.bytes().enumerate().skip(at.max(1)).find(|(_, byte)| *byte == b'/') else {
        return path.to_owned();
    };
    format!("{}{sign}{}", &path[..at], &path[at + 1..])
}

fn within(path: &str, at: usize, sign: &str) -> String {
    let at = at.max(1).min(path.len());
    format!("{}{sign}{}", &path[..at], &path[at..])
}

/// With the second segment as the key of the first, where the first is a collection of Search.
fn keyed(path: &str, open: &str, close: &str) -> String {
    let mut parts = path.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(""), Some(collection), Some(key)) if collection.ends_with('s') => {
            let rest = parts.next().map(|rest| format!("/{rest}")).unwrap_or_default();
            format!("/{collection}{open}{key}{close}{rest}")
        }
        _ => path.to_owned(),
    }
}
