//! The paths of Azure AI Search (azure-wire, B2 and B3), in OData form (`/indexes('i')/docs('k')`) and in slash form
//! (`/indexes/i/docs/k`).
//!
//! Here stands the wall between admin and query keys: what a query key may do is listed, method and path; what is not
//! on the list is writing documents, if it is their one operation, and managing otherwise.

use http::Method;

use super::Target;
use crate::family::Family;
use crate::refusal::Refusal;

/// The first words of the plane's paths.
const ROOTS: [&str; 10] = [
    "indexes",
    "indexers",
    "datasources",
    "skillsets",
    "synonymmaps",
    "aliases",
    "servicestats",
    "knowledgebases",
    "agents",
    "knowledgesources",
];

/// A segment in OData form: its word, folded, and the key in its quotes.
struct Word {
    word: String,
    key: Option<String>,
}

/// The family and the index of a path; `None` if its first word is none of the plane's.
///
/// # Errors
/// [`Refusal::Ambiguous`] for quotes or parentheses that do not stand as OData has them.
pub(super) fn classify(method: &Method, segments: &[&str]) -> Result<Option<(Family, Target)>, Refusal> {
    let Some((first, rest)) = segments.split_first() else { return Ok(None) };
    let root = Word::read(first)?;
    if !ROOTS.contains(&root.word.as_str()) {
        return Ok(None);
    }
    let words = rest.iter().map(|segment| Word::read(segment)).collect::<Result<Vec<_>, _>>()?;
    if root.word != "indexes" {
        return Ok(Some((Family::Manage, Target::Unnamed)));
    }
    let (index, words) = match root.key {
        Some(index) => (Some(index), &words[..]),
        // In slash form the name stands as it came, a segment of its own.
        None => (rest.first().map(|name| (*name).to_owned()), words.get(1..).unwrap_or(&[])),
    };
    let target = index.map_or(Target::Unnamed, Target::Named);
    Ok(Some((family(method, words), target)))
}

/// The family of an operation on one index.
fn family(method: &Method, words: &[Word]) -> Family {
    let [docs, operation @ ..] = words else { return Family::Manage };
    if docs.word != "docs" {
        return Family::Manage;
    }
    let reading = match (method, &docs.key, operation) {
        // A search, or the look-up of a document.
        (&Method::GET, _, []) => true,
        (&Method::GET, None, [Word { word, key: None }]) => match word.as_str() {
            "search.suggest" | "suggest" | "search.autocomplete" | "autocomplete" | "$count" => true,
            // A document of that key can be had as docs('index'); written like the operation, it is not one.
            "index" => false,
            // Anything else without a sign of OData's is a document's key.
            key => !key.starts_with("search.") && !key.starts_with('$'),
        },
        (&Method::POST, None, [Word { word, key: None }]) => match word.as_str() {
            "search.post.search"
            | "search.post.suggest"
            | "search.post.autocomplete"
            | "search"
            | "suggest"
            | "autocomplete" => true,
            "search.index" | "index" => return Family::DocumentsWrite,
            _ => false,
        },
        _ => false,
    };
    if reading { Family::DocumentsRead } else { Family::Manage }
}

// === impl Word ===

impl Word {
    fn read(segment: &str) -> Result<Self, Refusal> {
        const ODD: Refusal = Refusal::Ambiguous("its path has quotes or parentheses that OData does not know");
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
        classify(&method, &segments).unwrap().map(|(family, _)| family)
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
            ("GET", "/indexes/i/docs/index"),
            ("GET", "/indexes/i/docs/search.index"),
            ("PUT", "/indexes('i')/docs('k')"),
            ("DELETE", "/indexes/i/docs/k"),
            ("POST", "/indexes/i/docs"),
            ("POST", "/indexes/i/docs/new"),
            ("HEAD", "/indexes/i/docs"),
            ("GET", "/indexes/i/docs/k/more"),
            ("GET", "/indexes/i/docs('k')/$value"),
            ("POST", "/indexers('x')/search.run"),
            ("GET", "/servicestats"),
            ("POST", "/knowledgebases('k')/retrieve"),
        ] {
            assert_eq!(classified(method, path), Some(Family::Manage), "{method} {path}");
        }
        assert_eq!(classified("GET", "/favicon.ico"), None);
    }

    #[test]
    fn an_index_is_named_in_both_forms_and_kept_as_written() {
        let target = |segments: &[&str]| classify(&Method::GET, segments).unwrap().unwrap().1;
        assert_eq!(target(&["indexes('Hotels')", "docs"]), Target::Named("Hotels".into()));
        assert_eq!(target(&["indexes", "Hotels", "docs"]), Target::Named("Hotels".into()));
        assert_eq!(target(&["indexes('it''s')"]), Target::Named("it's".into()));
        assert_eq!(target(&["indexes"]), Target::Unnamed);
        for odd in ["indexes('a", "indexes('a')x", "indexes(a)", "indexes('')", "('a')", "indexes('a'b')", "a'b"] {
            assert!(classify(&Method::GET, &[odd]).is_err(), "{odd}");
        }
    }
}
