//! `keys.toml`: clients, the digests of their keys, their grants. `config/keys.example.toml` explains every key.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::expiry::Announcement;
use super::samples::Samples;
use super::{Client, Digest, Grant, Key, Keys, Revoked, Targets};
use crate::document::{Document, Mistakes, Section, Value};
use crate::family::{Families, Family};
use crate::plane::{Access, Plane};
use crate::settings::{ByAccess, Settings, file::identity};

/// Reads `text` as if it were the content of `path`.
pub(super) fn parse(path: &Path, text: &str, settings: &Settings) -> Result<Keys, Mistakes> {
    let document = Document::parse(path, text);
    let keys = keys(&document.root(), settings);
    document.verdict()?;
    Ok(keys)
}

fn keys(root: &Section<'_>, settings: &Settings) -> Keys {
    let samples = Samples::new();
    let mut keys = Keys { notice: settings.key_notice, ..Keys::default() };
    let mut owners = HashMap::new();
    for (name, section) in root.named_sections("clients") {
        let grants = section.need("grants", "say what its keys may do, as tables like [[clients.NAME.grants]]");
        let grants = grants.and_then(|value| value.list()).unwrap_or_default();
        let grants = grants.iter().filter_map(|value| grant(&value.section()?, settings));
        let client = Arc::new(Client { name: name.into(), grants: grants.collect() });
        let announces = section.get("announce_expiry").and_then(|value| value.truth()).unwrap_or_default();
        let written = section.need("keys", "list its keys, as tables like [[clients.NAME.keys]]");
        for value in written.and_then(|value| value.list()).unwrap_or_default() {
            let Some(section) = value.section() else { continue };
            let id = section.need("id", "give it a name for the log").and_then(|value| {
                let id = value.text()?;
                // The log, the metrics and keyswap keys call a key by it.
                if let Some(owner) = owners.insert(id, name) {
                    value.wrong(&format!("is the id of a key of client {owner} already: give each key one of its own"));
                }
                Some(id)
            });
            let Some((digest, mut key)) = key(&section, id, &client, &samples) else { continue };
            if announces {
                key.announcement =
                    key.expires.and_then(|expires| Announcement::of(expires, settings.key_notice)).map(Box::new);
            }
            if let Some(other) = keys.insert(digest, key) {
                let fix =
                    format!("is the same key as {} of client {}: one key, one owner", other.id, other.client.name);
                section.wrong(&fix);
            }
        }
    }
    keys
}

fn key(section: &Section<'_>, id: Option<&str>, client: &Arc<Client>, samples: &Samples) -> Option<(Digest, Key)> {
    let digest = section
        .need("sha256", "write its digest: printf %s \"$KEY\" | sha256sum")
        .and_then(|value| digest(&value, samples));
    let moment = |key| match section.get(key) {
        Some(value) => value.moment().map(|moment| Some(SystemTime::from(moment))),
        None => Some(None),
    };
    let (created, not_before, expires) = (moment("created"), moment("not_before"), moment("expires"));
    let note = match section.get("note") {
        Some(value) => value.text().map(|note| Some(note.into())),
        None => Some(None),
    };
    let revoked = revoked(section);
    let key = Key::new(id?, client.clone());
    if revoked == Some(Revoked::AtOnce) {
        key.cut.cancel();
    }
    let (created, note) = (created?, note?);
    Some((digest?, Key { created, note, not_before: not_before?, expires: expires?, revoked: revoked?, ..key }))
}

/// Whether a key was taken back. It may stay listed: then the log names it where somebody still uses it.
fn revoked(section: &Section<'_>) -> Option<Revoked> {
    let is_said = |key| section.get(key).map_or(Some(false), |value| value.truth());
    let (revoked, cut) = (is_said("revoked"), is_said("cut"));
    match (revoked?, cut?) {
        (false, false) => Some(Revoked::No),
        (true, false) => Some(Revoked::ForRequests),
        (true, true) => Some(Revoked::AtOnce),
        (false, true) => {
            section.wrong("has cut without revoked = true: only what a revoked key began is cut");
            None
        }
    }
}

/// The digest of a key, and not of what is none.
fn digest(value: &Value<'_>, samples: &Samples) -> Option<Digest> {
    let Some(digest) = Digest::parse(value.text()?) else {
        value.wrong("must be the 64 hexadecimal digits of a SHA-256 digest, never the key itself");
        return None;
    };
    if [&b""[..], b"\n", b"\r\n"].map(Digest::of).contains(&digest) {
        value.wrong("is the digest of nothing: the variable that was hashed was empty");
        return None;
    }
    if let Some(sample) = samples.named(&digest) {
        let fix = format!("is the digest of a sample that everybody knows ({sample}): hash a key of your own");
        value.wrong(&fix);
        return None;
    }
    Some(digest)
}

fn grant(section: &Section<'_>, settings: &Settings) -> Option<Grant> {
    let resource = section.need("resource", "name a resource of the settings").and_then(|value| {
        let resource = settings.resource(value.text()?);
        if resource.is_none() {
            value.wrong("names no resource of the settings");
        }
        resource.cloned()
    });
    let plane = resource.as_ref().map(|resource| resource.plane);
    let allow = section.get("allow");
    let mut families = match (&allow, plane) {
        (Some(value), _) => families(value, plane),
        (None, Some(plane)) => Some(Families::default_for(plane)),
        (None, None) => None,
    };
    let access = section.get("access");
    let access = access.map_or(Some(ByAccess::always(true)), |value| accesses(&value, families.as_mut()));
    let targets = targets(section, plane);
    let identities: Vec<_> = settings.identities.iter().map(|identity| identity.name.clone()).collect();
    let identity = match section.get("identity") {
        Some(value) => identity(&value, &identities),
        None => resource.as_ref().map(|resource| resource.identity.clone()),
    };
    Some(Grant { resource: resource?, families: families?, access: access?, targets: targets?, identity: identity? })
}

/// How deep a grant reaches. Families that reach nowhere within it are not granted.
fn accesses(value: &Value<'_>, families: Option<&mut Families>) -> Option<ByAccess<bool>> {
    let listed: Vec<_> = value.list()?.iter().filter_map(|value| value.one_of(Access::NAMES)).collect();
    if let Some(families) = families {
        let within = |family: &Family| family.accesses().iter().any(|access| listed.contains(access));
        let within: Vec<_> = families.iter().filter(within).collect();
        if within.is_empty() {
            value.wrong("leaves nothing of what is allowed: list read, write or manage, or leave it out for all");
        }
        *families = Families::of(&within);
    }
    let granted = |access| listed.contains(&access);
    Some(ByAccess { read: granted(Access::Read), write: granted(Access::Write), manage: granted(Access::Manage) })
}

/// Families and presets, all of the resource's own plane.
fn families(value: &Value<'_>, plane: Option<Plane>) -> Option<Families> {
    let mut families = Families::default();
    for word in value.list()? {
        let Some(text) = word.text() else { continue };
        match named(text, plane) {
            Ok(more) => families = families.and(more),
            Err(fix) => word.wrong(&fix),
        }
    }
    Some(families)
}

/// The families that a word stands for on a plane.
pub(super) fn named(word: &str, plane: Option<Plane>) -> Result<Families, String> {
    let of_plane =
        |families: &[Family]| families.iter().all(|family| plane.is_none_or(|plane| family.plane() == plane));
    let found = Families::named(word);
    found.filter(|families| of_plane(&families.iter().collect::<Vec<_>>())).ok_or_else(|| {
        let families = Family::NAMES.iter().filter(|(_, family)| of_plane(&[*family])).map(|(name, _)| *name);
        let presets = Families::PRESETS.iter().filter(|(_, families)| of_plane(families)).map(|(name, _)| *name);
        let all = families.chain(presets).collect::<Vec<_>>().join(", ");
        format!("must be one of: {all}")
    })
}

/// `deployments` on an OpenAI resource, `indexes` on a Search one; everything if nothing is said.
fn targets(section: &Section<'_>, plane: Option<Plane>) -> Option<Targets> {
    let (own, other) = match plane? {
        Plane::OpenAi => ("deployments", "indexes"),
        Plane::Search => ("indexes", "deployments"),
    };
    if let Some(value) = section.get(other) {
        value.wrong(&format!("is of the other plane: this resource has {own}"));
    }
    let Some(value) = section.get(own) else { return Some(Targets::All) };
    let globs = value.list()?;
    if globs.is_empty() {
        value.wrong("covers nothing: list names or globs like \"gpt-4o*\", or leave it out for all");
    }
    let globs: Vec<_> = globs.iter().filter_map(|glob| glob.text()).collect();
    Some(Targets::fitting(globs))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One resource of each plane, and two identities.
    pub(crate) const SETTINGS: &str = r#"
        keys = "keys.toml"
        [identities.main]
        kind = "managed-identity"
        [identities.reader]
        kind = "managed-identity"
        client_id = "r"
        [resources.ai]
        endpoint = "https://contoso.openai.azure.com"
        identity = "main"
        [resources.search]
        endpoint = "https://contoso.search.windows.net"
        identity = "main"
    "#;

    fn read(text: &str) -> Result<Keys, Mistakes> {
        let settings = Settings::parse(Path::new("keyswap.toml"), SETTINGS)?;
        parse(Path::new("keys.toml"), text, &settings)
    }

    #[test]
    fn a_grant_defaults_to_inference_and_documents_on_every_name() {
        let keys = read(
            r#"
            [clients.app]
            keys = [{ id = "one", sha256 = "8fa3aab2faa9b79e0a0398da5b5abd0780142442a5be80b9a64608d718cb1fcd" }]
            grants = [{ resource = "ai" }, { resource = "search", identity = "reader" }]
            "#,
        )
        .unwrap();
        let key = keys.find(b"a key").expect("the key");
        let [ai, search] = &key.client.grants[..] else { panic!("two grants") };
        assert_eq!(ai.families, Families::of(&[Family::Inference]));
        assert_eq!(search.families, Families::of(&[Family::DocumentsRead, Family::DocumentsWrite]));
        assert!(ai.targets.cover(None));
        assert_eq!(&*ai.identity.read, "main");
        assert_eq!(&*search.identity.read, "reader");
        assert!(keys.find(b"A key").is_none());
    }

    #[test]
    fn all_mistakes_of_a_file_are_told_at_once() {
        let mistakes = read(
            r#"
[[clients.app.keys]]
id = "one"
sha256 = "example"
expires = 2027-01-31
[[clients.app.grants]]
resource = "ai"
allow = ["inference", "documents-read", "all"]
indexes = ["x"]
[[clients.app.grants]]
resource = "other"
[[clients.app.grants]]
resource = "search"
allow = ["documents-read"]
access = ["write", "all"]
[clients.two]
grants = []
keys = [
  { id = "a", sha256 = "8fa3aab2faa9b79e0a0398da5b5abd0780142442a5be80b9a64608d718cb1fcd" },
  { id = "b", sha256 = "8fa3aab2faa9b79e0a0398da5b5abd0780142442a5be80b9a64608d718cb1fcd", remark = "x" },
  { id = "c", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
  { id = "d", sha256 = "a90d808d3f083069c408d90cae3e55dee28bb704b4ddd1faa729326db1e7a61e" },
  { id = "e", sha256 = "295583d68e400f6a932311453bd3fdae3bf07eaf07f9b2066b61687599ab8cc0" },
]
"#,
        )
        .unwrap_err();
        assert_eq!(
            mistakes.to_string(),
            "\
keys.toml:4:10: clients.app.keys[0].sha256: must be the 64 hexadecimal digits of a SHA-256 digest, never the key itself
keys.toml:5:11: clients.app.keys[0].expires: must be a full date and time with its offset, like 2027-01-31T00:00:00Z
keys.toml:8:23: clients.app.grants[0].allow[1]: must be one of: inference, responses, files, batches, assistants, fine-tuning, evaluations, realtime, realtime-secrets, openai
keys.toml:8:41: clients.app.grants[0].allow[2]: must be one of: inference, responses, files, batches, assistants, fine-tuning, evaluations, realtime, realtime-secrets, openai
keys.toml:9:11: clients.app.grants[0].indexes: is of the other plane: this resource has deployments
keys.toml:11:12: clients.app.grants[1].resource: names no resource of the settings
keys.toml:15:10: clients.app.grants[2].access: leaves nothing of what is allowed: list read, write or manage, or leave it out for all
keys.toml:15:20: clients.app.grants[2].access[1]: must be one of: read, write, manage
keys.toml:20:3: clients.two.keys[1]: is the same key as a of client two: one key, one owner
keys.toml:20:92: clients.two.keys[1].remark: unknown key; known here: created, cut, expires, id, not_before, note, revoked, sha256
keys.toml:21:24: clients.two.keys[2].sha256: is the digest of nothing: the variable that was hashed was empty
keys.toml:22:24: clients.two.keys[3].sha256: is the digest of a sample that everybody knows (<your-api-key>): hash a key of your own
keys.toml:23:24: clients.two.keys[4].sha256: is the digest of a sample that everybody knows (AZURE_OPENAI_API_KEY, and a newline): hash a key of your own"
        );
    }
}
