//! The steps of an edit: who is there, who is new, what a key is called.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use time::OffsetDateTime;
use toml_edit::Value;

use super::page::Grant;
use super::{
    Digest, Fields, Key, Keyring, Keys, Labels, Looks, Mistakes, Owner, Particulars, Plane, Shape, refused, written,
};
use crate::settings::Resource;

impl Keyring {
    /// Sees to it that the owner of a key is there.
    pub(super) fn welcome(&mut self, owner: &Owner, plane: Option<Plane>) -> Result<(), Mistakes> {
        let Owner { client, resources, allow } = owner;
        if self.is_known(client) {
            return match (&resources[..], &allow[..]) {
                ([], []) => Ok(()),
                ([], _) => Err(refused("--allow", has_grants(client))),
                _ => Err(refused("--resource", has_grants(client))),
            };
        }
        check_name("--client", client)?;
        let resources = self.resources(resources, plane)?;
        let grant = |resource: &Arc<Resource>| Grant { resource: resource.name.to_string(), allow: allow.clone() };
        self.page.add_client(client, &resources.iter().map(grant).collect::<Vec<_>>());
        self.reread()
    }

    /// The resources that a new client may call.
    fn resources(&self, named: &[String], plane: Option<Plane>) -> Result<Vec<Arc<Resource>>, Mistakes> {
        let of_plane = |resource: &&Arc<Resource>| plane.is_none_or(|plane| resource.plane == plane);
        let all = self.settings.resources.iter().filter(of_plane);
        let names = || all.clone().map(|resource| &*resource.name).collect::<Vec<_>>().join(", ");
        if named.is_empty() {
            let all: Vec<_> = all.clone().cloned().collect();
            return match all.len() {
                1 => Ok(all),
                0 => Err(refused("--plane", "the settings have no resource of it")),
                _ => Err(refused(
                    "--resource",
                    format!("is missing: the client is new; name what it may call: {}", names()),
                )),
            };
        }
        let find = |name: &String| {
            let resource = all.clone().find(|resource| *resource.name == **name).cloned();
            resource.ok_or_else(|| refused("--resource", format!("must be one of: {}", names())))
        };
        named.iter().map(find).collect()
    }

    /// How a key of this client looks.
    pub(super) fn shape(&self, client: &str, looks: Looks) -> Result<Shape, Mistakes> {
        if let Some(shape) = looks.shape.or(looks.plane.map(Shape::of)) {
            return Ok(shape);
        }
        let planes: BTreeSet<_> = self.planes(client).into_iter().map(Plane::name).collect();
        match self.planes(client)[..] {
            [plane, ..] if planes.len() == 1 => Ok(Shape::of(plane)),
            _ => Err(refused(
                "--plane",
                format!("is missing: {client} may call both; say whose keys its key looks like"),
            )),
        }
    }

    /// Lists a key, by its digest; gives the id that it has.
    pub(super) fn enter(&mut self, client: &str, key: &str, labels: &Labels) -> Result<String, Mistakes> {
        let id = match &labels.id {
            Some(id) => {
                check_name("--id", id)?;
                if let Some(other) = self.keys.each().into_iter().find(|key| *key.id == **id) {
                    return Err(refused("--id", format!("is the id of a key of {} already", other.client.name)));
                }
                id.clone()
            }
            None => self.free_id(&format!("{client}-{}", self.now.date())),
        };
        let Particulars { expires, note } = &labels.particulars;
        if expires.is_some_and(|expires| expires <= self.now) {
            return Err(refused("--expires", "is in the past"));
        }
        let mut fields: Fields = vec![
            ("id", id.as_str().into()),
            ("sha256", Digest::of(key.as_bytes()).to_string().into()),
            ("created", moment(self.now)?),
        ];
        if let Some(expires) = expires {
            fields.push(("expires", moment(*expires)?));
        }
        if let Some(note) = note {
            if note.is_empty() || note.chars().any(char::is_control) {
                return Err(refused("--note", "must be one line of text"));
            }
            fields.push(("note", note.as_str().into()));
        }
        self.page.add_key(client, fields).ok_or_else(|| self.uneditable())?;
        self.reread()?;
        Ok(id)
    }

    /// An id that no key has yet.
    pub(super) fn free_id(&self, wanted: &str) -> String {
        let taken: BTreeSet<_> = self.keys.each().into_iter().map(|key| &*key.id).collect();
        let mut more = (2..).map(|n: u32| format!("{wanted}-{n}"));
        let first = Some(wanted.to_owned()).filter(|id| !taken.contains(&**id));
        first.or_else(|| more.find(|id| !taken.contains(&**id))).unwrap_or_default()
    }

    /// Writes a field of a key.
    pub(super) fn set(&mut self, key: &Key, field: &str, value: Value) -> Result<(), Mistakes> {
        self.page.set(&key.client.name, &key.id, field, value).ok_or_else(|| self.uneditable())
    }

    /// Writes when a key expires.
    pub(super) fn set_expires(&mut self, key: &Key, at: OffsetDateTime) -> Result<(), Mistakes> {
        self.set(key, "expires", moment(at)?)?;
        self.reread()
    }

    pub(super) fn uneditable(&self) -> Mistakes {
        Mistakes::of_file(self.file.name(), "is written in a way that cannot be edited: do it by hand")
    }

    /// The key with this id.
    pub(super) fn key(&self, id: &str) -> Result<Arc<Key>, Mistakes> {
        let key = self.keys.each().into_iter().find(|key| *key.id == *id);
        key.cloned().ok_or_else(|| refused("KEY-ID", "is no key's: keyswap keys list shows them all"))
    }

    /// The client's keys that are good, or will be.
    pub(super) fn live(&self, client: &str) -> Vec<Arc<Key>> {
        let keys = self.keys.each().into_iter().filter(|key| *key.client.name == *client);
        keys.filter(|key| key.lives_at(SystemTime::from(self.now))).cloned().collect()
    }

    /// That there is such a client.
    pub(super) fn known(&self, client: &str) -> Result<(), Mistakes> {
        let fix = "is no client: keyswap keys list shows them all, keyswap keys new adds one";
        if self.is_known(client) { Ok(()) } else { Err(refused("CLIENT", fix)) }
    }

    pub(super) fn is_known(&self, client: &str) -> bool {
        self.page.has_client(client)
    }

    fn planes(&self, client: &str) -> Vec<Plane> {
        let granted = self.page.resources_of(client);
        let of_name = |name: &String| self.settings.resource(name).map(|resource| resource.plane);
        granted.iter().filter_map(of_name).collect()
    }

    /// Reads the page as it has become; the server would, too.
    pub(super) fn reread(&mut self) -> Result<(), Mistakes> {
        self.keys = Keys::parse(&self.as_it_would_be(), &self.page.text(), &self.settings)?;
        Ok(())
    }
}

/// What can stand in a log, a shell and a table as it is.
fn check_name(place: &str, name: &str) -> Result<(), Mistakes> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) || name.starts_with('-') {
        return Err(refused(place, "must be made of letters, digits and - _ . @, and not begin with a hyphen"));
    }
    Ok(())
}

fn has_grants(client: &str) -> String {
    format!("{client} is there, and has grants already: change those in the file")
}

/// A moment as the file has it.
fn moment(at: OffsetDateTime) -> Result<Value, Mistakes> {
    let moment: Option<toml_edit::Datetime> = written(at).parse().ok();
    moment.map(Value::from).ok_or_else(|| refused("DATE", "cannot be written: years have four digits"))
}
