//! `keyswap.toml`: what is written in it, and what it means. `config/example.toml` explains every key.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::identity::{Surroundings, identities};
use super::{
    Admin, ByAccess, ClientTimeouts, Cors, Drain, Egress, EgressTimeouts, Guessing, KeySource, Listen, Proxy,
    SecretSource, Settings, Timeouts, UpstreamTimeouts, Usage, days, default_workers, resource, without_brackets,
};
use crate::document::{Document, Mistakes, Section, Value};
use crate::plane::Cloud;

impl Settings {
    /// Reads a `keyswap.toml`. Paths in it are taken from its own directory.
    ///
    /// # Errors
    /// Everything that is wrong with the file, each with its place and its fix.
    pub fn read(file: &Path) -> Result<Self, Mistakes> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Mistakes::of_file(file, format!("cannot be read: {error}")))?;
        Self::parse(file, &text)
    }

    /// Reads `text` as if it were the content of `file`.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, Mistakes> {
        let base = file.parent().unwrap_or(Path::new(""));
        let document = Document::parse(file, text);
        let settings = settings(&document.root(), base, file);
        document.verdict()?;
        settings.ok_or_else(|| Mistakes::of_file(file, "incomplete"))
    }
}

/// `None` only where a mistake was noted.
fn settings(root: &Section<'_>, base: &Path, file: &Path) -> Option<Settings> {
    let cloud = root.get("cloud").map_or(Some(Cloud::default()), |value| value.one_of(Cloud::NAMES));
    let listen = Listen::read(root, base);
    let admin = root.section("admin").map_or(Some(Admin::DEFAULT), |section| Admin::read(&section, base));
    let workers = root.get("workers").map_or(Some(default_workers()), |value| workers(&value));
    let guessing = root.section("guessing").map_or(Some(Guessing::DEFAULT), |section| Guessing::read(&section));
    let cors = root.section("cors").map_or_else(Cors::default, |section| Cors::read(&section));
    let usage = root.section("usage").map_or(Usage::DEFAULT, |section| Usage::read(&section, base, file));
    let drain = root.section("drain").map_or(Drain::DEFAULT, |section| drain(&section));
    let timeouts = root.section("timeouts").map_or(Timeouts::DEFAULT, |section| timeouts(&section));
    let egress = root.section("egress").map_or_else(Egress::default, |section| egress(&section, base));
    let development = root.get("development").map_or(Some(false), |value| value.truth());
    let around = Surroundings { base, cloud: cloud.unwrap_or_default(), development: development.unwrap_or_default() };
    let (declared, identities) = identities(root, around);
    let resources = resource::resources(root, cloud, &declared);
    let keys = root.need("keys", "name the file of the keys, like \"keys.toml\"").and_then(|value| path(&value, base));
    let key_notice = root.get("key_notice_days").map_or(Some(Settings::KEY_NOTICE_DAYS), |value| value.whole(0..=3650));
    Some(Settings {
        listen: listen?,
        admin: admin?,
        workers: workers?,
        timeouts,
        guessing: guessing?,
        cors,
        drain,
        egress,
        resources,
        identities,
        keys: KeySource::Digests(keys?),
        key_notice: days(key_notice?),
        usage,
    })
}

/// How many connections there may be at once, to us or to a resource.
pub(super) fn connections(section: &Section<'_>, default: usize) -> Option<usize> {
    match section.get("connections") {
        Some(value) => usize::try_from(value.whole(1..=65_535)?).ok(),
        None => Some(default),
    }
}

fn timeouts(section: &Section<'_>) -> Timeouts {
    let Timeouts { client, egress, upstream, websocket } = Timeouts::DEFAULT;
    let limit = |key, default| limit(section, key, default);
    Timeouts {
        client: ClientTimeouts {
            first_byte: limit("first_byte", client.first_byte),
            head: limit("head", client.head),
            keep_alive: limit("keep_alive", client.keep_alive),
            write: limit("write", client.write),
        },
        egress: EgressTimeouts { connect: limit("connect", egress.connect), tls: limit("tls", egress.tls) },
        upstream: UpstreamTimeouts {
            answer: limit("answer", upstream.answer),
            stream: limit("stream", upstream.stream),
            wait: limit("wait", upstream.wait),
            idle: limit("idle", upstream.idle),
            age: limit("age", upstream.age),
        },
        websocket: limit("websocket", websocket),
    }
}

/// A time that somebody may take; none at all would be too little for anybody.
pub(super) fn limit(section: &Section<'_>, key: &'static str, default: Duration) -> Duration {
    let limit = duration(section, key, default);
    if let Some(value) = section.get(key).filter(|_| limit.is_zero()) {
        value.wrong("must be longer than nothing: it cannot be switched off");
    }
    limit
}

fn drain(section: &Section<'_>) -> Drain {
    Drain {
        delay: duration(section, "delay", Drain::DEFAULT.delay),
        deadline: duration(section, "deadline", Drain::DEFAULT.deadline),
    }
}

/// The default serves where a mistake is noted, too: the file is refused then.
fn duration(section: &Section<'_>, key: &'static str, default: Duration) -> Duration {
    section.get(key).and_then(|value| value.duration()).unwrap_or(default)
}

/// The port of DNS.
pub(super) const DNS: u16 = 53;

fn egress(section: &Section<'_>, base: &Path) -> Egress {
    Egress {
        ca: section.get("ca").and_then(|value| path(&value, base)),
        resolver: section.get("resolver").and_then(|value| address_with(&value, DNS)),
        proxy: Proxy::read(section, base),
    }
}

/// Where a secret is, by the two settings that can say it.
pub(super) fn secret(file: Option<Value<'_>>, variable: Option<Value<'_>>, base: &Path) -> Option<SecretSource> {
    match (file, variable) {
        (Some(file), None) => path(&file, base).map(SecretSource::File),
        (None, Some(variable)) => Some(SecretSource::Environment(variable.text()?.to_owned())),
        (Some(_), Some(variable)) => {
            variable.wrong("cannot be combined with a file: keep the secret in one place");
            None
        }
        (None, None) => None,
    }
}

/// A name, or a table of names by access.
pub(crate) fn identity(value: &Value<'_>, identities: &[Arc<str>]) -> Option<ByAccess<Arc<str>>> {
    let name = |value: &Value<'_>| {
        let name = value.text()?;
        let found = identities.iter().find(|identity| &***identity == name);
        if found.is_none() {
            value.wrong("names no identity of the settings: add it as a table like [identities.NAME]");
        }
        found.cloned()
    };
    if !value.is_table() {
        return name(value).map(ByAccess::always);
    }
    let section = value.section()?;
    let of = |key| section.need(key, "name an identity for this access").and_then(|value| name(&value));
    let (read, write, manage) = (of("read"), of("write"), of("manage"));
    Some(ByAccess { read: read?, write: write?, manage: manage? })
}

pub(super) fn address(value: &Value<'_>) -> Option<SocketAddr> {
    let address = value.text()?.parse().ok();
    if address.is_none() {
        value.wrong("must be an IP address and a port, like \"127.0.0.1:8080\" or \"[::]:8080\"");
    }
    address
}

/// An address whose port is known, unless it says another.
pub(super) fn address_with(value: &Value<'_>, port: u16) -> Option<SocketAddr> {
    let address = parse_address(value.text()?, port);
    if address.is_none() {
        value.wrong("must be an IP address, with its port if that is another than the usual one: \"10.1.2.3\", \"[fd00::1]:8443\"");
    }
    address
}

/// The same, from a text.
pub(super) fn parse_address(text: &str, port: u16) -> Option<SocketAddr> {
    let alone = || Some(SocketAddr::new(without_brackets(text).parse().ok()?, port));
    text.parse().ok().or_else(alone)
}

pub(super) fn path(value: &Value<'_>, base: &Path) -> Option<PathBuf> {
    value.text().map(|path| base.join(path))
}

fn workers(value: &Value<'_>) -> Option<NonZeroUsize> {
    value.whole(1..=64).and_then(|workers| NonZeroUsize::new(usize::try_from(workers).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plane::Plane;
    use crate::settings::IdentityKind;

    const GOOD: &str = r#"
        keys = "keys.toml"
        [identities.main]
        kind = "managed-identity"
        [resources.contoso]
        endpoint = "https://contoso.openai.azure.com"
        identity = "main"
    "#;

    #[test]
    fn the_least_that_can_be_written() {
        let settings = Settings::parse(Path::new("/etc/keyswap/keyswap.toml"), GOOD).unwrap();
        assert_eq!(settings.listen.http, Some(Listen::DEFAULT_HTTP));
        assert_eq!(settings.keys, KeySource::Digests("/etc/keyswap/keys.toml".into()));
        let contoso = settings.resource("contoso").unwrap();
        assert_eq!(contoso.plane, Plane::OpenAi);
        assert_eq!(&*contoso.scope, "https://cognitiveservices.azure.com/.default");
    }

    #[test]
    fn the_cloud_decides_scope_and_authority_unless_the_resource_does() {
        let text = r#"
            cloud = "us-government"
            keys = "keys.toml"
            [identities.app]
            kind = "client-secret"
            tenant = "t"
            client_id = "c"
            secret_env = "S"
            [resources.a]
            endpoint = "https://a.search.azure.us"
            identity = "app"
            [resources.b]
            endpoint = "https://b.search.azure.us"
            identity = "app"
            scope = "https://search.example/.default"
        "#;
        let settings = Settings::parse(Path::new("keyswap.toml"), text).unwrap();
        assert_eq!(&*settings.resource("a").unwrap().scope, "https://search.azure.us/.default");
        assert_eq!(&*settings.resource("b").unwrap().scope, "https://search.example/.default");
        let IdentityKind::ClientSecret { application, .. } = &settings.identity("app").unwrap().kind else {
            panic!("not a client secret");
        };
        assert_eq!(application.authority, "https://login.microsoftonline.us");
    }

    #[test]
    fn all_mistakes_of_a_file_are_told_at_once() {
        let text = "
keys = \"keys.toml\"
worker = 2
[listen]
https = \"127.0.0.1:8443\"
http = \"8080\"
[drain]
delay = 5
[identities.app]
kind = \"client-secret\"
tenant = \"t\"
[resources.a]
endpoint = \"http://a.example\"
identity = \"app\"
[resources.b]
endpoint = \"https://b.example\"
identity = { read = \"nobody\", write = \"nobody\" }
";
        let mistakes = Settings::parse(Path::new("keyswap.toml"), text).unwrap_err();
        assert_eq!(
            mistakes.to_string(),
            "\
keyswap.toml:3:1: worker: unknown key; known here: admin, cloud, cors, development, drain, egress, guessing, identities, key_notice_days, keys, listen, resources, timeouts, tls, usage, workers
keyswap.toml:5:9: listen.https: needs a certificate: add [tls] with cert and key, or with directory
keyswap.toml:6:8: listen.http: must be an IP address and a port, like \"127.0.0.1:8080\" or \"[::]:8080\"
keyswap.toml:8:9: drain.delay: must be a text in quotes, not a value of type integer
keyswap.toml:9:1: identities.app: has no secret: set secret_file or secret_env
keyswap.toml:9:1: identities.app.client_id: is missing: the application's id
keyswap.toml:13:12: resources.a.endpoint: must begin with https://: a token must not cross a network in the clear
keyswap.toml:15:1: resources.b: needs plane, openai or search: the host is no name of Azure's that tells it
keyswap.toml:17:12: resources.b.identity.manage: is missing: name an identity for this access
keyswap.toml:17:21: resources.b.identity.read: names no identity of the settings: add it as a table like [identities.NAME]
keyswap.toml:17:39: resources.b.identity.write: names no identity of the settings: add it as a table like [identities.NAME]"
        );
    }
}
