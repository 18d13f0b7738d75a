//! From a path to an operation. OData and slash forms are one: `indexes('x')` is `indexes/x`.

use hyper::Method;

use super::operations::Operation;
use crate::target;

/// A part of a path. What stood in `('…')` can only be a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    text: String,
    keyed: bool,
}

/// The segments of a raw path: split first, decoded afterwards, so that a document key may
/// contain an encoded slash.
pub(super) fn read_raw(path: &str) -> Vec<Segment> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/').flat_map(|part| read(&target::decode(part))).collect()
}

/// The same of segments that a careless server has read.
pub(super) fn of_careless(segments: Vec<String>) -> Vec<Segment> {
    segments.into_iter().map(|text| Segment { text, keyed: false }).collect()
}

/// `docs('1')` is two segments, `docs` one.
fn read(part: &str) -> Vec<Segment> {
    let plain = |text: &str| Segment { text: text.to_owned(), keyed: false };
    match part.strip_suffix("')").and_then(|part| part.split_once("('")) {
        Some((collection, key)) => vec![plain(collection), Segment { text: key.replace("''", "'"), keyed: true }],
        None => vec![plain(part)],
    }
}

/// The first operation whose method and path fit, and the names in the path. `fold` ignores case.
pub(super) fn find(
    mut operations: impl Iterator<Item = &'static Operation>,
    method: &Method,
    segments: &[Segment],
    fold: bool,
) -> Option<(&'static Operation, Vec<String>)> {
    operations.find_map(|operation| {
        if operation.method != *method {
            return None;
        }
        let mut paths = operation.paths.iter();
        let names = paths.find_map(|path| names(path, segments, fold))?;
        Some((operation, names))
    })
}

/// The names in `segments`, if they fit `pattern`.
fn names(pattern: &str, segments: &[Segment], fold: bool) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = segments.iter();
    for wanted in pattern.split('/') {
        let segment = rest.next()?;
        if wanted == "{}" {
            // Nothing is called nothing.
            if segment.text.is_empty() {
                return None;
            }
            // Index names are lower case by rule, document keys are not.
            let lower = fold && names.is_empty();
            names.push(if lower { segment.text.to_ascii_lowercase() } else { segment.text.clone() });
        } else if segment.keyed || !same(wanted, &segment.text, fold) {
            return None;
        }
    }
    rest.next().is_none().then_some(names)
}

fn same(wanted: &str, given: &str, fold: bool) -> bool {
    wanted == given || (fold && wanted.eq_ignore_ascii_case(given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::operations;

    fn operation(method: &Method, path: &str) -> Option<(&'static str, Vec<String>)> {
        let (operation, names) = find(operations::all(), method, &read_raw(path), false)?;
        Some((operation.name, names))
    }

    #[test]
    fn both_forms_of_a_path_are_one() {
        for path in [
            "/indexes('hotels')/docs('a%2Fb')",
            "/indexes/hotels/docs/a%2Fb",
            "/indexes(%27hotels%27)/docs%28%27a%2fb%27%29",
        ] {
            let names = vec!["hotels".to_owned(), "a/b".to_owned()];
            assert_eq!(operation(&Method::GET, path), Some(("docs-lookup", names)), "{path}");
        }
    }

    #[test]
    fn a_key_is_never_an_operation() {
        let (name, _) = operation(&Method::GET, "/indexes('h')/docs('$count')").expect("a lookup");
        assert_eq!(name, "docs-lookup");
        let (name, _) = operation(&Method::GET, "/indexes/h/docs/%24count").expect("a count");
        assert_eq!(name, "docs-count");
    }

    #[test]
    fn case_and_doubled_slashes_count() {
        assert!(operation(&Method::POST, "/indexes/h/docs/Index").is_none());
        assert!(operation(&Method::POST, "/indexes/h//docs/index").is_none());
        assert!(operation(&Method::GET, "/indexes//docs").is_none());
    }
}
