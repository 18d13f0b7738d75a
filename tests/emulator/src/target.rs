//! Reading a raw request target: percent-decoding, segments, parameters.

use std::borrow::Cow;

/// Path and query (without the `?`) of a raw target.
pub(crate) fn split(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// Percent-decodes once. What is no valid escape stays; what is no UTF-8 is replaced.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let raw = text.as_bytes();
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let escape = (raw[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escape.unwrap_or(raw[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The parameters of a query string or form, decoded, in order; `+` is a space.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let [name, value] = [name, value].map(|part| decode(&part.replace('+', " ")).into_owned());
        (name, value)
    })
}

/// The first parameter called `name`.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    parameters(query).find_map(|(key, value)| (key == name).then_some(value))
}

/// Encodes what must not stand in a parameter's value.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~*',()$:/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// `2024-10-21`, `2024-10-01-preview`, `2021-04-30-Preview`: a date, whichever.
pub(crate) fn is_api_version(text: &str) -> bool {
    let (date, suffix) = text.split_at_checked("YYYY-MM-DD".len()).unwrap_or_default();
    let parts: Vec<usize> = date.split('-').map(str::len).collect();
    let digits = date.bytes().filter(u8::is_ascii_digit).count();
    parts == [4, 2, 2] && digits == 8 && (suffix.is_empty() || suffix.eq_ignore_ascii_case("-preview"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once_and_only_what_is_an_escape() {
        assert_eq!(decode("%24count"), "$count");
        assert_eq!(decode("%2527"), "%27");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%+1%4"), "%zz%+1%4");
        assert_eq!(decode("%é"), "%é");
    }

    #[test]
    fn an_api_version_is_a_date() {
        for good in ["2024-10-21", "2024-10-01-preview", "2021-04-30-Preview"] {
            assert!(is_api_version(good), "{good}");
        }
        for bad in ["", "v1", "2024-10-2", "2024-10-21-", "20241-0-21", "2024-10-21preview", "éééééé"] {
            assert!(!is_api_version(bad), "{bad}");
        }
    }

    #[test]
    fn parameters_are_decoded_on_both_sides() {
        let read: Vec<_> = parameters("api%2Dkey=a+b&&x").collect();
        assert_eq!(read, [("api-key".to_owned(), "a b".to_owned()), ("x".to_owned(), String::new())]);
    }
}
