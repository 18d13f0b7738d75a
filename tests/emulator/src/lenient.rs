//! How a careless server reads a request: the judge of other people's path checks.
//!
//! [`Door::Lenient`](crate::Door::Lenient) reads a path as if every mistake that a server has ever been known for were
//! made at once:
//!
//! - it decodes twice, `%u0069` and over-long encodings too, and takes letters for those that look like them;
//! - it cuts what follows `;`, an encoded `?`, `#` or a NUL, takes `\` for `/` and `+` for a blank;
//! - it resolves dot segments, drops trailing dots, blanks and what cannot be seen, collapses slashes, ignores case;
//! - it lets headers and parameters override the method, and headers the path, and ends parameters at `;`, too;
//! - it takes quotes and parentheses as they come.
//!
//! A gateway that reads a request differently from *some* server is caught here.

use hyper::{HeaderMap, Method};

use crate::target::{decode, split};

const METHOD_WORDS: [&str; 4] = ["x-http-method-override", "x-http-method", "x-method-override", "_method"];

const PATH_HEADERS: [&str; 2] = ["x-original-url", "x-rewrite-url"];

/// What the request ends up with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) method: Method,
    /// Of its path, decoded, none of them empty. What stands in quotes or parentheses is a segment of its own.
    pub(crate) segments: Vec<String>,
}

/// Reads a request's head.
pub(crate) fn read(method: &Method, raw_path: &str, query: &str, headers: &HeaderMap) -> Reading {
    let header = |name: &&str| headers.get(*name)?.to_str().ok().map(str::to_owned);
    let written = METHOD_WORDS.iter().find_map(header).or_else(|| overriding(query));
    let written = written.unwrap_or_else(|| method.to_string()).trim().to_ascii_uppercase();
    let path = PATH_HEADERS.iter().find_map(header);
    Reading {
        method: Method::from_bytes(written.as_bytes()).unwrap_or_else(|_| method.clone()),
        segments: segments(&path.map_or_else(|| self::path(raw_path), |target| self::path(split(&target).0))),
    }
}

/// A parameter that names a method.
fn overriding(query: &str) -> Option<String> {
    query.split(['&', ';']).find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let name = decode(&decode(name)).to_ascii_lowercase();
        METHOD_WORDS.contains(&name.as_str()).then(|| decode(value).into_owned())
    })
}

/// The path that the request ends up with.
fn path(raw: &str) -> String {
    let decoded: String = seen(&decode(&decode(&unusual(&decode(&unusual(raw))))));
    let end = decoded.find(['?', '#', '\0']).unwrap_or(decoded.len());
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded[..end].split('/') {
        // Parameters go first: `..;x` is the parent, too.
        let segment = segment.split(';').next().unwrap_or_default().trim();
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name.trim_end_matches(['.', ' '])),
        }
    }
    segments.retain(|segment| !segment.is_empty());
    format!("/{}", segments.join("/"))
}

/// The segments of a path: `x("y")`, `x(name=y)`, `x('y')` and `x/y` are one, `x()` is `x`.
fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').flat_map(|part| part.split('('));
    let texts = parts.map(|part| {
        let key = part.trim_end_matches(')');
        let key = if key.len() < part.len() { key.rsplit('=').next().unwrap_or_default() } else { key };
        key.trim_matches(['\'', '"']).replace("''", "'")
    });
    texts.filter(|text| !text.is_empty()).collect()
}

/// Encodings that are none, written as those that are meant: `%u0069`, `%c1%a9`, `%e0%81%a9`.
fn unusual(raw: &str) -> String {
    let mut rest = raw;
    let mut text = String::with_capacity(raw.len());
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let meant = wide(&rest[at..]).or_else(|| overlong(&rest[at..]));
        let length = meant.map_or(1, |(length, byte)| {
            text.push_str(&format!("%{byte:02x}"));
            length
        });
        if meant.is_none() {
            text.push('%');
        }
        rest = &rest[at + length..];
    }
    text + rest
}

/// `%u0069`: its length, and the byte that is meant.
fn wide(text: &str) -> Option<(usize, u8)> {
    let digits = text.get(2..6).filter(|_| text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("%u")))?;
    u8::from_str_radix(digits, 16).ok().map(|byte| (6, byte))
}

/// An encoding in more bytes than needed: its length, and the byte that is meant.
fn overlong(text: &str) -> Option<(usize, u8)> {
    let byte = |n: usize| {
        let encoded = text.get(3 * n..3 * n + 3)?.strip_prefix('%')?;
        u8::from_str_radix(encoded, 16).ok()
    };
    match (byte(0)?, byte(1)?, byte(2)) {
        (first @ (0xc0 | 0xc1), last @ 0x80..=0xbf, _) => Some((6, (first & 1) << 6 | (last & 0x3f))),
        (0xe0, middle @ (0x80 | 0x81), Some(last @ 0x80..=0xbf)) => Some((9, (middle & 1) << 6 | (last & 0x3f))),
        _ => None,
    }
}

/// What somebody sees who does not look closely.
fn seen(decoded: &str) -> String {
    let plain = |sign: char| match sign {
        '\\' => Some('/'),
        '+' => Some(' '),
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => None,
        // Full-width forms, slash and full stop among them.
        '\u{ff01}'..='\u{ff5e}' => u8::try_from(u32::from(sign) - 0xff01 + 0x21).ok().map(char::from),
        // Letters whose other case is a letter of ASCII.
        sign if !sign.is_ascii() => {
            let folded = sign.to_lowercase().chain(sign.to_uppercase()).find(char::is_ascii);
            Some(folded.unwrap_or(sign))
        }
        sign => Some(sign),
    };
    decoded.chars().filter_map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dressed_up_path_is_read_as_the_plain_one() {
        let plain = "/indexes/hotels/docs/index";
        for dressed in [
            "/indexes/hotels/docs/index/",
            "/indexes/hotels//docs/index",
            "/indexes/hotels/docs/./index",
            "/indexes/hotels/docs/search/../index",
            "/indexes/hotels/docs/search/%2e%2e/index",
            "/indexes/hotels/docs/search/..%2findex",
            "/indexes/hotels/docs/search/..%252findex",
            "/indexes/hotels/docs\\index",
            "/indexes/hotels/docs%5Cindex",
            "/indexes/hotels/docs/%69ndex",
            "/indexes/hotels/docs/%2569ndex",
            "/indexes/hotels/docs/%u0069ndex",
            "/indexes/hotels/docs%c0%afindex",
            "/indexes/hotels/docs%e0%80%afindex",
            "/indexes/hotels/docs/%c1%a9ndex",
            "/indexes/hotels/docs/%ef%bd%89ndex",
            "/indexes/hotels/docs%ef%bc%8findex",
            "/indexes/hotels/docs/%c4%b1ndex",
            "/indexes/hotels/docs/in%e2%80%8bdex",
            "/indexes/hotels/docs/index+",
            "/indexes/hotels/docs/index;x=y",
            "/indexes/hotels/docs/search/..;x/index",
            "/indexes/hotels/docs/index.",
            "/indexes/hotels/docs/index%20",
            "/indexes/hotels/docs/index%3f/search",
            "/indexes/hotels/docs/index%00/search",
        ] {
            assert_eq!(path(dressed).to_lowercase(), plain, "{dressed}");
        }
        for keyed in ["/indexes('x')/docs", "/indexes(\"x\")/docs()", "/indexes(name='x')/docs", "/indexes(x)/docs"] {
            assert_eq!(segments(keyed), ["indexes", "x", "docs"], "{keyed}");
        }
        assert_eq!(path("/../../x"), "/x");
        assert_eq!(path("/100%/%u12/%c0"), "/100%/%u12/\u{fffd}");
    }

    #[test]
    fn method_and_path_can_be_others_than_they_are() {
        let get = |query: &str, headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            read(&Method::GET, "/a", query, &headers.collect())
        };
        let reading = |method: Method, path: &str| Reading { method, segments: segments(path) };
        assert_eq!(get("", &[]), reading(Method::GET, "/a"));
        assert_eq!(get("x=1;%5Fmethod=post", &[]), reading(Method::POST, "/a"));
        assert_eq!(get("", &[("x-method-override", "delete")]), reading(Method::DELETE, "/a"));
        assert_eq!(get("", &[("x-rewrite-url", "/%62?x")]), reading(Method::GET, "/b"));
    }
}
