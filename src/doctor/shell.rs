//! Words of a command that is pasted into a shell: what came from settings or from a token means nothing to it.

/// A text as one word.
pub(super) fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_what_it_was_and_nothing_else() {
        assert_eq!(word("https://login.example/a-b_c.d"), "https://login.example/a-b_c.d");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("$(id)'; rm"), r"'$(id)'\''; rm'");
        assert_eq!(word(""), "''");
    }
}
