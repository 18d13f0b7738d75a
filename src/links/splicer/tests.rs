//! The splicer against pages whose turned form is known since they were made of parts, cut anywhere.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::json::tests::cut;
use crate::settings::Settings;

const BASE: &str = "http://gateway.example:8080/contoso-search";

/// Whole URLs' beginnings that are the upstream's, and some that are not.
const OURS: [&str; 3] = [
    "https://contoso.search.windows.net",
    "https://Contoso.search.windows.NET:443",
    "HTTPS://contoso.search.windows.net:",
];
const OTHERS: [&str; 8] = [
    "http://contoso.search.windows.net",
    "https://contoso.search.windows.net:80",
    "https://contoso.search.windows.net.evil.example",
    "https://user@contoso.search.windows.net",
    "https://contoso.blob.core.windows.net",
    "//contoso.search.windows.net",
    "https:",
    "",
];

fn splicer() -> Splicer {
    let text = "keys = \"keys.toml\"\n[identities.main]\nkind = \"managed-identity\"\n[resources.contoso-search]\n\
                endpoint = \"https://contoso.search.windows.net\"\nidentity = \"main\"\n";
    let settings = Settings::parse(Path::new("keyswap.toml"), text).unwrap();
    Splicer::new(settings.resources[0].clone(), Base::written(BASE))
}

fn spliced<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut splicer = splicer();
    let mut out = Vec::new();
    for piece in pieces {
        out.extend(splicer.splice(Bytes::copy_from_slice(piece)));
    }
    out.extend(splicer.end());
    out
}

fn turned(text: &str) -> String {
    String::from_utf8(spliced([text.as_bytes()])).unwrap()
}

/// A part of a page as it comes, and as it is to pass.
type Part = (String, String);

fn blanks() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\n", "\t\r\n "])
}

/// A text as JSON may write it: each character plain or as one of its escapes.
fn written(text: &str, ways: &[u8]) -> String {
    let ways = ways.iter().cycle();
    let write = |(c, way): (char, &u8)| match (way, c) {
        (0, _) => format!("\\u{:04x}", u32::from(c)),
        (1, _) => format!("\\u{:04X}", u32::from(c)),
        (2, '/') => "\\/".to_owned(),
        (_, '"' | '\\') => format!("\\{c}"),
        _ => c.to_string(),
    };
    text.chars().zip(ways).map(write).collect()
}

fn ways() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![3]), prop::collection::vec(0..9u8, 1..20)]
}

/// A URL as it stands within its quotes, and as it is to stand where it is turned.
fn url() -> impl Strategy<Value = Part> {
    let rests =
        ["", "/", "/indexes('hotels')/docs?api-version=2024-07-01&$skip=50", "?a=\"b\"", "#\\", "/$metadata#docs(*)"];
    let begin = prop_oneof![
        prop::sample::select(OURS.to_vec()).prop_map(|begin| (begin, true)),
        prop::sample::select(OTHERS.to_vec()).prop_map(|begin| (begin, false)),
    ];
    (begin, ways(), prop::sample::select(rests.to_vec()), ways()).prop_map(|((begin, ours), way, rest, rest_way)| {
        let (begin, rest) = (written(begin, &way), written(rest, &rest_way));
        let turned = if ours { BASE } else { &begin };
        (format!("{begin}{rest}"), format!("{turned}{rest}"))
    })
}

/// A value that is not looked at: documents that have our fields' names and URLs, numbers as nobody would write them.
fn value() -> impl Strategy<Value = String> {
    let words =
        ["true", "null", "0", "-0.0", "1e9", "2E-03", "1.0000000000000000000001", "[]", "{}", "\"\\ud83d\\ude00é\""];
    let leaf = prop_oneof![
        url().prop_map(|(url, _)| format!("\"{url}\"")),
        prop::sample::select(words.to_vec()).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let names = ["@odata.nextLink", "@odata.context", "value", "Url"];
        let member = (prop::sample::select(names.to_vec()), blanks(), inner.clone());
        prop_oneof![
            prop::collection::vec((blanks(), inner), 0..4).prop_map(|items| {
                let items: Vec<_> = items.iter().map(|(blank, item)| format!("{blank}{item}{blank}")).collect();
                format!("[{}]", items.join(","))
            }),
            prop::collection::vec(member, 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(name, blank, value)| format!("{blank}\"{name}\"{blank}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn member() -> impl Strategy<Value = Part> {
    let others =
        ["value", "@odata.count", "@odata.nextlink", "odata.context", "@odata.nextLink2", "@odata.nextLin", ""];
    let looked_at = (prop::sample::select(FIELDS.to_vec()), ways(), blanks(), url()).prop_map(
        |(name, way, blank, (url, turned))| {
            let begin = format!("\"{}\"{blank}:{blank}\"", written(name, &way));
            (format!("{begin}{url}\"{blank}"), format!("{begin}{turned}\"{blank}"))
        },
    );
    // Our fields, but with a value that is no text of theirs.
    let no_text =
        prop::sample::select(vec!["null", "1", "{\"@odata.nextLink\":\"https://contoso.search.windows.net/\"}"]);
    let no_text =
        (prop::sample::select(FIELDS.to_vec()), no_text).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    let other = (prop::sample::select(others.to_vec()), ways(), value())
        .prop_map(|(name, way, value)| format!("\"{}\": {value}", written(name, &way)));
    prop_oneof![looked_at, prop_oneof![no_text, other].prop_map(|text| (text.clone(), text))]
}

/// A page, and what is to become of it.
fn page() -> impl Strategy<Value = Part> {
    (blanks(), prop::collection::vec((blanks(), member()), 0..6)).prop_map(|(blank, members)| {
        let side = |pick: fn(&Part) -> &String| {
            let members: Vec<_> = members.iter().map(|(before, part)| format!("{before}{}", pick(part))).collect();
            format!("{blank}{{{}}}{blank}", members.join(","))
        };
        (side(|part| &part.0), side(|part| &part.1))
    })
}

fn places() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..12)
}

proptest! {
    #[test]
    fn any_page_cut_anywhere_passes_with_its_urls_turned((page, expected) in page(), places in places()) {
        prop_assert!(serde_json::from_str::<serde_json::Value>(&page).is_ok(), "{}", page);
        let passed = spliced(cut(page.as_bytes(), &places));
        prop_assert_eq!(&String::from_utf8(passed).unwrap(), &expected, "{}", page);
        prop_assert_eq!(spliced(page.as_bytes().chunks(1)), expected.as_bytes(), "{}", page);
    }

    /// One byte of a page is replaced or removed: nothing is lost, and what passes does not depend on how it is cut.
    #[test]
    fn a_damaged_page_passes_alike_however_it_is_cut(
        (page, _) in page(),
        place in any::<prop::sample::Index>(),
        other in prop::option::of(any::<u8>()),
        places in places(),
    ) {
        let mut damaged = page.into_bytes();
        let place = place.index(damaged.len());
        damaged.splice(place..=place, other);
        let passed = spliced([&damaged[..]]);
        prop_assert_eq!(&spliced(cut(&damaged, &places)), &passed);
        prop_assert_eq!(&spliced(damaged.chunks(1)), &passed);
        // Behind the damage stands what is left as it came, or turned.
        prop_assert!(passed.ends_with(&damaged[damaged.len().saturating_sub(1)..]));
    }

    #[test]
    fn what_is_no_json_passes_as_it_is(bytes in prop::collection::vec(any::<u8>(), 0..200), places in places()) {
        prop_assert_eq!(&spliced(cut(&bytes, &places)), &bytes);
    }
}

#[test]
fn only_the_urls_beginning_is_written_anew() {
    for (page, passed) in [
        (
            r#"{"@odata.context":"https://contoso.search.windows.net/indexes('h')/$metadata#docs(*)","value":[]}"#,
            r#"{"@odata.context":"http://gateway.example:8080/contoso-search/indexes('h')/$metadata#docs(*)","value":[]}"#,
        ),
        (
            r#"{"value":[{"@odata.nextLink":"https://contoso.search.windows.net/"}],"@odata.nextLink" : "https:\/\/contoso.search.windows.net:443\/docs?a\u0026b"}"#,
            r#"{"value":[{"@odata.nextLink":"https://contoso.search.windows.net/"}],"@odata.nextLink" : "http://gateway.example:8080/contoso-search\/docs?a\u0026b"}"#,
        ),
        (
            "{\"\\u0040odata\\u002enextLink\":\"\\u0068ttps://contoso.search.windows.net\\u002F\"}",
            "{\"\\u0040odata\\u002enextLink\":\"http://gateway.example:8080/contoso-search\\u002F\"}",
        ),
    ] {
        assert_eq!(turned(page), passed);
    }
}

#[test]
fn what_is_nobodys_url_passes() {
    let long = "x".repeat(10_000);
    for text in [
        "{\"@odata.nextLink\":\"\"}",
        "{\"@odata.nextLink\":\"https://contoso.search.windows.net\\\"/\"}",
        "{\"@odata.nextLink\":\"https://contoso.search.windows.net\\\\/\"}",
        "{\"@odata.nextLink\":\"https://contoso.search.windows.net\\u0022/\"}",
        "{\"@odata.nextLink\":\"https://contoso.search.windows.net\\u0000/\"}",
        "{\"@odata.nextLink\":\"https://contoso.search.windows.net\\u012f/\"}",
        "{\"@odata.nextLink\":\"https://contoso.search.windows.n\u{e9}t/\"}",
        "[{\"@odata.nextLink\":\"https://contoso.search.windows.net/\"}]",
        "\"@odata.nextLink\":\"https://contoso.search.windows.net/\"",
        // Where the JSON is broken before it.
        "{\"value\":[1,],\"@odata.nextLink\":\"https://contoso.search.windows.net/\"}",
        "{} {\"@odata.nextLink\":\"https://contoso.search.windows.net/\"}",
        // Where it is cut off while it is held.
        "{\"@odata.nextLink\":\"https://contoso.search.windows.net",
        &format!("{{\"@odata.nextLink\":\"https://{long}/\"}}"),
        &format!("{{\"@odata.nextLink{long}\":\"https://contoso.search.windows.net/\"}}"),
    ] {
        assert_eq!(turned(text), text);
        assert_eq!(spliced(text.as_bytes().chunks(1)), text.as_bytes());
    }
}

/// Every character an escape, as nobody writes them: as long as a name can stand, and one character longer.
#[test]
fn a_name_is_read_however_it_is_written() {
    let escaped = |name: &str| written(name, &[0]);
    let page = |name: &str| format!("{{\"{}\":\"https://contoso.search.windows.net/\"}}", escaped(name));
    assert_eq!(turned(&page("@odata.nextLink")), page("@odata.nextLink").replace(OURS[0], BASE));
    assert_eq!(turned(&page("@odata.nextLinks")), page("@odata.nextLinks"));
    assert!(FIELDS.iter().all(|field| field.len() <= FIELDS[0].len()));
}

/// What is held is bounded, whatever comes.
#[test]
fn little_is_held() {
    let mut splicer = splicer();
    splicer.splice(Bytes::from_static(b"{\"@odata.nextLink\":\""));
    for _ in 0..10_000 {
        splicer.splice(Bytes::from_static(b"\\u0068"));
        let Stage::Url(held) = &splicer.stage else { return };
        assert!(held.len() <= 6 * LONGEST_ORIGIN);
    }
    panic!("it is still held");
}
