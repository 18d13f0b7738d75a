//! None of our credentials comes back: a proxy near the upstream, or a service in a debugging mode, may answer with what it
//! was sent.
//!
//! Headers in which requests carry credentials are taken out of every answer by their names, and so is any other whose
//! value holds the token that was sent: few values are as long as a token, so that this costs a comparison of lengths. A
//! body streams, and is not looked at for it; what is quoted of one, in a text of ours, has no token in it.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use memchr::memmem::find;

use crate::token::Bearer;

/// Headers that say something in requests alone, and that hold credentials there.
const CREDENTIALS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
    HeaderName::from_static("x-api-key"),
];

/// Takes out of an answer's head what the request brought of ours.
pub(crate) fn silence(headers: &mut HeaderMap, bearer: &Bearer) {
    let token = bearer.text();
    let echoes = headers.iter().filter(|(name, value)| {
        CREDENTIALS.contains(name) || value.len() >= token.len() && find(value.as_bytes(), token).is_some()
    });
    let echoes: Vec<_> = echoes.map(|(name, _)| name.clone()).collect();
    for name in echoes {
        headers.remove(name);
    }
}

/// The same text without tokens: whatever begins and looks as a JWT does.
pub(super) fn without_tokens(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, token)) = rest.split_once("eyJ") {
        let end = token.find(|sign: char| !(sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.')));
        let (token, after) = token.split_at(end.unwrap_or(token.len()));
        kept.push_str(before);
        kept.push_str(if token.contains('.') { "(a token)" } else { "eyJ" });
        kept.push_str(if token.contains('.') { "" } else { token });
        rest = after;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_quoted_has_no_token_in_it() {
        for (text, quoted) in [
            ("", ""),
            ("No such deployment.", "No such deployment."),
            ("eyJ is how it begins, eyJx", "eyJ is how it begins, eyJx"),
            ("got 'Bearer eyJ0eXAi.eyJhdWQi.c2_-n', no", "got 'Bearer (a token)', no"),
            ("eyJ0eXAi.eyJhdWQi", "(a token)"),
            ("eyJa.b eyJc.d", "(a token) (a token)"),
        ] {
            assert_eq!(without_tokens(text), quoted);
        }
    }
}
