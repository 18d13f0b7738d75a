//! Reading a TOML file so that every mistake in it is reported at once, with file, place and fix.
//!
//! serde stops at its first error and quotes the offending value, which may be a secret that somebody put under
//! the wrong key. So the two files that keyswap reads are walked by hand: a [`Section`] hands out values, each
//! value is asked for what it must be, every wrong answer is noted, and a key that nobody asked for is noted
//! when its section goes out of scope. No text here ever contains a value of the file.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A file that could not be taken: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

/// One thing that is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The file, as it was named to us.
    pub file: PathBuf,
    /// Line and column, from 1; `None` where the file as a whole is meant.
    pub at: Option<(usize, usize)>,
    /// The key, dotted from the top of the file; empty where there is none.
    pub place: String,
    /// What is wrong and what to write instead.
    pub fix: String,
}

/// A parsed file and what was found wrong with it so far.
pub(crate) struct Document<'t> {
    file: &'t Path,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
    mistakes: RefCell<Vec<Mistake>>,
}

/// A table of the file. When it is dropped, every key that was not asked for is a mistake.
pub(crate) struct Section<'d> {
    document: &'d Document<'d>,
    place: String,
    at: Range<usize>,
    table: &'d DeTable<'d>,
    known: RefCell<BTreeSet<&'static str>>,
}

/// A value of the file, with its place.
#[derive(Clone)]
pub(crate) struct Value<'d> {
    document: &'d Document<'d>,
    place: String,
    raw: &'d Spanned<DeValue<'d>>,
}

// === impl Mistakes ===

impl Mistakes {
    /// A single mistake about a file as a whole.
    pub(crate) fn of_file(file: &Path, fix: impl Into<String>) -> Self {
        Self(vec![Mistake { file: file.to_owned(), at: None, place: String::new(), fix: fix.into() }])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            let newline = if n == 0 { "" } else { "\n" };
            write!(f, "{newline}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        if !self.place.is_empty() {
            write!(f, ": {}", self.place)?;
        }
        write!(f, ": {}", self.fix)
    }
}

// === impl Document ===

impl<'t> Document<'t> {
    /// Parses `text`, the content of `file`. Mistakes of syntax are noted like all others.
    pub(crate) fn parse(file: &'t Path, text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { file, text, root, mistakes: RefCell::default() };
        for error in errors {
            // The error's own Display would quote the line.
            document.note(error.span().unwrap_or(0..0), "", &format!("not TOML: {}", error.message()));
        }
        document
    }

    /// The top of the file.
    pub(crate) fn root(&self) -> Section<'_> {
        Section {
            document: self,
            place: String::new(),
            at: 0..0,
            table: self.root.get_ref(),
            known: RefCell::default(),
        }
    }

    /// What was found wrong, in the order of the file; `Ok` if nothing was.
    pub(crate) fn verdict(self) -> Result<(), Mistakes> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort();
        mistakes.dedup();
        if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
    }

    fn note(&self, at: Range<usize>, place: &str, fix: &str) {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.mistakes.borrow_mut().push(Mistake {
            file: self.file.to_owned(),
            at: Some((line, column)),
            place: place.to_owned(),
            fix: fix.to_owned(),
        });
    }
}

// === impl Section ===

impl<'d> Section<'d> {
    /// The value under `key`, if it is there.
    pub(crate) fn get(&self, key: &'static str) -> Option<Value<'d>> {
        self.known.borrow_mut().insert(key);
        let raw = self.table.get(key)?;
        Some(Value { document: self.document, place: self.place_of(key), raw })
    }

    /// The value under `key`; a mistake if it is not there, with the text that says what to write.
    pub(crate) fn need(&self, key: &'static str, fix: &str) -> Option<Value<'d>> {
        let value = self.get(key);
        if value.is_none() {
            self.document.note(self.at.clone(), &self.place_of(key), &format!("is missing: {fix}"));
        }
        value
    }

    /// The table under `key`, if it is there.
    pub(crate) fn section(&self, key: &'static str) -> Option<Section<'d>> {
        self.get(key)?.section()
    }

    /// The tables of the table under `key`, by their own names: `[key.name]`.
    pub(crate) fn named_sections(&self, key: &'static str) -> Vec<(&'d str, Section<'d>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(table) = value.table() else { return Vec::new() };
        table
            .iter()
            .filter_map(|(name, raw)| {
                let name: &str = name.get_ref();
                let place = format!("{}.{name}", value.place);
                let value = Value { document: self.document, place, raw };
                Some((name, value.section()?))
            })
            .collect()
    }

    /// Notes a mistake about the section as a whole.
    pub(crate) fn wrong(&self, fix: &str) {
        self.document.note(self.at.clone(), &self.place, fix);
    }

    fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let known = self.known.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(name) {
                let all = known.iter().copied().collect::<Vec<_>>().join(", ");
                let fix = format!("unknown key; known here: {all}");
                self.document.note(key.span(), &self.place_of(name), &fix);
            }
        }
    }
}

// === impl Value ===

impl<'d> Value<'d> {
    /// Notes that the value is wrong.
    pub(crate) fn wrong(&self, fix: &str) {
        self.document.note(self.raw.span(), &self.place, fix);
    }

    /// A text that is not empty.
    pub(crate) fn text(&self) -> Option<&'d str> {
        let text = self.expect("a text in quotes", DeValue::as_str)?;
        if text.is_empty() {
            self.wrong("must not be empty");
            return None;
        }
        Some(text)
    }

    /// One of the named things.
    pub(crate) fn one_of<T: Copy>(&self, names: &[(&str, T)]) -> Option<T> {
        let text = self.expect("a text in quotes", DeValue::as_str)?;
        let found = names.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let all = names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            self.wrong(&format!("must be one of: {all}"));
        }
        found.map(|(_, thing)| *thing)
    }

    /// True or false.
    pub(crate) fn truth(&self) -> Option<bool> {
        self.expect("true or false", DeValue::as_bool)
    }

    /// A whole number within bounds.
    pub(crate) fn whole(&self, bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let number = self.expect("a whole number", DeValue::as_integer)?;
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.filter(|number| bounds.contains(number));
        if number.is_none() {
            self.wrong(&format!("must be a whole number from {} to {}", bounds.start(), bounds.end()));
        }
        number
    }

    /// A length of time, written like `500ms`, `5s`, `10m` or `1h`.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let text = self.text()?;
        let duration = parse_duration(text);
        if duration.is_none() {
            self.wrong("must be a whole number and a unit, ms, s, m or h, like \"5s\"");
        }
        duration
    }

    /// A moment, written as RFC 3339 with its offset, like `2027-01-31T00:00:00Z`; it comes in UTC.
    pub(crate) fn moment(&self) -> Option<OffsetDateTime> {
        let written = self.expect("a date and time, like 2027-01-31T00:00:00Z", DeValue::as_datetime)?;
        let Ok(moment) = OffsetDateTime::parse(&written.to_string(), &Rfc3339) else {
            self.wrong("must be a full date and time with its offset, like 2027-01-31T00:00:00Z");
            return None;
        };
        // Its offset may lead out of the years that can be told.
        let in_utc = moment.checked_to_offset(UtcOffset::UTC);
        if in_utc.is_none() {
            self.wrong("must be a moment that is within the year 9999 in UTC, too");
        }
        in_utc
    }

    /// The items of a list.
    pub(crate) fn list(&self) -> Option<Vec<Value<'d>>> {
        let items = self.expect("a list, like [\"a\", \"b\"]", DeValue::as_array)?;
        let value = |(n, raw)| Value { document: self.document, place: format!("{}[{n}]", self.place), raw };
        Some(items.iter().enumerate().map(value).collect())
    }

    /// A table.
    pub(crate) fn section(&self) -> Option<Section<'d>> {
        Some(Section {
            document: self.document,
            place: self.place.clone(),
            at: self.raw.span(),
            table: self.table()?,
            known: RefCell::default(),
        })
    }

    /// Whether it is a table, for a setting that may be a text or a table.
    pub(crate) fn is_table(&self) -> bool {
        self.raw.get_ref().is_table()
    }

    fn table(&self) -> Option<&'d DeTable<'d>> {
        self.expect("a table", DeValue::as_table)
    }

    fn expect<T>(&self, what: &str, read: impl Fn(&'d DeValue<'d>) -> Option<T>) -> Option<T> {
        let found = read(self.raw.get_ref());
        if found.is_none() {
            let is = self.raw.get_ref().type_str();
            self.wrong(&format!("must be {what}, not a value of type {is}"));
        }
        found
    }
}

/// Reads `500ms`, `5s`, `10m` or `1h`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => number,
        "s" => number.checked_mul(1_000)?,
        "m" => number.checked_mul(60_000)?,
        "h" => number.checked_mul(3_600_000)?,
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str, read: impl Fn(&Section<'_>)) -> String {
        let document = Document::parse(Path::new("file.toml"), text);
        read(&document.root());
        document.verdict().map_or_else(|mistakes| mistakes.to_string(), |()| String::new())
    }

    #[test]
    fn every_mistake_is_told_at_once_and_no_value_with_it() {
        let text = "delay = \"hunter2\"\ncount = \"hunter2\"\nkind = \"hunter2\"\nsecret = \"hunter2\"\n";
        let told = mistakes(text, |root| {
            assert_eq!(root.get("delay").and_then(|value| value.duration()), None);
            assert_eq!(root.get("count").and_then(|value| value.whole(1..=9)), None);
            assert_eq!(root.get("kind").and_then(|value| value.one_of(&[("a", 1), ("b", 2)])), None);
            assert!(root.need("name", "write its name").is_none());
        });
        assert_eq!(
            told,
            "file.toml:1:1: name: is missing: write its name\n\
             file.toml:1:9: delay: must be a whole number and a unit, ms, s, m or h, like \"5s\"\n\
             file.toml:2:9: count: must be a whole number, not a value of type string\n\
             file.toml:3:8: kind: must be one of: a, b\n\
             file.toml:4:1: secret: unknown key; known here: count, delay, kind, name"
        );
    }

    #[test]
    fn broken_syntax_is_told_with_its_place_and_without_its_line() {
        let told = mistakes("a = 1\nb = hunter2\n", |root| {
            assert!(root.get("a").is_some());
            drop(root.get("b"));
        });
        assert!(told.starts_with("file.toml:2:5: not TOML: "), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_moment_is_one_in_utc_too() {
        let told = mistakes("last = 9999-12-31T23:59:59Z\nlater = 9999-12-31T23:59:59-05:00\n", |root| {
            assert!(root.get("last").and_then(|value| value.moment()).is_some());
            assert_eq!(root.get("later").and_then(|value| value.moment()), None);
        });
        assert_eq!(told, "file.toml:2:9: later: must be a moment that is within the year 9999 in UTC, too");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7200)));
        assert_eq!(parse_duration("5"), None);
        assert_eq!(parse_duration("s"), None);
        assert_eq!(parse_duration("99999999999999999999s"), None);
        assert_eq!(parse_duration("18446744073709551615h"), None);
    }
}
