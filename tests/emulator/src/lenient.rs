//! How a careless server reads a request: the judge of other people's path checks.
//!
//! [`Door::Lenient`](crate::Door::Lenient) decodes paths twice, cuts what follows `;`, an encoded
//! `?`, `#` or a NUL, takes `\` for `/`, resolves dot segments, drops trailing dots and spaces,
//! collapses slashes, ignores case, and lets headers and parameters override the method. A
//! gateway that reads a request differently from *some* server is caught here.

use hyper::Method;

use crate::exchange::Call;
use crate::target::decode;

const METHOD_HEADERS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The method that the request ends up with.
pub(crate) fn method(call: &Call<'_>) -> Method {
    METHOD_HEADERS
        .iter()
        .find_map(|name| call.header(name).map(str::to_owned))
        .or_else(|| call.parameter("_method"))
        .and_then(|method| Method::from_bytes(method.trim().to_ascii_uppercase().as_bytes()).ok())
        .unwrap_or_else(|| call.method.clone())
}

/// The path that the request ends up with, decoded, beginning with `/`.
pub(crate) fn path(raw: &str) -> String {
    let decoded = decode(&decode(raw)).replace('\\', "/");
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

#[cfg(test)]
mod tests {
    use super::path;

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
            "/indexes/hotels/docs/index;x=y",
            "/indexes/hotels/docs/search/..;x/index",
            "/indexes/hotels/docs/index.",
            "/indexes/hotels/docs/index%20",
            "/indexes/hotels/docs/index%3f/search",
            "/indexes/hotels/docs/index%00/search",
        ] {
            assert_eq!(path(dressed), plain, "{dressed}");
        }
        assert_eq!(path("/../../x"), "/x");
    }
}
