//! `[cors]`: the web pages whose scripts may read answers.

use http::header::HeaderValue;
use http::uri::Uri;

use crate::document::{Section, Value};

/// Origins, as browsers write them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Scheme, host and, where it is not the scheme's own, port.
    pub origins: Vec<HeaderValue>,
}

impl Cors {
    /// A mistake is noted, and its origin left out: the file is refused then.
    pub(super) fn read(section: &Section<'_>) -> Self {
        let origins = section.get("origins").and_then(|value| value.list()).unwrap_or_default();
        Self { origins: origins.iter().filter_map(origin).collect() }
    }
}

fn origin(value: &Value<'_>) -> Option<HeaderValue> {
    let text = value.text()?;
    let origin = HeaderValue::from_str(text).ok().filter(|_| is_origin(text));
    if origin.is_none() {
        value.wrong("must be an origin as browsers write it, like \"https://app.contoso.com\": no path, no *, no slash at its end");
    }
    origin
}

/// Whether a browser would write it so: in lower case, without the scheme's own port.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let usual = matches!((scheme, authority.port_u16()), ("https", Some(443)) | ("http", Some(80)));
    ["http", "https"].contains(&scheme)
        && text == format!("{scheme}://{authority}")
        && text == text.to_ascii_lowercase()
        && !authority.as_str().contains(['@', '*'])
        && !usual
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_do() {
        for good in ["https://app.contoso.com", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "null",
            "app.contoso.com",
            "https://app.contoso.com/",
            "https://app.contoso.com/x",
            "https://App.contoso.com",
            "https://app.contoso.com:443",
            "http://localhost:80",
            "https://*.contoso.com",
            "ftp://app.contoso.com",
            "https://user@app.contoso.com",
            "",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
