//! Reading a filter: tokens, and one function for each rank of operators.

use serde_json::{Number, Value};

use super::{Comparison, Filter, unknown_property};
use crate::search::schema::Index;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
    End,
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

/// Reads all of `text`, which is not empty.
pub(super) fn parse(text: &str, index: &Index) -> Result<Filter, String> {
    let mut parser = Parser { text, index, at: 0, token: Token::End, variables: Vec::new() };
    parser.advance()?;
    let filter = parser.or()?;
    match parser.token {
        Token::End => Ok(filter),
        Token::Word(_) | Token::Text(_) | Token::Sign(_) => Err(parser.error()),
    }
}

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
