//! `$filter`, the part of OData that people write: comparisons, `and`, `or`, `not`, parentheses,
//! a boolean field alone, `search.in`, and `any`/`all` over collections.

use serde_json::{Number, Value};

use crate::search::query::compare;
use crate::search::service::{Document, Index};

/// A condition on documents.
#[derive(Debug)]
pub(super) enum Filter {
    Always,
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(Path, Comparison, Value),
    In(Path, Vec<String>),
    Any(Path, String, Box<Filter>),
    All(Path, String, Box<Filter>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// `Address/City`, or the variable of a lambda, alone or followed by a path.
type Path = String;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
    End,
}

/// The filter in `text`; an error is the service's own text, without its frame.
pub(super) fn read(text: &str, index: &Index) -> Result<Filter, String> {
    if text.trim().is_empty() {
        return Ok(Filter::Always);
    }
    let mut parser = Parser { text, index, at: 0, token: Token::End, variables: Vec::new() };
    parser.advance()?;
    let filter = parser.or()?;
    match parser.token {
        Token::End => Ok(filter),
        _ => Err(parser.error()),
    }
}

/// What stands at `path` in `document`; null if nothing does.
pub(super) fn value_at<'a>(document: &'a Document, path: &str) -> &'a Value {
    let mut names = path.split('/');
    let first = names.next().and_then(|name| document.get(name));
    let found = names.try_fold(first.unwrap_or(&Value::Null), |value, name| value.get(name));
    found.unwrap_or(&Value::Null)
}

pub(super) fn unknown_property(name: &str) -> String {
    format!("Could not find a property named '{name}' on type 'search.document'.")
}

// === impl Filter ===

impl Filter {
    /// Whether `document` passes.
    pub(super) fn accepts(&self, document: &Document) -> bool {
        self.holds(document, &[])
    }

    /// `variables`: what the variables of lambdas stand for.
    fn holds(&self, document: &Document, variables: &[(&str, &Value)]) -> bool {
        let value = |path: &str| resolve(document, variables, path);
        let items = |path: &str| match value(path) {
            Value::Array(items) => items.as_slice(),
            _ => &[],
        };
        let inside = |name: &str, item: &Value, filter: &Self| {
            let mut inner = variables.to_vec();
            inner.push((name, item));
            filter.holds(document, &inner)
        };
        match self {
            Self::Always => true,
            Self::And(left, right) => left.holds(document, variables) && right.holds(document, variables),
            Self::Or(left, right) => left.holds(document, variables) || right.holds(document, variables),
            Self::Not(filter) => !filter.holds(document, variables),
            Self::Compare(path, comparison, wanted) => comparison.holds(value(path), wanted),
            Self::In(path, wanted) => {
                value(path).as_str().is_some_and(|text| wanted.iter().any(|wanted| wanted == text))
            }
            Self::Any(path, name, filter) => items(path).iter().any(|item| inside(name, item, filter)),
            Self::All(path, name, filter) => items(path).iter().all(|item| inside(name, item, filter)),
        }
    }
}

fn resolve<'a>(document: &'a Document, variables: &[(&str, &'a Value)], path: &str) -> &'a Value {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let bound = variables.iter().rfind(|(name, _)| *name == first);
    match bound {
        None => value_at(document, path),
        Some((_, value)) if rest.is_empty() => value,
        Some((_, value)) => value.as_object().map_or(&Value::Null, |item| value_at(item, rest)),
    }
}

// === impl Comparison ===

impl Comparison {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "ne" => Self::Ne,
            "gt" => Self::Gt,
            "ge" => Self::Ge,
            "lt" => Self::Lt,
            "le" => Self::Le,
            _ => return None,
        })
    }

    /// A comparison of size with null is false, of equality is not.
    fn holds(self, value: &Value, wanted: &Value) -> bool {
        let null = value.is_null() || wanted.is_null();
        let ordering = compare(value, wanted);
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Ne => ordering.is_ne(),
            Self::Gt => !null && ordering.is_gt(),
            Self::Ge => !null && ordering.is_ge(),
            Self::Lt => !null && ordering.is_lt(),
            Self::Le => !null && ordering.is_le(),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    index: &'a Index,
    /// Behind the current token.
    at: usize,
    token: Token,
    /// Names bound by the lambdas around this place.
    variables: Vec<String>,
}

// === impl Parser ===

impl Parser<'_> {
    fn or(&mut self) -> Result<Filter, String> {
        let mut left = self.and()?;
        while self.take_word("or")? {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, String> {
        let mut left = self.not()?;
        while self.take_word("and")? {
            left = Filter::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Filter, String> {
        if self.take_word("not")? {
            return Ok(Filter::Not(Box::new(self.not()?)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Filter, String> {
        if self.take_sign('(')? {
            let inner = self.or()?;
            self.expect(')')?;
            return Ok(inner);
        }
        let Token::Word(word) = self.token.clone() else {
            return Err(self.error());
        };
        self.advance()?;
        if word == "search.in" {
            return self.search_in();
        }
        for lambda in ["/any", "/all"] {
            if let Some(path) = word.strip_suffix(lambda) {
                return self.lambda(path, lambda == "/any");
            }
        }
        self.check(&word)?;
        let Token::Word(operator) = &self.token else {
            // A boolean field alone.
            return Ok(Filter::Compare(word, Comparison::Eq, Value::Bool(true)));
        };
        let Some(comparison) = Comparison::named(operator) else {
            return if matches!(operator.as_str(), "and" | "or") {
                Ok(Filter::Compare(word, Comparison::Eq, Value::Bool(true)))
            } else {
                Err(self.error())
            };
        };
        self.advance()?;
        let wanted = self.literal()?;
        Ok(Filter::Compare(word, comparison, wanted))
    }

    /// `search.in(field, 'a,b', ',')`; without delimiters, commas and spaces are.
    fn search_in(&mut self) -> Result<Filter, String> {
        self.expect('(')?;
        let Token::Word(path) = self.token.clone() else {
            return Err(self.error());
        };
        self.check(&path)?;
        self.advance()?;
        self.expect(',')?;
        let list = self.string()?;
        let delimiters = if self.take_sign(',')? { self.string()? } else { ", ".to_owned() };
        self.expect(')')?;
        let wanted = list.split(|character| delimiters.contains(character));
        Ok(Filter::In(path, wanted.map(str::to_owned).collect()))
    }

    /// `(t: t eq 'wifi')`, or `()` for "has any".
    fn lambda(&mut self, path: &str, any: bool) -> Result<Filter, String> {
        self.check(path)?;
        self.expect('(')?;
        if any && self.take_sign(')')? {
            let always = Box::new(Filter::Always);
            return Ok(Filter::Any(path.to_owned(), String::new(), always));
        }
        let Token::Word(name) = self.token.clone() else {
            return Err(self.error());
        };
        self.advance()?;
        self.expect(':')?;
        self.variables.push(name.clone());
        let inner = Box::new(self.or()?);
        self.variables.pop();
        self.expect(')')?;
        Ok(if any { Filter::Any(path.to_owned(), name, inner) } else { Filter::All(path.to_owned(), name, inner) })
    }

    fn literal(&mut self) -> Result<Value, String> {
        let value = match &self.token {
            Token::Text(text) => Value::from(text.as_str()),
            Token::Word(word) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                word => match word.parse::<f64>().ok().and_then(Number::from_f64) {
                    Some(number) => Value::Number(number),
                    // A date: compared as a text, which sorts alike.
                    None if word.starts_with(|first: char| first.is_ascii_digit()) => Value::from(word),
                    None => return Err(self.error()),
                },
            },
            Token::Sign(_) | Token::End => return Err(self.error()),
        };
        self.advance()?;
        Ok(value)
    }

    fn string(&mut self) -> Result<String, String> {
        let Token::Text(text) = self.token.clone() else {
            return Err(self.error());
        };
        self.advance()?;
        Ok(text)
    }

    /// Whether a path exists, or begins with a variable.
    fn check(&self, path: &str) -> Result<(), String> {
        let first = path.split('/').next().unwrap_or(path);
        let known = self.variables.iter().any(|name| name == first) || self.index.field(path).is_some();
        // What the service calls a syntax error may begin with an unknown name, too.
        let compared = matches!(&self.token, Token::Word(word) if Comparison::named(word).is_none());
        if known {
            Ok(())
        } else if compared {
            Err(self.error())
        } else {
            Err(unknown_property(path))
        }
    }

    fn take_word(&mut self, word: &str) -> Result<bool, String> {
        let found = matches!(&self.token, Token::Word(given) if given == word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn take_sign(&mut self, sign: char) -> Result<bool, String> {
        let found = self.token == Token::Sign(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        if self.take_sign(sign)? { Ok(()) } else { Err(self.error()) }
    }

    /// Reads the next token.
    fn advance(&mut self) -> Result<(), String> {
        let rest = &self.text[self.at..];
        let skipped = rest.trim_start();
        self.at += rest.len() - skipped.len();
        self.token = match skipped.chars().next() {
            None => Token::End,
            Some('\'') => {
                let (text, length) = quoted(skipped).ok_or_else(|| self.error())?;
                self.at += length;
                Token::Text(text)
            }
            Some(sign @ ('(' | ')' | ',' | ':')) => {
                self.at += 1;
                Token::Sign(sign)
            }
            Some(first) => {
                let date = first.is_ascii_digit();
                let end =
                    skipped.find(|next: char| next.is_whitespace() || "(),'".contains(next) || (next == ':' && !date));
                let word = &skipped[..end.unwrap_or(skipped.len())];
                self.at += word.len();
                Token::Word(word.to_owned())
            }
        };
        Ok(())
    }

    /// The place is where the offending token ends.
    fn error(&self) -> String {
        format!("Syntax error at position {} in '{}'.", self.at, self.text)
    }
}

/// A text in single quotes, in which two of them are one; and how long it was.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((place, character)) = characters.next() {
        if character != '\'' {
            content.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            content.push('\'');
        } else {
            return Some((content, place + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::hotels;

    fn hotels_index() -> Index {
        let mut index = Index::define("hotels", &hotels::definition()).expect("a definition");
        for hotel in hotels::documents() {
            index.put(hotel);
        }
        index
    }

    fn found(text: &str) -> usize {
        let index = hotels_index();
        let filter = read(text, &index).expect(text);
        let documents = index.documents.values().filter_map(Value::as_object);
        documents.filter(|document| filter.accepts(document)).count()
    }

    #[test]
    fn comparisons_combine() {
        let all = 120;
        assert_eq!(found(""), all);
        assert_eq!(found("HotelId eq '7'"), 1);
        assert_eq!(found("Rating ge 3") + found("Rating lt 3"), all);
        assert_eq!(found("ParkingIncluded"), 40);
        assert_eq!(found("not ParkingIncluded and Rating ge 0"), 80);
        assert_eq!(found("ParkingIncluded eq true or ParkingIncluded eq false"), all);
        assert_eq!(found("(Address/City eq 'Seattle')"), 20);
        assert_eq!(found("Address/City ne null"), all);
        assert_eq!(found("LastRenovationDate ge 1970-01-01T00:00:00Z"), all);
        assert_eq!(found("search.in(Address/City, 'Seattle|New York', '|')"), 40);
        assert_eq!(found("Tags/any(t: t eq 'wifi')") + found("Tags/all(t: t ne 'wifi')"), all);
        assert_eq!(found("HotelName eq 'It''s not there'"), 0);
    }

    #[test]
    fn errors_are_the_services_own() {
        let index = hotels_index();
        let error = |text| read(text, &index).expect_err("no filter");
        assert_eq!(
            error("This is not a valid filter."),
            "Syntax error at position 7 in 'This is not a valid filter.'."
        );
        assert_eq!(error("Nothing eq 1"), "Could not find a property named 'Nothing' on type 'search.document'.");
    }
}
