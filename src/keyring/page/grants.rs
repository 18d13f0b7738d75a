//! Other grants in the place of those that a client has.

use toml_edit::{Array, ArrayOfTables, InlineTable, Item, Table, Value};

use super::{Page, prefix, replace, set_inline};

/// How a grant differs from the one in whose place it comes. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::keyring) struct GrantEdit {
    pub(in crate::keyring) allow: Option<Vec<String>>,
    pub(in crate::keyring) access: Option<Vec<String>>,
    /// `deployments` or `indexes`, and the names.
    pub(in crate::keyring) targets: Option<(&'static str, Vec<String>)>,
}

impl Page {
    /// Puts others in the place of each of a client's grants, in their order; none removes it. `None` if they are not
    /// written as grants are.
    #[must_use]
    pub(in crate::keyring) fn replace_grants(&mut self, client: &str, edits: &[Vec<GrantEdit>]) -> Option<()> {
        let clients = self.0.get_mut("clients")?.as_table_like_mut()?;
        match clients.get_mut(client)?.as_table_like_mut()?.get_mut("grants")? {
            Item::Value(Value::Array(list)) if list.len() == edits.len() => in_list(list, edits),
            Item::ArrayOfTables(tables) if tables.len() == edits.len() => {
                in_tables(tables, edits);
                Some(())
            }
            _ => None,
        }
    }
}

impl GrantEdit {
    fn fields(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let allow = self.allow.as_deref().map(|words| ("allow", words));
        let access = self.access.as_deref().map(|words| ("access", words));
        let targets = self.targets.as_ref().map(|(field, names)| (*field, &names[..]));
        [allow, access, targets].into_iter().flatten()
    }
}

fn in_list(list: &mut Array, edits: &[Vec<GrantEdit>]) -> Option<()> {
    // From the last on, so that the places of those before stay what they are.
    for (place, edits) in edits.iter().enumerate().rev() {
        let Some((edit, more)) = edits.split_first() else {
            remove(list, place);
            continue;
        };
        let before = list.get(place)?.as_inline_table()?.clone();
        let indent = list.get(place).map(prefix).and_then(|prefix| Some(prefix.rsplit_once('\n')?.1.to_owned()));
        let blank = indent.map_or(" ".to_owned(), |indent| format!("\n{indent}"));
        for edit in more.iter().rev() {
            let mut grant = Value::InlineTable(edited(before.clone(), edit));
            *grant.decor_mut() = toml_edit::Decor::new(blank.as_str(), "");
            list.insert_formatted(place + 1, grant);
        }
        let grant = list.get_mut(place)?.as_inline_table_mut()?;
        let decor = grant.decor().clone();
        *grant = edited(before, edit);
        *grant.decor_mut() = decor;
    }
    Some(())
}

/// Removes a grant with its comments, those above it and that beside it. What stands beside the one before stays there.
fn remove(list: &mut Array, place: usize) {
    let removed = list.remove(place);
    let above = prefix(&removed);
    let (beside_last, indent) = match (above.split_once('\n'), above.rsplit_once('\n')) {
        (Some((beside, _)), Some((_, indent))) => (beside.to_owned(), Some(format!("\n{indent}"))),
        _ => (String::new(), None),
    };
    let own_line = |below: &str| below.find('\n').and_then(|line| below.get(line..)).map(str::to_owned);
    if let Some(next) = list.get_mut(place) {
        // Where neither begins a line, it comes into the place of the one that was removed.
        let begin = own_line(prefix(next)).or(indent).unwrap_or_else(|| above.to_owned());
        next.decor_mut().set_prefix(beside_last + &begin);
    } else if list.trailing_comma() {
        let end = list.trailing().as_str().unwrap_or_default();
        let end = own_line(end).unwrap_or_else(|| end.to_owned());
        list.set_trailing(beside_last + &end);
    } else if let Some(last) = list.len().checked_sub(1).and_then(|last| list.get_mut(last)) {
        let end = removed.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default();
        last.decor_mut().set_suffix(beside_last + &own_line(end).unwrap_or_else(|| end.to_owned()));
    }
}

fn edited(mut grant: InlineTable, edit: &GrantEdit) -> InlineTable {
    for (field, words) in edit.fields() {
        let value = list_of(grant.get(field), words);
        set_inline(&mut grant, field, value);
    }
    grant
}

fn in_tables(tables: &mut ArrayOfTables, edits: &[Vec<GrantEdit>]) {
    for (mut grant, edits) in std::mem::take(tables).into_iter().zip(edits) {
        let Some((edit, more)) = edits.split_first() else { continue };
        let others: Vec<_> = more.iter().map(|edit| beside(&grant, edit)).collect();
        set_fields(&mut grant, edit);
        tables.push(grant);
        others.into_iter().for_each(|other| tables.push(other));
    }
}

/// A grant like this one, but for an edit, to stand below it.
fn beside(grant: &Table, edit: &GrantEdit) -> Table {
    let mut other = Table::new();
    grant.iter().for_each(|(field, item)| drop(other.insert(field, item.clone())));
    other.decor_mut().set_prefix("\n");
    set_fields(&mut other, edit);
    other
}

fn set_fields(grant: &mut Table, edit: &GrantEdit) {
    for (field, words) in edit.fields() {
        let value = list_of(grant.get(field).and_then(Item::as_value), words);
        match grant.get_mut(field).and_then(Item::as_value_mut) {
            Some(old) => replace(old, value),
            None => drop(grant.insert(field, Item::Value(value))),
        }
    }
}

/// A list of these words: what is left of the one before, if all of them stand there, in its manner and order.
fn list_of(before: Option<&Value>, words: &[String]) -> Value {
    let is_wanted =
        |value: &Value| value.as_str().is_some_and(|text| words.iter().any(|word| word.eq_ignore_ascii_case(text)));
    let mut list = before.and_then(Value::as_array).cloned().unwrap_or_default();
    let ends = (list.get(0).map(prefix).unwrap_or_default().to_owned(), last_suffix(&list));
    list.retain(is_wanted);
    if list.len() != words.len() {
        return Value::from_iter(words.iter().map(String::as_str));
    }
    if let Some(first) = list.get_mut(0) {
        first.decor_mut().set_prefix(ends.0);
    }
    let last = list.len().checked_sub(1).and_then(|last| list.get_mut(last));
    if let Some(last) = last {
        last.decor_mut().set_suffix(ends.1);
    }
    list.into()
}

fn last_suffix(list: &Array) -> String {
    let last = list.iter().last().and_then(|last| last.decor().suffix()?.as_str());
    last.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn narrowed(text: &str, edits: &[Vec<GrantEdit>]) -> String {
        let mut page = Page::read(Path::new("keys.toml"), text).unwrap();
        page.replace_grants("a", edits).unwrap();
        page.text()
    }

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn what_is_left_stays_as_it_was_written() {
        let text = "[clients.a]\nkeys = []\n# Why.\ngrants = [\n  { resource = \"r\", allow = [ \"files\",\"inference\", \"realtime\" ] }, # his\n  \
                    { resource = \"s\" }, # never\n  # above\n  { resource = \"t\", deployments = [\"gpt*\"] },\n]\n";
        let edit = GrantEdit { allow: words(&["inference"]), access: words(&["read"]), targets: None };
        let named = words(&["gpt-4o", "gpt-4"]).map(|names| ("deployments", names));
        let last = GrantEdit { targets: named, ..GrantEdit::default() };
        let wanted = "[clients.a]\nkeys = []\n# Why.\ngrants = [\n  { resource = \"r\", allow = [ \"inference\" ], access = [\"read\"] }, # his\n  # above\n  \
                      { resource = \"t\", deployments = [\"gpt-4o\", \"gpt-4\"] },\n]\n";
        assert_eq!(narrowed(text, &[vec![edit], vec![], vec![last]]), wanted);
    }

    #[test]
    fn a_grant_that_is_removed_leaves_the_others_where_they_are() {
        let keep = vec![GrantEdit::default()];
        for (before, after) in [
            ("[{ r = 1 }, { s = 1 }]", "[{ r = 1 }]"),
            ("[\n  { r = 1 }, # r\n  # S.\n  { s = 1 }, # s\n  # end\n]", "[\n  { r = 1 }, # r\n  # end\n]"),
            ("[\n  { r = 1 }, # r\n  { s = 1 } # s\n]", "[\n  { r = 1 } # r\n]"),
        ] {
            let text = |list| format!("clients.a.keys = []\nclients.a.grants = {list} # c\n");
            assert_eq!(narrowed(&text(before), &[keep.clone(), vec![]]), text(after));
        }
        for (before, after) in [
            ("[{ r = 1 }, { s = 1 }]", "[{ s = 1 }]"),
            ("[ # all\n  # R.\n  { r = 1 }, # r\n  # S.\n  { s = 1 }, # s\n]", "[ # all\n  # S.\n  { s = 1 }, # s\n]"),
        ] {
            let text = |list| format!("clients.a.keys = []\nclients.a.grants = {list} # c\n");
            assert_eq!(narrowed(&text(before), &[vec![], keep.clone()]), text(after));
        }
    }

    #[test]
    fn a_grant_becomes_two() {
        let part = |word| GrantEdit { allow: words(&[word]), ..GrantEdit::default() };
        let both = [vec![part("files"), part("batches")]];
        let line = "clients.a = { keys = [], grants = [{ resource = \"r\", identity = \"i\" }] } # one\n";
        let two = "clients.a = { keys = [], grants = [{ resource = \"r\", identity = \"i\", allow = [\"files\"] }, \
                   { resource = \"r\", identity = \"i\", allow = [\"batches\"] }] } # one\n";
        assert_eq!(narrowed(line, &both), two);
        let table =
            "[[clients.a.grants]]\nresource = \"r\" # his\nallow = [\"openai\"] # all\n\n# Others.\n[clients.b]\n";
        let two = "[[clients.a.grants]]\nresource = \"r\" # his\nallow = [\"files\"] # all\n\n[[clients.a.grants]]\nresource = \"r\" # his\n\
                   allow = [\"batches\"] # all\n\n# Others.\n[clients.b]\n";
        assert_eq!(narrowed(table, &both), two);
        // Order is kept: it says whose token is ridden where grants overlap.
        let tables = "[[clients.a.grants]]\nresource = \"r\"\n# S.\n[[clients.a.grants]]\nresource = \"s\"\n";
        let three = "[[clients.a.grants]]\nresource = \"r\"\nallow = [\"files\"]\n\n[[clients.a.grants]]\nresource = \"r\"\n\
                     allow = [\"batches\"]\n# S.\n[[clients.a.grants]]\nresource = \"s\"\n";
        assert_eq!(narrowed(tables, &[vec![part("files"), part("batches")], vec![GrantEdit::default()]]), three);
        let tables = "[[clients.a.grants]]\nresource = \"r\"\n[[clients.a.grants]]\nresource = \"s\"\n";
        assert_eq!(
            narrowed(tables, &[vec![], vec![part("files")]]),
            "[[clients.a.grants]]\nresource = \"s\"\nallow = [\"files\"]\n"
        );
    }
}
