//! The head of a part, and the parameters in it and in a request's `Content-Type`.

/// What the head of a part says.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::guard) struct Part {
    /// Its name in the form.
    pub(in crate::guard) name: String,
    /// Whether it is a text that every reader decodes alike, and no file.
    pub(in crate::guard) is_plain_text: bool,
}

/// The longest boundary (RFC 2046, 5.1.1), in bytes.
pub(super) const LONGEST_BOUNDARY: usize = 70;

const BAD_HEAD: &str = "a part of its multipart form has a head that is not well-formed";
const BAD_NAME: &str = "a part of its multipart form is not named in one way";
const BAD_CONTENT: &str = "a part of its multipart form is encoded or nested";
const BAD_BOUNDARY: &str = "its multipart form has no boundary, or several, or a bad one";

/// The boundary of a form, from the parameters of its content type.
///
/// # Errors
/// None, several, or one that RFC 2046 does not allow.
pub(in crate::guard) fn boundary(parameters: &str) -> Result<&str, &'static str> {
    let mut found = None;
    for parameter in Parameters(parameters) {
        let (name, value) = parameter.ok_or(BAD_BOUNDARY)?;
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(BAD_BOUNDARY);
        }
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let found = found.filter(|boundary| (1..=LONGEST_BOUNDARY).contains(&boundary.len()));
    found.filter(|boundary| boundary.bytes().all(fits) && !boundary.ends_with(' ')).ok_or(BAD_BOUNDARY)
}

/// Whether the parameters of a content type name no other charset than UTF-8, or one that is part of it.
pub(in crate::guard) fn is_utf8(parameters: &str) -> bool {
    let mut charsets = 0;
    Parameters(parameters).all(|parameter| {
        parameter.is_some_and(|(name, value)| {
            let charset = name.eq_ignore_ascii_case("charset");
            charsets += u8::from(charset);
            let known = ["utf-8", "utf8", "us-ascii"].iter().any(|known| value.eq_ignore_ascii_case(known));
            charsets <= 1 && (!charset || known)
        })
    })
}

/// Reads the lines of a head, without the empty one.
pub(super) fn read(lines: &[u8]) -> Result<Part, &'static str> {
    let lines = str::from_utf8(lines).map_err(|_| BAD_HEAD)?;
    let (mut disposition, mut content_type) = (None, None);
    for line in lines.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or(BAD_HEAD)?;
        if !is_token(name) || value.contains(|c: char| c.is_control() && c != '\t') {
            return Err(BAD_HEAD);
        }
        let value = value.trim_matches([' ', '\t']);
        let twice = match &*name.to_ascii_lowercase() {
            "content-disposition" => disposition.replace(value).is_some(),
            "content-type" => content_type.replace(value).is_some(),
            "content-transfer-encoding" => {
                if !["7bit", "8bit", "binary"].iter().any(|plain| value.eq_ignore_ascii_case(plain)) {
                    return Err(BAD_CONTENT);
                }
                false
            }
            _ => false,
        };
        if twice {
            return Err(BAD_NAME);
        }
    }
    let (name, is_file) = named(disposition.ok_or(BAD_NAME)?)?;
    let (media_type, parameters) = split(content_type.unwrap_or("text/plain"));
    if media_type.get(..10).is_some_and(|begin| begin.eq_ignore_ascii_case("multipart/")) {
        return Err(BAD_CONTENT);
    }
    let is_text = media_type.eq_ignore_ascii_case("text/plain") && is_utf8(parameters);
    Ok(Part { name: name.to_owned(), is_plain_text: is_text && !is_file })
}

/// The name in a `Content-Disposition`, and whether it is a file's.
fn named(disposition: &str) -> Result<(&str, bool), &'static str> {
    let (kind, parameters) = split(disposition);
    if !kind.eq_ignore_ascii_case("form-data") {
        return Err(BAD_NAME);
    }
    let (mut name, mut file, mut encoded) = (None, None, None);
    for parameter in Parameters(parameters) {
        let (parameter, value) = parameter.ok_or(BAD_NAME)?;
        let place = match &*parameter.to_ascii_lowercase() {
            "name" => &mut name,
            "filename" => &mut file,
            // .NET says a file's name in both ways. It never says the part's.
            "filename*" => &mut encoded,
            _ => return Err(BAD_NAME),
        };
        if place.replace(value).is_some() {
            return Err(BAD_NAME);
        }
    }
    let name = name.filter(|name| name.is_ascii() && !name.contains('%')).ok_or(BAD_NAME)?;
    Ok((name, file.or(encoded).is_some()))
}

/// What stands before the parameters, and the parameters.
pub(in crate::guard) fn split(value: &str) -> (&str, &str) {
    let end = value.find(';').unwrap_or(value.len());
    let (kind, parameters) = value.split_at(end);
    (kind.trim_matches([' ', '\t']), parameters)
}

/// `; name=value` or `; name="value"`, each once; `None` for what is neither, or might be read in two ways.
struct Parameters<'v>(&'v str);

impl<'v> Iterator for Parameters<'v> {
    type Item = Option<(&'v str, &'v str)>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_matches([' ', '\t']);
        if rest.is_empty() || rest == ";" {
            return None;
        }
        let parameter = parameter(rest);
        self.0 = parameter.map_or("", |(_, rest)| rest);
        Some(parameter.map(|(parameter, _)| parameter))
    }
}

/// The first parameter, and what is left.
fn parameter(text: &str) -> Option<((&str, &str), &str)> {
    let (name, rest) = text.strip_prefix(';')?.trim_start_matches([' ', '\t']).split_once('=')?;
    let (value, rest) = match rest.strip_prefix('"') {
        // A backslash is undone by some and kept by others; some split at semicolons before they look for quotes.
        Some(quoted) => quoted.split_once('"').filter(|(value, _)| !value.contains(['\\', ';']))?,
        None => {
            let end = rest.find([';', ' ', '\t']).unwrap_or(rest.len());
            Some(rest.split_at(end)).filter(|(value, _)| is_token(value))?
        }
    };
    is_token(name).then_some(((name, value), rest))
}

/// A word as HTTP has it (RFC 9110, 5.6.2).
fn is_token(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
