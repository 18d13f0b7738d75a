//! One canonical form of a path, decided once.
//!
//! Percent-encoding is undone once; repeated slashes count as one, since real clients send `//openai/...` and the real
//! service takes it. Everything else that some server might read otherwise is refused: an encoding within an encoding,
//! an encoded slash (but in a quoted document key, where Azure allows it), dot segments, trailing dots and blanks,
//! matrix parameters, backslashes, control characters, bytes that are not UTF-8, letters beyond ASCII, and whatever else
//! no name of Azure's has.

use std::borrow::Cow;

use memchr::memchr3;
use percent_encoding::percent_decode_str;

/// One `name=value` of a query, as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter<'q> {
    raw: &'q str,
}

/// The segments of a path, decoded once, none of them empty.
///
/// # Errors
/// What makes the path ambiguous, as a clause that follows "keyswap does not forward this request:".
pub(super) fn canonical(raw: &str) -> Result<Vec<Cow<'_, str>>, &'static str> {
    if !raw.starts_with('/') {
        return Err("its target is no path");
    }
    // As many as the deepest path of every day has.
    let mut segments = Vec::with_capacity(8);
    let mut rest = raw;
    while let Some(slash) = rest.strip_prefix('/') {
        let plain = slash.bytes().position(|byte| !PLAIN[usize::from(byte)]).unwrap_or(slash.len());
        // Almost all segments end where they are no longer plain: one look at each byte tells.
        let ends = slash.as_bytes().get(plain).is_none_or(|byte| *byte == b'/');
        let length = if ends { plain } else { slash.find('/').unwrap_or(slash.len()) };
        let (raw, after) = slash.split_at(length);
        if ends && !raw.ends_with('.') {
            segments.extend((!raw.is_empty()).then_some(Cow::Borrowed(raw)));
        } else {
            segments.push(segment(raw)?);
        }
        rest = after;
    }
    Ok(segments)
}

/// As much of a path as can be read in one way only.
pub(crate) fn readable(raw: &str) -> &str {
    let mut read = 0;
    for piece in raw.split_inclusive('/') {
        let name = piece.strip_suffix('/').unwrap_or(piece);
        if segment(name).is_err() {
            let plain = name.bytes().take_while(|byte| PLAIN[usize::from(*byte)]).count();
            return raw.get(..read + plain).unwrap_or_default();
        }
        read += piece.len();
    }
    raw
}

/// How many bytes of a path its first segment takes, with the slashes before it.
pub(super) fn first_length(raw: &str) -> usize {
    let segment = raw.trim_start_matches('/');
    let slashes = raw.len() - segment.len();
    slashes + segment.find('/').unwrap_or(segment.len())
}

/// The parameters of a query, in order, empty ones too.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = Parameter<'_>> {
    pieces(query, |byte| byte == b'&').map(|raw| Parameter { raw })
}

/// The names that some server might find in a query where [`parameters`] has others: behind a `;` or another `?`, which
/// not everybody takes for the end of a parameter, or encoded twice. They are to be looked for, and refused.
pub(crate) fn hidden_names(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    // Almost no query has any of these: one look at each byte tells.
    let may_hide = memchr3(b';', b'?', b'%', query.as_bytes()).is_some();
    let all = parameters(if may_hide { query } else { "" });
    all.flat_map(|parameter| {
        let shown = parameter.name();
        let names = pieces(parameter.raw, |byte| matches!(byte, b';' | b'?')).map(|raw| Parameter { raw }.name());
        // The first may be the one that everybody finds.
        names.map(decode_whole).enumerate().filter(move |(n, name)| *n > 0 || *name != shown).map(|(_, name)| name)
    })
}

/// Decodes until nothing is encoded any more, or nobody could mean it.
fn decode_whole(name: Cow<'_, str>) -> Cow<'_, str> {
    (0..3).fold(name, |name, _| if name.contains('%') { Cow::Owned(decode(&name).into_owned()) } else { name })
}

/// The pieces of a text between bytes of ASCII, empty ones too. Queries are short: looking at each byte costs less than
/// setting up a search.
fn pieces(text: &str, is_end: impl Fn(u8) -> bool) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(end) = text.bytes().position(&is_end) else { return Some(text) };
        rest = text.get(end + 1..);
        text.get(..end)
    })
}

/// A segment that may have something in it that somebody could read otherwise.
fn segment(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    let encodings = raw.match_indices('%').map(|(at, _)| raw.as_bytes().get(at + 1..at + 3));
    for digits in encodings {
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err("its path has a broken percent-encoding");
        }
    }
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| "its path is not UTF-8")?;
    match document_key(&decoded) {
        // A key may hold what a name may not, but nothing that another server could take for structure.
        Some(key) => key.split('/').try_for_each(plain)?,
        None if decoded.contains('/') => return Err("its path has an encoded slash"),
        None if !decoded.is_ascii() => return Err("its path has letters beyond ASCII"),
        None => plain(&decoded)?,
    }
    Ok(decoded)
}

/// The bytes of a path that nobody could read otherwise, but for a dot at the end of a segment.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'$');
        byte += 1;
    }
    plain
};

/// What the names in Azure's paths are made of, besides letters and digits.
const SIGNS: &str = "-_.:$=@'()";

fn plain(part: &str) -> Result<(), &'static str> {
    if part.contains('%') {
        return Err("its path is percent-encoded more than once");
    }
    if part.chars().any(char::is_control) {
        return Err("its path has a control character");
    }
    if part.contains('\\') {
        return Err("its path has a backslash");
    }
    if part.contains(';') {
        return Err("its path has matrix parameters");
    }
    if part.contains(['?', '#']) {
        return Err("its path has an encoded ? or #");
    }
    if part.starts_with(' ') || part.ends_with([' ', '.']) {
        return Err("its path has a segment that is dots or ends in a dot or blank");
    }
    // Such as a + or a blank within: some servers take them for each other.
    if !part.chars().all(|sign| sign.is_alphanumeric() || SIGNS.contains(sign)) {
        return Err("its path has a character that no name of Azure's has");
    }
    Ok(())
}

/// The key in a segment that reads `docs('key')`.
fn document_key(segment: &str) -> Option<&str> {
    let (word, key) = segment.split_once("('")?;
    word.eq_ignore_ascii_case("docs").then_some(key.strip_suffix("')")?)
}

// === impl Parameter ===

impl<'q> Parameter<'q> {
    /// The parameter as it came.
    pub(crate) fn raw(self) -> &'q str {
        self.raw
    }

    /// Its name, decoded.
    pub(crate) fn name(self) -> Cow<'q, str> {
        decode(self.split().0)
    }

    /// Its value, decoded; empty if it has none.
    pub(crate) fn value(self) -> Cow<'q, str> {
        decode(self.split().1.get(1..).unwrap_or_default())
    }

    /// Before the first sign of equality, and from it on.
    fn split(self) -> (&'q str, &'q str) {
        self.raw.split_at(self.raw.bytes().position(|byte| byte == b'=').unwrap_or(self.raw.len()))
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte == b'%') {
        percent_decode_str(text).decode_utf8_lossy()
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_real_clients_send_is_taken() {
        for (raw, segments) in [
            ("//openai/deployments/gpt-4o/chat/completions", "openai|deployments|gpt-4o|chat|completions"),
            ("/indexes(%27hotels%27)/docs/%24count", "indexes('hotels')|docs|$count"),
            ("/indexes('hotels')/docs('a_b-c%3Dd')", "indexes('hotels')|docs('a_b-c=d')"),
            ("/indexes('h')/docs('a%2Fb')", "indexes('h')|docs('a/b')"),
            ("/indexes('h')/docs('%C3%A9')", "indexes('h')|docs('é')"),
            ("/openai/images/generations:submit", "openai|images|generations:submit"),
            ("/openai/deployments/gpt-5.2_2025-12-11/chat/", "openai|deployments|gpt-5.2_2025-12-11|chat"),
        ] {
            assert_eq!(canonical(raw).unwrap().join("|"), segments, "{raw}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not() {
        for raw in [
            "/a/%2e%2e/b",
            "/a/../b",
            "/a/./b",
            "/a/.",
            "/a./b",
            "/a%20/b",
            "/a/b%2Fc",
            "/a/b%5cc",
            "/a/b;x=1/c",
            "/a/%252e/b",
            "/a/%00",
            "/a/b%0d%0a",
            "/a/%c0%ae",
            "/a/%zz",
            "/a/%2",
            "/a/%ef%bd%89",
            "/a/b%3Fx",
            "/a/b%23x",
            "/docs('a%2F..%2Fb')",
            "/docs('a%2F..;')",
            "/docs('a%2F..+%2Fb')",
            "/docs('a%5Cb')",
            "/docs('%2527')",
            "/x('a%2Fb')",
            "/docs('a%ef%bc%8fb')",
            "/a+b",
            "/a%20b",
            "/a%22b",
            "/index~1",
            "*",
            "",
        ] {
            assert!(canonical(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn a_path_is_told_as_far_as_it_can_be_read() {
        for (raw, told) in [
            ("//contoso/indexes(%27h%27)/docs('a%2Fb')/$count/", "//contoso/indexes(%27h%27)/docs('a%2Fb')/$count/"),
            ("/indexes%3Fapi-key=KEY", "/indexes"),
            ("/indexes%253fapi-key=KEY/x", "/indexes"),
            ("/indexes%25%33%66api-key=KEY", "/indexes"),
            ("/indexes%u003fapi-key=KEY", "/indexes"),
            ("/indexes%c0%bfapi-key=KEY", "/indexes"),
            ("/a/b;api-key=KEY/c", "/a/b"),
            ("/a%3Bapi-key=KEY", "/a"),
            ("/a/&api-key=KEY", "/a/"),
            ("/a/../b", "/a/.."),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(readable(raw), told, "{raw}");
        }
    }

    #[test]
    fn a_name_that_only_some_servers_find_is_found() {
        let hidden = |query| hidden_names(query).collect::<Vec<_>>().join("|");
        for (query, names) in [
            ("", ""),
            ("api-version=2024-10-21", ""),
            ("api%2Dkey=1&b", ""),
            ("a=50%2525&b=x%3Bc", ""),
            ("x=1;api-key=2", "api-key"),
            ("api-key=1;x=2", "x"),
            ("model=1;model=2", "model"),
            ("x;api-key;=1", "x|api-key|"),
            ("x=what?api-key=2", "api-key"),
            ("?api-key=2", "|api-key"),
            ("api%252Dkey=1", "api-key"),
            ("a&%25256dodel=1", "model"),
        ] {
            assert_eq!(hidden(query), names, "{query}");
        }
    }
}
