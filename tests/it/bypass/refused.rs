//! What an attempt is answered, to the byte.

use super::want::Refused;
use crate::closing_table::SEARCH_WRONG_KEY;

impl Refused {
    /// Whether the request can be read, so that a key that may does get through with it.
    pub(crate) fn is_readable(self) -> bool {
        !matches!(self, Self::Odd(_) | Self::Nobody | Self::NoFamily | Self::NoPlane)
    }

    /// Status and body, for a request with this target.
    pub(crate) fn answer(self, target: &str) -> (u16, String) {
        match self {
            Self::WrongKey | Self::Nobody => (403, SEARCH_WRONG_KEY.to_owned()),
            Self::Odd(what) => {
                let text = format!("keyswap does not forward this request: {what}.");
                // As far as its path can be read; a name may stand before the first word.
                let mut words = target.split('/').filter(|word| !word.is_empty()).skip(1).take(2);
                let words = if words.any(|word| word.contains("ndexes")) { search } else { openai };
                (400, words("BadRequest", &text))
            }
            Self::Family(family) => {
                let text =
                    format!("This key may not use {family} operations. Ask the gateway's owner to grant '{family}'.");
                (403, openai("PermissionDenied", &text))
            }
            Self::Access(family, access) => {
                let text = format!(
                    "This key may use {family} operations, but none that {access}. Ask the gateway's owner to grant \
                     '{access}'."
                );
                (403, openai("PermissionDenied", &text))
            }
            Self::Deployment(name) => (403, openai("PermissionDenied", &names("deployment", "deployments", name))),
            Self::Index(name) => (403, search("", &names("index", "indexes", name))),
            Self::NoFamily => {
                let text = "keyswap does not know this operation, and so no key can be granted it. Newer versions may know it.";
                (403, openai("PermissionDenied", text))
            }
            Self::NoPlane => {
                let text = "Resource not found: keyswap serves the paths of Azure OpenAI (/openai, /models, /anthropic, \
                            /api) and of Azure AI Search (/indexes, /indexers, ...). Check the endpoint that the client \
                            was given.";
                (404, openai("404", text))
            }
        }
    }
}

fn names(one: &str, some: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("This key may not use the {one} '{name}'. Ask the gateway's owner to grant it."),
        None => format!(
            "This key may use some {some} only, and this operation cannot be limited to them. Ask the gateway's owner for \
             a key that is granted every one."
        ),
    }
}

fn openai(code: &str, text: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"{text}","type":"invalid_request_error","param":null}}}}"#)
}

fn search(code: &str, text: &str) -> String {
    format!(r#"{{"error":{{"code":"{code}","message":"{text}"}}}}"#)
}
