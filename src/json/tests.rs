//! The reader against serde_json, on any object, cut anywhere.

use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::*;

/// A member as it stands: the raw text of its name, and of its value if that is a text.
type Member = (Vec<u8>, Option<Vec<u8>>);

/// Reads pieces as the guard does.
fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<Vec<Member>, Malformed> {
    let mut reader = TopLevel::new();
    let mut members: Vec<Member> = Vec::new();
    let mut gathered: Option<Vec<u8>> = None;
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let (consumed, event) = reader.advance(rest)?;
            let (read, left) = rest.split_at(consumed);
            rest = left;
            if let Some(gathered) = &mut gathered {
                gathered.extend(if event.is_some() { &read[..read.len() - 1] } else { read });
            }
            match event {
                Some(Event::Name | Event::Text) => gathered = Some(Vec::new()),
                Some(Event::Quote) => match members.last_mut() {
                    Some((_, text @ None)) if reader.state == State::AfterValue => *text = gathered.take(),
                    _ => members.push((gathered.take().unwrap(), None)),
                },
                Some(Event::Value) => assert_eq!(gathered, None),
                None => assert!(rest.is_empty()),
            }
        }
    }
    if reader.is_closed() { Ok(members) } else { Err("cut short") }
}

fn whole(text: &str) -> Result<Vec<Member>, Malformed> {
    read([text.as_bytes()])
}

/// Every member, duplicates too, in order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

fn unescaped(raw: &[u8]) -> String {
    serde_json::from_slice(&[b"\"", raw, b"\""].concat()).unwrap()
}

fn agrees(text: &str, members: Result<Vec<Member>, Malformed>) {
    let Members(expected) = serde_json::from_str(text).unwrap();
    let members = members.unwrap_or_else(|malformed| panic!("{malformed}: {text}"));
    let read: Vec<_> = members
        .iter()
        .map(|(name, text)| (unescaped(name), text.as_deref().map(|text| Value::String(unescaped(text)))))
        .collect();
    let expected: Vec<_> =
        expected.into_iter().map(|(name, value)| (name, value.is_string().then_some(value))).collect();
    assert_eq!(read, expected, "{text}");
}

/// Pieces of a text that end at these places, taken modulo what is left.
pub(crate) fn cut<'t>(text: &'t [u8], places: &[usize]) -> Vec<&'t [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    for place in places {
        let (piece, left) = rest.split_at(place % (rest.len() + 1));
        pieces.push(piece);
        rest = left;
    }
    pieces.push(rest);
    pieces
}

fn blanks() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\n", "\t\r\n "])
}

fn string() -> impl Strategy<Value = String> {
    let parts =
        ["a", "model", "mod\\u0065l", "}", "\\\"", "\\\\", "\\/", "\\n", "é", "漢", "😀", "\\ud83d\\ude00", "{", ","];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..6)
        .prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn value() -> impl Strategy<Value = String> {
    let words = ["true", "false", "null", "0", "-1", "10", "-0.5", "1e9", "2E-3", "0.0e+1", "[]", "{}"];
    let leaf = prop_oneof![string(), prop::sample::select(words.to_vec()).prop_map(str::to_owned)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec((blanks(), inner.clone(), blanks()), 0..4).prop_map(|items| {
                let items: Vec<_> =
                    items.iter().map(|(before, item, after)| format!("{before}{item}{after}")).collect();
                format!("[{}]", items.join(","))
            }),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (blanks(), string(), blanks(), blanks(), value, blanks());
    prop::collection::vec(member, 0..5).prop_map(|members| {
        let members: Vec<_> =
            members.iter().map(|(a, name, b, c, value, d)| format!("{a}{name}{b}:{c}{value}{d}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn document() -> impl Strategy<Value = String> {
    (blanks(), object(value()), blanks()).prop_map(|(before, object, after)| format!("{before}{object}{after}"))
}

proptest! {
    #[test]
    fn any_object_cut_anywhere_reads_as_serde_json_reads_it(
        text in document(),
        places in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        agrees(&text, read(cut(text.as_bytes(), &places)));
    }

    /// One byte of an object is replaced or removed: what serde_json refuses is refused, and nothing else.
    #[test]
    fn a_damaged_object_is_refused_as_serde_json_refuses_it(
        text in document(),
        place in any::<prop::sample::Index>(),
        other in prop::option::of(prop_oneof![
            prop::sample::select(b"{}[]\",:\\/ 0-+.eEtfnu\0\x0b\x1f\x7f\x80\xff".to_vec()),
            any::<u8>(),
        ]),
    ) {
        let mut damaged = text.into_bytes();
        let place = place.index(damaged.len());
        damaged.splice(place..=place, other);
        let expected = str::from_utf8(&damaged)
            .is_ok_and(|text| text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok());
        let pieces = [&damaged[..place], &damaged[place..]];
        prop_assert_eq!(read(pieces).is_ok(), expected, "{}", String::from_utf8_lossy(&damaged));
    }
}

#[test]
fn an_object_reads_alike_however_it_is_cut() {
    let text = " {\"a\\u0062\" : [1, {\"model\": \"inner\"}, \"é😀\"],\"model\":\"gpt\\\"-4o\",\
                \"n\":-1.5e+7,\"t\":true , \"model\":null}\r\n";
    for first in 0..=text.len() {
        for second in first..=text.len() {
            let bytes = text.as_bytes();
            agrees(text, read([&bytes[..first], &bytes[first..second], &bytes[second..]]));
        }
    }
    agrees(text, read(text.as_bytes().chunks(1)));
}

#[test]
fn what_some_reader_might_take_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        "\"model\"",
        "\u{feff}{}",
        "{}{}",
        "{} x",
        "{}\0",
        "{",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[}",
        "{\"a\":[1}",
        "{\"a\":{]}",
        "{\"a\":1]",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":TRUE}",
        "{/**/\"a\":1}",
        "{\"a\":1}//",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\\\":1}",
    ] {
        assert!(whole(text).is_err(), "{text:?}");
    }
    // What is no UTF-8: a cut character, an over-long quote, UTF-16.
    for bytes in [&b"{\"a\":\"\xc3\"}"[..], b"{\"a\":\"\xc0\xa2\"}", b"{\0\"\0a\0\"\0:\x001\0}\0", b"\xff\xfe{\0}\0"] {
        assert!(read([bytes]).is_err(), "{bytes:?}");
        assert!(read(bytes.chunks(1)).is_err(), "{bytes:?}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    assert!(whole(&nested(DEEPEST - 1)).is_ok());
    assert_eq!(whole(&nested(DEEPEST)), Err(TOO_DEEP));
}
