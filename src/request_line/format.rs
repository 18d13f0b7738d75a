//! How a line is written: in place, without an allocation for any of its fields.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use time::OffsetDateTime;

use super::Record;
use crate::refusal::Verdict;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line.
    Json,
    /// `name=value`, for people; a value that has spaces or signs in it stands in quotes.
    Text,
}

/// The value of a field.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    /// Nothing is known.
    Absent,
    Number(u64),
    Milliseconds(Duration),
    Time(SystemTime),
    Text(&'v str),
    /// A text that may not be one.
    Bytes(&'v [u8]),
    /// A text that is made as it is written.
    Shown(&'v dyn Display),
}

/// The longest text in a line, in characters. Clients choose their paths.
const LONGEST_TEXT: usize = 500;

impl Format {
    /// Appends the line of a request.
    pub(super) fn write(self, record: &Record, line: &mut Vec<u8>) {
        match self {
            Self::Json => json(record, line),
            Self::Text => text(record, line),
        }
    }
}

fn json(record: &Record, line: &mut Vec<u8>) {
    let mut mark = b'{';
    record.each(|name, value| {
        if !matches!(value, Value::Absent) {
            line.extend([mark, b'"']);
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(b"\":");
            value.write(line);
            mark = b',';
        }
    });
    line.extend_from_slice(b"}\n");
}

fn text(record: &Record, line: &mut Vec<u8>) {
    record.each(|name, value| {
        if !matches!(value, Value::Absent) {
            line.extend_from_slice(name.as_bytes());
            line.push(b'=');
            let begin = line.len();
            value.write(line);
            bare(line, begin);
            line.push(b' ');
        }
    });
    line.pop();
    line.push(b'\n');
}

/// Takes the quotes off the value that begins there, if it is plain without them.
fn bare(line: &mut Vec<u8>, begin: usize) {
    if let [b'"', plain @ .., b'"'] = &line[begin..] {
        let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\=".contains(byte);
        if !plain.is_empty() && plain.iter().all(is_plain) {
            line.pop();
            line.remove(begin);
        }
    }
}

// === impl Value ===

impl Value<'_> {
    /// Appends the value as JSON has it.
    fn write(self, line: &mut Vec<u8>) {
        // Writing into memory cannot fail.
        match self {
            Self::Absent => line.extend_from_slice(b"null"),
            Self::Number(number) => write!(line, "{number}").unwrap_or_default(),
            Self::Milliseconds(duration) => {
                let micros = duration.as_micros();
                write!(line, "{}.{:03}", micros / 1000, micros % 1000).unwrap_or_default();
            }
            Self::Time(time) => quoted(line, &Rfc3339(time)),
            Self::Text(text) => quoted(line, &text),
            Self::Bytes(bytes) => quoted(line, &String::from_utf8_lossy(bytes)),
            Self::Shown(text) => quoted(line, text),
        }
    }
}

impl<'v> From<Option<&'v str>> for Value<'v> {
    fn from(text: Option<&'v str>) -> Self {
        text.map_or(Self::Absent, Self::Text)
    }
}

impl From<Option<StatusCode>> for Value<'_> {
    fn from(status: Option<StatusCode>) -> Self {
        status.map_or(Self::Absent, |status| Self::Number(status.as_u16().into()))
    }
}

impl From<Option<Duration>> for Value<'_> {
    fn from(duration: Option<Duration>) -> Self {
        duration.map_or(Self::Absent, Self::Milliseconds)
    }
}

impl<'v> From<Option<&'v SocketAddr>> for Value<'v> {
    fn from(address: Option<&'v SocketAddr>) -> Self {
        address.map_or(Self::Absent, |address| Self::Shown(address))
    }
}

impl<'v> From<Option<&'v Verdict>> for Value<'v> {
    fn from(verdict: Option<&'v Verdict>) -> Self {
        verdict.map_or(Self::Absent, |verdict| Self::Shown(verdict))
    }
}

impl<'v> From<Option<Value<'v>>> for Value<'v> {
    fn from(value: Option<Value<'v>>) -> Self {
        value.unwrap_or(Self::Absent)
    }
}

/// A point in time as RFC 3339 has it, in UTC, to the millisecond.
struct Rfc3339(SystemTime);

impl Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = OffsetDateTime::from(self.0);
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second, milli) = time.to_hms_milli();
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", u8::from(month))
    }
}

fn quoted(line: &mut Vec<u8>, text: &dyn Display) {
    line.push(b'"');
    // The end of what is shown is an error to who writes it, and none to us.
    write!(Escaped { line, left: LONGEST_TEXT }, "{text}").unwrap_or_default();
    line.push(b'"');
}

/// Writes text as it stands in a JSON string, and no more of it than may be.
struct Escaped<'l> {
    line: &'l mut Vec<u8>,
    left: usize,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if text.len() <= self.left && text.as_bytes().iter().all(is_plain) {
            self.left -= text.len();
            self.line.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for c in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            match c {
                '"' => self.line.extend_from_slice(br#"\""#),
                '\\' => self.line.extend_from_slice(br"\\"),
                // A terminal obeys more of them than JSON forbids.
                c if c.is_control() => write!(self.line, "\\u{:04x}", u32::from(c)).map_err(|_| fmt::Error)?,
                c => self.line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: Value<'_>) -> String {
        let mut line = Vec::new();
        value.write(&mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn whatever_a_client_chooses_stays_one_short_json_string() {
        for text in
            ["plain", "", "a \"quote\" and a \\", "line\r\nbreak\0\x1b[31m", "\u{85}\u{9b}31m", "größer \u{1f600}"]
        {
            let json = written(Value::Text(text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            assert!(!json.chars().any(char::is_control), "{json:?}");
        }
        assert_eq!(written(Value::Bytes(b"caf\xe9")), "\"caf\u{fffd}\"");
        for long in ["x".repeat(9000), "\n".repeat(9000), "ü".repeat(9000)] {
            let text: String = serde_json::from_str(&written(Value::Text(&long))).unwrap();
            assert_eq!(text, long.chars().take(text.chars().count()).collect::<String>());
            assert_eq!(text.chars().count(), LONGEST_TEXT);
        }
    }

    #[test]
    fn times_and_durations_are_written_to_the_millisecond_and_beyond() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(951_827_696_050);
        assert_eq!(written(Value::Time(time)), "\"2000-02-29T12:34:56.050Z\"");
        assert_eq!(written(Value::Milliseconds(Duration::from_micros(1_234_005))), "1234.005");
        assert_eq!(written(Value::Milliseconds(Duration::from_nanos(999))), "0.000");
    }

    #[test]
    fn text_is_in_quotes_where_it_would_be_read_otherwise() {
        for (value, text) in [
            (Value::Text("plain/1.0"), "plain/1.0"),
            (Value::Text("two words"), "\"two words\""),
            (Value::Text("a=b"), "\"a=b\""),
            (Value::Text("\""), "\"\\\"\""),
            (Value::Text(""), "\"\""),
            (Value::Number(7), "7"),
        ] {
            let mut line = Vec::new();
            value.write(&mut line);
            bare(&mut line, 0);
            assert_eq!(String::from_utf8(line).unwrap(), text);
        }
    }
}
