//! How a line is written: in place, without an allocation for what is usual.

use std::fmt::{self, Display, Write as _};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use time::OffsetDateTime;

use super::Record;
use crate::listen::ClientAddress;
use crate::refusal::Verdict;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object a line.
    Json,
    /// `name=value`, for people; a value that has spaces or signs in it stands in quotes.
    Text,
}

/// The name of a field, and how it stands in JSON: made when this is compiled, since every line has all of them.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) json: &'static str,
}

/// The field of this name.
macro_rules! field {
    ($name:literal) => {
        Field { name: $name, json: concat!(",\"", $name, "\":") }
    };
}
pub(super) use field;

/// The value of a field.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    /// Nothing is known.
    Absent,
    /// A word of ours, which holds nothing but letters, digits, hyphens and dots.
    Word(&'v str),
    Number(u64),
    Milliseconds(Duration),
    Time(SystemTime),
    Address(ClientAddress),
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
    let begin = line.len();
    record.each(|field, value| {
        if !matches!(value, Value::Absent) {
            line.extend_from_slice(field.json.as_bytes());
            value.write(line);
        }
    });
    // The time is always known, so there is a first comma.
    line[begin] = b'{';
    line.extend_from_slice(b"}\n");
}

fn text(record: &Record, line: &mut Vec<u8>) {
    record.each(|field, value| {
        if !matches!(value, Value::Absent) {
            line.extend_from_slice(field.name.as_bytes());
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
        match self {
            Self::Absent => line.extend_from_slice(b"null"),
            Self::Number(value) => number(line, value),
            Self::Milliseconds(duration) => {
                number(line, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
                let [a, b, c] = decimal(duration.subsec_micros() % 1000);
                line.extend_from_slice(&[b'.', a, b, c]);
            }
            Self::Time(time) => rfc3339(line, time),
            Self::Address(ClientAddress { ip: IpAddr::V4(ip), port }) => {
                let mut mark = b'"';
                for octet in ip.octets() {
                    line.push(mark);
                    number(line, octet.into());
                    mark = b'.';
                }
                if let Some(port) = port {
                    line.push(b':');
                    number(line, port.into());
                }
                line.push(b'"');
            }
            Self::Address(address) => quoted(line, |quote| write!(quote, "{address}")),
            Self::Word(word) => plain(line, word.as_bytes()),
            Self::Bytes(bytes) if is_plain(bytes) => plain(line, bytes),
            Self::Bytes(bytes) => quoted(line, |quote| quote.write_str(&String::from_utf8_lossy(bytes))),
            Self::Text(text) => Self::Bytes(text.as_bytes()).write(line),
            Self::Shown(text) => quoted(line, |quote| write!(quote, "{text}")),
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

impl From<Option<ClientAddress>> for Value<'_> {
    fn from(address: Option<ClientAddress>) -> Self {
        address.map_or(Self::Absent, Self::Address)
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

/// A point in time as RFC 3339 has it, in UTC, to the millisecond. Digits are put in their places one by one: with `write!`
/// a line costs half as much again.
fn rfc3339(line: &mut Vec<u8>, time: SystemTime) {
    let time = OffsetDateTime::from(time);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second, milli) = time.to_hms_milli();
    let [a, b, c, d] = decimal(year.unsigned_abs());
    let [e, f] = decimal(u8::from(month).into());
    let [g, h] = decimal(day.into());
    let [i, j] = decimal(hour.into());
    let [k, l] = decimal(minute.into());
    let [m, n] = decimal(second.into());
    let [o, p, q] = decimal(milli.into());
    let text =
        [b'"', a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.', o, p, q, b'Z', b'"'];
    line.extend_from_slice(&text);
}

/// The last so many digits of a number.
fn decimal<const N: usize>(mut number: u32) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

fn number(line: &mut Vec<u8>, number: u64) {
    line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Whether a text can stand in a JSON string as it is, whole.
fn is_plain(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) & (*byte != b'"') & (*byte != b'\\');
    // Without a branch for each byte, many are looked at together.
    text.len() <= LONGEST_TEXT && text.iter().fold(true, |all, byte| all & is_plain(byte))
}

/// Appends a text that is plain, as a JSON string.
fn plain(line: &mut Vec<u8>, text: &[u8]) {
    line.reserve(text.len() + 2);
    line.push(b'"');
    line.extend_from_slice(text);
    line.push(b'"');
}

/// Appends what `write` writes, as a JSON string.
fn quoted(line: &mut Vec<u8>, write: impl FnOnce(&mut Escaped<'_>) -> fmt::Result) {
    line.push(b'"');
    // The end of what may be written is an error to who writes it, and none to us.
    write(&mut Escaped { line, left: LONGEST_TEXT }).unwrap_or_default();
    line.push(b'"');
}

/// Writes text as it stands in a JSON string, and no more of it than may be.
struct Escaped<'l> {
    line: &'l mut Vec<u8>,
    left: usize,
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            match c {
                '"' => self.line.extend_from_slice(br#"\""#),
                '\\' => self.line.extend_from_slice(br"\\"),
                // A terminal obeys more of them than JSON forbids.
                c if c.is_control() => self.line.extend(format!("\\u{:04x}", u32::from(c)).bytes()),
                c => self.line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

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
    fn addresses_are_written_as_everybody_writes_them() {
        for address in ["127.0.0.1:8080", "10.200.3.255:65535", "0.0.0.0:0", "[::1]:443", "[2001:db8::7]:1"] {
            let parsed = ClientAddress::from(address.parse::<SocketAddr>().unwrap());
            assert_eq!(written(Value::Address(parsed)), format!("\"{address}\""));
        }
        for ip in ["192.0.2.1", "2001:db8::7"] {
            let parsed = ClientAddress { ip: ip.parse().unwrap(), port: None };
            assert_eq!(written(Value::Address(parsed)), format!("\"{ip}\""));
        }
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
