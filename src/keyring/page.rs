//! The text of a `keys.toml`, edited as a person would: comments, order and manner of writing stay, and what is new is
//! written in the manner of its neighbours.

mod grants;

use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::document::{Document, Mistakes};
pub(super) use grants::GrantEdit;

/// A text that can be edited.
#[derive(Debug)]
pub(super) struct Page(DocumentMut);

/// The fields of a key, in the order in which they are written.
pub(super) type Fields = Vec<(&'static str, Value)>;

/// What a client may do on a resource.
pub(super) struct Grant {
    pub(super) resource: String,
    /// The plane's default if empty.
    pub(super) allow: Vec<String>,
}

/// How far a key of a list stands from the margin, where nothing shows it.
const INDENT: &str = "  ";

impl Page {
    /// Reads a text.
    ///
    /// # Errors
    /// Mistakes of syntax.
    pub(super) fn read(file: &Path, text: &str) -> Result<Self, Mistakes> {
        // Our own reader tells them without quoting the line; theirs would.
        Document::parse(file, text).verdict()?;
        let page = text.parse().map_err(|_| Mistakes::of_file(file, "is written in a way that cannot be edited"));
        page.map(Self)
    }

    /// Adds a client without keys, after all others.
    pub(super) fn add_client(&mut self, name: &str, grants: &[Grant]) {
        let mut client = Table::new();
        client.insert("keys", Item::Value(Array::new().into()));
        client.insert("grants", Item::Value(grants.iter().map(Grant::written).collect::<Array>().into()));
        // What stands at the end of the file stays above what is new.
        let end = self.0.trailing().as_str().unwrap_or_default().to_owned();
        let is_first = self.0.is_empty();
        client.decor_mut().set_prefix(if is_first { end } else { format!("{end}\n") });
        self.0.set_trailing("");
        let clients = self.0.entry("clients").or_insert_with(|| {
            let mut clients = Table::new();
            clients.set_implicit(true);
            Item::Table(clients)
        });
        if let Some(clients) = clients.as_table_like_mut() {
            clients.insert(name, Item::Table(client));
        }
    }

    /// Adds a key to a client that is there, after its others; `None` if there is no such place.
    #[must_use]
    pub(super) fn add_key(&mut self, client: &str, fields: Fields) -> Option<()> {
        match self.keys(client)? {
            Item::Value(Value::Array(list)) => push(list, fields.into_iter().collect()),
            Item::ArrayOfTables(tables) => push_table(tables, fields),
            _ => return None,
        }
        Some(())
    }

    /// Writes a field of the key with this id, in place of what it was or after the others; `None` if there is no such key.
    #[must_use]
    pub(super) fn set(&mut self, client: &str, id: &str, field: &str, value: Value) -> Option<()> {
        let has_id = |key: &dyn TableLike| key.get("id").and_then(Item::as_str) == Some(id);
        match self.keys(client)? {
            Item::Value(Value::Array(list)) => {
                let mut keys = list.iter_mut().filter_map(Value::as_inline_table_mut);
                set_inline(keys.find(|key| has_id(*key))?, field, value);
            }
            Item::ArrayOfTables(tables) => {
                let key = tables.iter_mut().find(|key| has_id(*key))?;
                match key.get_mut(field).and_then(Item::as_value_mut) {
                    Some(old) => replace(old, value),
                    None => drop(key.insert(field, Item::Value(value))),
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Whether there is such a client, with keys or without.
    pub(super) fn has_client(&self, name: &str) -> bool {
        self.client(name).is_some()
    }

    /// The resources that a client's grants name.
    pub(super) fn resources_of(&self, client: &str) -> Vec<String> {
        let named = |grant: &dyn TableLike| Some(grant.get("resource")?.as_str()?.to_owned());
        match self.client(client).and_then(|client| client.get("grants")) {
            Some(Item::Value(Value::Array(list))) => {
                list.iter().filter_map(Value::as_inline_table).filter_map(|grant| named(grant)).collect()
            }
            Some(Item::ArrayOfTables(tables)) => tables.iter().filter_map(|grant| named(grant)).collect(),
            _ => Vec::new(),
        }
    }

    /// What it has come to.
    pub(super) fn text(&self) -> String {
        self.0.to_string()
    }

    fn client(&self, name: &str) -> Option<&dyn TableLike> {
        self.0.get("clients")?.as_table_like()?.get(name)?.as_table_like()
    }

    fn keys(&mut self, client: &str) -> Option<&mut Item> {
        let clients = self.0.get_mut("clients")?.as_table_like_mut()?;
        clients.get_mut(client)?.as_table_like_mut()?.get_mut("keys")
    }
}

impl Grant {
    fn written(&self) -> Value {
        let mut grant = InlineTable::new();
        grant.insert("resource", self.resource.as_str().into());
        if !self.allow.is_empty() {
            grant.insert("allow", Value::from_iter(self.allow.iter().map(String::as_str)));
        }
        grant.into()
    }
}

/// Adds a key to a list: on a line of its own, and so the others, or a reviewer would have to look for what is new.
fn push(list: &mut Array, key: InlineTable) {
    let has_lines = list.iter().any(|key| prefix(key).contains('\n'));
    if !has_lines {
        list.iter_mut().for_each(|key| key.decor_mut().set_prefix(format!("\n{INDENT}")));
    }
    // Whatever stands after the last key, comments as a rule, belongs to it.
    let had_comma = list.trailing_comma();
    let last = list.len().checked_sub(1).and_then(|last| list.get_mut(last));
    let (indent, suffix) = match last {
        Some(last) => {
            let indent = prefix(last).rsplit('\n').next().unwrap_or(INDENT).to_owned();
            let suffix = last.decor().suffix().and_then(|suffix| suffix.as_str()).unwrap_or_default().to_owned();
            if !had_comma {
                last.decor_mut().set_suffix("");
            }
            (indent, if had_comma { String::new() } else { suffix })
        }
        None => (INDENT.to_owned(), String::new()),
    };
    let after = suffix + list.trailing().as_str().unwrap_or_default();
    let end = after.rsplit_once('\n').map_or("", |(_, end)| end).to_owned();
    let mut key = Value::from(key);
    *key.decor_mut() = toml_edit::Decor::new(format!("{}\n{indent}", after.trim_end()), "");
    list.push_formatted(key);
    list.set_trailing(format!("\n{end}"));
    list.set_trailing_comma(true);
}

fn push_table(tables: &mut ArrayOfTables, fields: Fields) {
    let mut key = Table::new();
    for (field, value) in fields {
        key.insert(field, Item::Value(value));
    }
    let before = tables.iter().last().and_then(|last| last.decor().prefix()?.as_str());
    // Blank lines as before the last one; its comments are its own.
    let blank = before.is_none_or(|before| before.starts_with('\n'));
    key.decor_mut().set_prefix(if blank { "\n" } else { "" });
    tables.push(key);
}

fn set_inline(key: &mut InlineTable, field: &str, value: Value) {
    if let Some(old) = key.get_mut(field) {
        return replace(old, value);
    }
    // The blank before the closing brace is the last value's.
    let comma = key.trailing_comma();
    let last = key.iter_mut().last().map(|(_, last)| last).filter(|_| !comma);
    let end = last.and_then(|last| {
        let end = last.decor().suffix()?.as_str().map(str::to_owned);
        last.decor_mut().set_suffix("");
        end
    });
    let mut value = value;
    if let Some(end) = end {
        *value.decor_mut() = toml_edit::Decor::new(" ", end);
    }
    key.insert(field, value);
}

/// Another value in the same place, with the comment that stands after it.
fn replace(old: &mut Value, new: Value) {
    let decor = old.decor().clone();
    *old = new;
    *old.decor_mut() = decor;
}

fn prefix(value: &Value) -> &str {
    value.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, edit: impl Fn(&mut Page)) -> String {
        let mut page = Page::read(Path::new("keys.toml"), text).unwrap();
        assert_eq!(page.text(), text, "nothing changes by itself");
        edit(&mut page);
        page.text()
    }

    fn key(id: &str) -> Fields {
        vec![("id", id.into()), ("sha256", "0".into())]
    }

    fn add(page: &mut Page) {
        page.add_key("a", key("new")).unwrap();
    }

    #[test]
    fn a_key_goes_below_the_others_in_their_manner() {
        let lines = "# top\n[clients.a]\nkeys = [\n    # old\n    { id = \"x\" }, # his\n    # none below\n] # end\n\
                     grants = []\n# bottom\n";
        let more = "    # none below\n    { id = \"new\", sha256 = \"0\" },\n] # end";
        assert_eq!(edited(lines, add), lines.replace("    # none below\n] # end", more));
        let without = "clients.a = { keys = [\n  { id = \"x\" } # his\n], grants = [] }\n";
        let with =
            "clients.a = { keys = [\n  { id = \"x\" }, # his\n  { id = \"new\", sha256 = \"0\" },\n], grants = [] }\n";
        assert_eq!(edited(without, add), with);
        let line = "[clients]\na.keys = [{ id = \"x\" }, {id=\"y\"}] # two\na.grants = []\n";
        let lines = "[clients]\na.keys = [\n  { id = \"x\" },\n  {id=\"y\"},\n  { id = \"new\", sha256 = \"0\" },\n] # two\na.grants = []\n";
        assert_eq!(edited(line, add), lines);
        let tables = "[[clients.a.keys]]\nid = \"x\" # his\n\n# What it may do.\n[[clients.a.grants]]\nresource = \"r\"\n\n[clients.b]\n";
        let new = "[[clients.a.keys]]\nid = \"x\" # his\n[[clients.a.keys]]\nid = \"new\"\nsha256 = \"0\"\n\n# What";
        assert_eq!(edited(tables, add), tables.replace("[[clients.a.keys]]\nid = \"x\" # his\n\n# What", new));
    }

    #[test]
    fn a_client_goes_to_the_end() {
        let add = |page: &mut Page| {
            let (resource, allow) = ("r".to_owned(), vec!["files".to_owned()]);
            page.add_client("a", &[Grant { resource, allow }, Grant { resource: "s".to_owned(), allow: Vec::new() }]);
            page.add_key("a", key("new")).unwrap();
        };
        let new = "[clients.a]\nkeys = [\n  { id = \"new\", sha256 = \"0\" },\n]\n\
                   grants = [{ resource = \"r\", allow = [\"files\"] }, { resource = \"s\" }]\n";
        assert_eq!(edited("", add), new);
        assert_eq!(edited("# Keys.\n", add), format!("# Keys.\n{new}"));
        let others = "[clients.z]\nkeys = []\n[[clients.z.grants]]\nresource = \"r\"\n# The end.\n";
        assert_eq!(edited(others, add), format!("{others}\n{new}"));
        assert_eq!(
            edited("clients = {}\n", |page| page.add_client("a", &[])),
            "clients = { a = { keys = [], grants = [] } }\n"
        );
    }

    #[test]
    fn a_field_goes_after_the_others_or_in_its_place() {
        let revoke = |page: &mut Page| page.set("a", "x", "revoked", true.into()).unwrap();
        let keys = "clients.a.keys = [{ id = \"y\" }, { id = \"x\", cut = true }] # c\n";
        assert_eq!(edited(keys, revoke), keys.replace("cut = true", "cut = true, revoked = true"));
        let keys = "clients.a.keys = [{id=\"x\", revoked =  false , cut = false}]\n";
        assert_eq!(edited(keys, revoke), keys.replace(" false ,", " true ,"));
        let tables =
            "[[clients.a.keys]]\nid = \"x\"\n# not yet\nrevoked = false # for now\n[[clients.a.keys]]\nid = \"y\"\n";
        assert_eq!(edited(tables, revoke), tables.replace("false", "true"));
        let tables = "[[clients.a.keys]]\nid = \"x\" # his\n\n# hers\n[[clients.a.keys]]\nid = \"y\"\n";
        assert_eq!(edited(tables, revoke), tables.replace("# his\n", "# his\nrevoked = true\n"));
    }
}
