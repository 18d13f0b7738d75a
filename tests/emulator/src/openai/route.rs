//! From a path to an operation.

use hyper::Method;

use super::operations::{OPERATIONS, Operation};
use super::unserved;
use crate::lenient::Reading;
use crate::target;

/// An operation, the root that its path has, and what stood for the placeholders.
pub(super) struct Found<'a> {
    pub(super) operation: &'static Operation,
    pub(super) root: &'static str,
    pub(super) names: Vec<&'a str>,
}

/// What a careless server takes a request for: the operation's name, and what it names in its path.
pub(crate) fn recognise_leniently(reading: &Reading) -> Option<(&'static str, Option<String>)> {
    let segments: Vec<&str> = reading.segments.iter().map(String::as_str).collect();
    let found = find_leniently(&reading.method, &segments)?;
    Some((found.operation.name, found.names.first().map(|name| name.to_ascii_lowercase())))
}

/// The same of a careful server.
pub(crate) fn recognise(method: &Method, raw_path: &str) -> Option<(&'static str, Option<String>)> {
    let path = target::decode(raw_path);
    let segments = segments(&path);
    let found = find(OPERATIONS, method, &segments, false);
    let found = found.or_else(|| find(unserved::OPERATIONS, method, &segments, false))?;
    Some((found.operation.name, found.names.first().map(|name| (*name).to_owned())))
}

/// A doubled slash is accepted by the real service (H5).
pub(super) fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// What is served.
pub(super) fn find_strictly<'a>(method: &Method, segments: &[&'a str]) -> Option<Found<'a>> {
    find(OPERATIONS, method, segments, false)
}

/// Ignores case, and knows what is not served besides.
pub(super) fn find_leniently<'a>(method: &Method, segments: &[&'a str]) -> Option<Found<'a>> {
    find(OPERATIONS, method, segments, true).or_else(|| find(unserved::OPERATIONS, method, segments, true))
}

/// The first operation whose method and path fit; `fold` ignores case.
fn find<'a>(operations: &'static [Operation], method: &Method, segments: &[&'a str], fold: bool) -> Option<Found<'a>> {
    operations.iter().filter(|operation| operation.method == *method).find_map(|operation| {
        operation.roots.iter().find_map(|root| {
            let names = names(root, operation.path, segments, fold)?;
            Some(Found { operation, root, names })
        })
    })
}

/// What stands for the placeholders, if the path fits.
fn names<'a>(root: &str, path: &str, segments: &[&'a str], fold: bool) -> Option<Vec<&'a str>> {
    let mut names = Vec::new();
    let mut given = segments.iter().copied();
    for wanted in root.split('/').chain(path.split('/')) {
        let segment = given.next()?;
        if wanted.starts_with('{') {
            names.push(segment);
        } else if wanted != segment && !(fold && wanted.eq_ignore_ascii_case(segment)) {
            return None;
        }
    }
    given.next().is_none().then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_own_paths() {
        for operation in OPERATIONS.iter().chain(unserved::OPERATIONS) {
            for root in operation.roots {
                let path = format!("/{root}/{}", operation.path);
                let found = recognise(&operation.method, &path).map(|(name, _)| name);
                assert_eq!(found, Some(operation.name), "{} {path}", operation.method);
            }
        }
    }

    #[test]
    fn case_counts_and_doubled_slashes_do_not() {
        let found = |path: &str| recognise(&Method::GET, path);
        assert_eq!(found("//openai//files/file-1"), Some(("files-get", Some("file-1".to_owned()))));
        assert_eq!(found("/openai/Files/file-1"), None);
        assert_eq!(found("/openai/v1/files/file-1/content/x"), None);
    }
}
