//! The paths of Azure AI Search (azure-wire, B2 and B3), in OData form (`/indexes('i')/docs('k')`) and in slash form
//! (`/indexes/i/docs/k`).
//!
//! Here stands the wall between admin and query keys: what a query key may do is listed, method and path; what is not
//! on the list is writing documents, if it is their one operation, and managing otherwise.

use http::Method;

use super::Target;
use crate::family::Family;
use crate::refusal::Refusal;

/// A segment in OData form: its word, folded, and the key in its quotes.
struct Word {
    word: String,
    key: Option<String>,
}

/// The family and the index of a path whose first word is one of the plane's.
///
/// # Errors
/// [`Refusal::Ambiguous`] for quotes or parentheses that do not stand as OData has them.
pub(super) fn classify(method: &Method, segments: &[&str]) -> Result<(Option<Family>, Target), Refusal> {
    let words = segments.iter().map(|segment| Word::read(segment)).collect::<Result<Vec<_>, _>>()?;
    let [root, rest @ ..] = &words[..] else { return Ok((None, Target::Unnamed)) };
    // Of the names with a sign there is one alone that an operation is known by, and OData has some that hold any
    // number of operations.
    let odd = |word: &&Word| word.word.starts_with('$') && word.word != "$count";
    if words.iter().any(|word| odd(&word)) {
        return Ok((None, Target::Unnamed));
    }
    if root.word != "indexes" {
        return Ok((Some(Family::Manage), Target::Unnamed));
    }
    let (index, operation) = match &root.key {
        Some(index) => (Some(index.clone()), rest),
        // In slash form the name stands as it came, a segment of its own.
        None if rest.first().is_some_and(|name| name.key.is_some()) => return Err(ODD),
        None => (segments.get(1).map(|name| (*name).to_owned()), rest.get(1..).unwrap_or_default()),
    };
    if index.as_ref().is_some_and(|index| !is_name(index)) {
        return Err(Refusal::Ambiguous("its path has a character that no name of Azure's has"));
    }
    let target = index.map_or(Target::Unnamed, Target::Named);
    let family = match operation {
        [docs, operation @ ..] if docs.word == "docs" => of_documents(method, docs.key.as_deref(), operation),
        _ => Some(Family::Manage),
    };
    Ok((family, target))
}

/// The family of an operation on the documents of an index, or on the one that has this key.
fn of_documents(method: &Method, key: Option<&str>, operation: &[Word]) -> Option<Family> {
    match (method, key, operation) {
        // A search, or the look-up of a document.
        (&Method::GET, _, []) => Some(Family::DocumentsRead),
        // What is done to one document is done by an operation on all.
        (_, Some(_), _) => None,
        (_, None, words) if words.iter().any(|word| word.key.is_some()) => None,
        (&Method::GET, None, [Word { word, .. }]) => match word.as_str() {
            "search.suggest" | "suggest" | "search.autocomplete" | "autocomplete" | "$count" => {
                Some(Family::DocumentsRead)
            }
            // A document of that key can be had as docs('index'); written like an operation, it may be either.
            word if word == "index" || word.starts_with("search.") => None,
            // Anything else is a document's key.
            _ => Some(Family::DocumentsRead),
        },
        (&Method::POST, None, [Word { word, .. }]) => match word.as_str() {
            "search.post.search"
            | "search.post.suggest"
            | "search.post.autocomplete"
            | "search"
            | "suggest"
            | "autocomplete" => Some(Family::DocumentsRead),
            "search.index" | "index" => Some(Family::DocumentsWrite),
            _ => Some(Family::Manage),
        },
        _ => Some(Family::Manage),
    }
}

/// Letters, digits and hyphens are what Azure allows; an underscore does no harm.
fn is_name(index: &str) -> bool {
    index.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Quotes and parentheses stand around a key at the end of a word, and nowhere else.
const ODD: Refusal = Refusal::Ambiguous("its path has quotes or parentheses that OData does not know");

// === impl Word ===

impl Word {
    fn read(segment: &str) -> Result<Self, Refusal> {
        let Some((word, rest)) = segment.split_once("('") else {
            if segment.contains(['\'', '(', ')']) {
                return Err(ODD);
            }
            return Ok(Self { word: segment.to_ascii_lowercase(), key: None });
        };
        let key = rest.strip_suffix("')").ok_or(ODD)?;
        // A quote within a key is written twice.
        let alone = key.replace("''", "").contains('\'');
        if alone || key.is_empty() || word.is_empty() || word.contains(['\'', '(', ')']) {
            return Err(ODD);
        }
        Ok(Self { word: word.to_ascii_lowercase(), key: Some(key.replace("''", "'")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(method: &str, path: &str) -> Option<Family> {
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        classify(&method, &segments).unwrap().0
    }

    #[test]
    fn what_a_query_key_may_do_is_listed() {
        for (method, path) in [
            ("GET", "/indexes('i')/docs"),
            ("GET", "/indexes('i')/docs('k')"),
            ("GET", "/indexes('i')/docs/$count"),
            ("POST", "/indexes('i')/docs/search.post.search"),
            ("GET", "/indexes('i')/docs/search.suggest"),
            ("POST", "/indexes('i')/docs/search.post.suggest"),
            ("GET", "/indexes('i')/docs/search.autocomplete"),
            ("POST", "/indexes('i')/docs/search.post.autocomplete"),
            ("GET", "/indexes/i/docs"),
            ("GET", "/indexes/i/docs/k"),
            ("GET", "/indexes/i/docs/$count"),
            ("POST", "/indexes/i/docs/search"),
            ("POST", "/indexes/i/docs/suggest"),
            ("POST", "/indexes/i/docs/autocomplete"),
        ] {
            assert_eq!(classified(method, path), Some(Family::DocumentsRead), "{method} {path}");
        }
    }

    #[test]
    fn and_nothing_else_is_reading() {
        for (method, path) in [("POST", "/indexes('i')/docs/search.index"), ("POST", "/indexes/i/docs/INDEX")] {
            assert_eq!(classified(method, path), Some(Family::DocumentsWrite), "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/indexes"),
            ("POST", "/indexes"),
            ("GET", "/indexes('i')"),
            ("PUT", "/indexes/i"),
            ("GET", "/indexes('i')/search.stats"),
            ("POST", "/indexes('i')/search.analyze"),
            ("DELETE", "/indexes/i/docs/k"),
            ("POST", "/indexes/i/docs"),
            ("POST", "/indexes/i/docs/new"),
            ("HEAD", "/indexes/i/docs"),
            ("GET", "/indexes/i/docs/k/more"),
            ("POST", "/indexers('x')/search.run"),
            ("GET", "/servicestats"),
            ("GET", "/indexstats"),
            ("POST", "/knowledgebases('k')/retrieve"),
        ] {
            assert_eq!(classified(method, path), Some(Family::Manage), "{method} {path}");
        }
    }

    #[test]
    fn what_may_be_either_of_two_things_is_nobodys() {
        for (method, path) in [
            ("POST", "/indexes/$batch"),
            ("POST", "/indexes('i')/docs/$batch"),
            ("GET", "/indexes/i/docs('k')/$value"),
            ("GET", "/indexes/i/docs/$metadata"),
            ("GET", "/indexers('x')/$ref"),
            ("PUT", "/indexes('i')/docs('k')"),
            ("POST", "/indexes('i')/docs('index')"),
            ("GET", "/indexes('i')/docs/docs('k')"),
            ("GET", "/indexes/i/docs/index"),
            ("GET", "/indexes/i/docs/search.index"),
        ] {
            assert_eq!(classified(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn an_index_is_named_in_both_forms_and_kept_as_written() {
        let target = |segments: &[&str]| classify(&Method::GET, segments).unwrap().1;
        assert_eq!(target(&["indexes('Hotels')", "docs"]), Target::Named("Hotels".into()));
        assert_eq!(target(&["indexes", "Hotels", "docs"]), Target::Named("Hotels".into()));
        assert_eq!(target(&["indexes"]), Target::Unnamed);
        for odd in [
            "indexes('a",
            "indexes('a')x",
            "indexes(a)",
            "indexes('')",
            "('a')",
            "indexes('a'b')",
            "a'b",
            "indexes('it''s')",
        ] {
            assert!(classify(&Method::GET, &[odd]).is_err(), "{odd}");
        }
        assert!(classify(&Method::GET, &["indexes", "hotels('x')", "docs"]).is_err());
    }
}
