//! The one model that a body names: the text of the top level's `model` in JSON, the part `model` in a multipart form.
//!
//! It is found so that no other reader can find another one. A name that some reader might take for `model`, since it
//! ignores case or drops what it cannot read, is refused as much as a second `model` is.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;

use super::multipart::{self, Form, Part, boundary, is_utf8, split};
use crate::json::{self, TopLevel};

/// Reads a body for its model, piece by piece.
#[derive(Debug)]
pub(super) struct ModelReader {
    format: Format,
    gathering: Gathering,
    model: Option<String>,
}

#[derive(Debug)]
enum Format {
    Json(TopLevel),
    Form(Form),
}

/// Why it is not clear which model a body names: a clause about the request.
pub(super) type Unclear = &'static str;

/// What of the body is kept at the moment.
#[derive(Debug)]
enum Gathering {
    /// Nothing.
    Nothing,
    /// The name of a member.
    Name(Vec<u8>),
    /// The model.
    Model(Vec<u8>),
    /// Nothing, but the next value is the model.
    ModelNext,
}

/// The longest name of a member that is read, in bytes as it stands. What could be a name of Azure's is far shorter.
const LONGEST_NAME: usize = 256;

/// The longest name of a model, in bytes as it stands. A deployment's has 64 characters at most.
const LONGEST_MODEL: usize = 256;

const LONG_NAME: Unclear = "a name in its JSON is too long";
const SEVERAL: Unclear = "it names more than one 'model'";
const ALMOST: Unclear = "it has a field that some readers take for 'model' and others do not";
const NO_MODEL: Unclear = "it names no 'model'";
const NO_TEXT: Unclear = "its 'model' is no plain text";
const NO_NAME: Unclear = "its 'model' is no name: one has up to 256 characters of ASCII, and no blanks";
const ENCODED: Unclear = "its body is encoded";
const OTHER_TYPE: Unclear = "its content type is neither application/json in UTF-8 nor multipart/form-data";
const CUT_SHORT: Unclear = "its body ends too early";

impl ModelReader {
    /// A reader for the body of this request.
    ///
    /// # Errors
    /// A body that nobody here can read.
    pub(super) fn of(request: &Parts) -> Result<Self, Unclear> {
        let mut encodings = request.headers.get_all(CONTENT_ENCODING).iter();
        if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(ENCODED);
        }
        let mut types = request.headers.get_all(CONTENT_TYPE).iter();
        let (Some(content_type), None) = (types.next(), types.next()) else { return Err(OTHER_TYPE) };
        let (kind, parameters) = split(content_type.to_str().map_err(|_| OTHER_TYPE)?);
        let format = if kind.eq_ignore_ascii_case("application/json") && is_utf8(parameters) {
            Format::Json(TopLevel::new())
        } else if kind.eq_ignore_ascii_case("multipart/form-data") && is_utf8(parameters) {
            Format::Form(Form::new(boundary(parameters)?))
        } else {
            return Err(OTHER_TYPE);
        };
        Ok(Self { format, gathering: Gathering::Nothing, model: None })
    }

    /// Reads the next piece of the body.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<(), Unclear> {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = match &mut self.format {
                Format::Json(json) => {
                    let (consumed, event) = json.advance(rest)?;
                    let (read, left) = rest.split_at(consumed);
                    self.gather(read)?;
                    event.map_or(Ok(()), |event| self.json(event))?;
                    left
                }
                Format::Form(form) => {
                    let (consumed, event) = form.advance(rest)?;
                    let (read, left) = rest.split_at(consumed);
                    self.gather(read)?;
                    event.map_or(Ok(()), |event| self.form(event))?;
                    left
                }
            };
        }
        Ok(())
    }

    /// The model, once it was read. Another one may still follow.
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Whether the JSON or the form is whole, so that nothing but blanks may follow.
    pub(super) fn is_closed(&self) -> bool {
        match &self.format {
            Format::Json(json) => json.is_closed(),
            Format::Form(form) => form.is_closed(),
        }
    }

    /// The one model, at the end of the body.
    pub(super) fn end(self) -> Result<String, Unclear> {
        if self.is_closed() { self.model.ok_or(NO_MODEL) } else { Err(CUT_SHORT) }
    }

    fn gather(&mut self, read: &[u8]) -> Result<(), Unclear> {
        // The quote or the delimiter that ends it is gathered, too.
        let (gathered, longest, too_long) = match &mut self.gathering {
            Gathering::Nothing | Gathering::ModelNext => return Ok(()),
            Gathering::Name(gathered) => (gathered, LONGEST_NAME + 1, LONG_NAME),
            Gathering::Model(gathered) => (gathered, LONGEST_MODEL + multipart::LONGEST_DELIMITER, NO_NAME),
        };
        if gathered.len() + read.len() > longest {
            return Err(too_long);
        }
        gathered.extend_from_slice(read);
        Ok(())
    }

    fn json(&mut self, event: json::Event) -> Result<(), Unclear> {
        use Gathering::{Model, ModelNext, Name, Nothing};
        let gathered = std::mem::replace(&mut self.gathering, Nothing);
        self.gathering = match (event, gathered) {
            (json::Event::Name, _) => Name(Vec::new()),
            (json::Event::Quote, Name(raw)) if self.is_model(&unescaped(&raw).ok_or(ALMOST)?)? => ModelNext,
            (json::Event::Text, ModelNext) => Model(Vec::new()),
            (json::Event::Value, ModelNext) => return Err(NO_TEXT),
            (json::Event::Quote, Model(raw)) => {
                self.model = Some(name(unescaped(&raw).ok_or(NO_NAME)?)?);
                Nothing
            }
            _ => Nothing,
        };
        Ok(())
    }

    fn form(&mut self, event: multipart::Event) -> Result<(), Unclear> {
        let gathered = std::mem::replace(&mut self.gathering, Gathering::Nothing);
        match (event, gathered) {
            (multipart::Event::Part(Part { name, is_plain_text }), _) => {
                // By this name a form says how its texts are to be read.
                if name.eq_ignore_ascii_case("_charset_") {
                    return Err(OTHER_TYPE);
                }
                if self.is_model(&name)? {
                    if !is_plain_text {
                        return Err(NO_TEXT);
                    }
                    self.gathering = Gathering::Model(Vec::new());
                }
            }
            (multipart::Event::PartEnd(delimiter), Gathering::Model(mut text)) => {
                text.truncate(text.len().saturating_sub(delimiter));
                self.model = Some(name(String::from_utf8(text).map_err(|_| NO_NAME)?)?);
            }
            (multipart::Event::PartEnd(_), _) => {}
        }
        Ok(())
    }

    /// Whether a field is the model, and the only one so far.
    fn is_model(&self, field: &str) -> Result<bool, Unclear> {
        const MODEL: &str = "model";
        if field == MODEL {
            return if self.model.is_none() { Ok(true) } else { Err(SEVERAL) };
        }
        let letters = field.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
        if letters.eq(MODEL.bytes()) { Err(ALMOST) } else { Ok(false) }
    }
}

/// What a string of JSON means, from what stands before and in front of its closing quote.
fn unescaped(raw: &[u8]) -> Option<String> {
    serde_json::from_slice(&[b"\"", raw].concat()).ok()
}

/// A text that can be the name of a model in one way only.
fn name(text: String) -> Result<String, Unclear> {
    let fits = (1..=LONGEST_MODEL).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text) } else { Err(NO_NAME) }
}

#[cfg(test)]
mod tests;
