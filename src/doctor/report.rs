//! What an examination found, for people and for programs.
//!
//! What stands here is shown to anybody: nothing in it is ever a secret, a token, or a piece of one. The JSON is what
//! serde makes of these types; its names are stable.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Everything that was found, in the order of the settings.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was looked at.
    pub sections: Vec<Section>,
}

/// Something that was looked at, and what was found of it.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Which part of the settings it is.
    #[serde(rename = "section")]
    pub subject: Subject,
    /// What the settings make of it, in a line.
    pub what: String,
    /// What was found, in the order in which it was looked for.
    pub findings: Vec<Finding>,
}

/// A part of the settings, by the name of its section there: `egress`, `identities.app`, `resources.contoso`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The way out.
    Egress,
    /// An identity, by its name.
    Identity(Arc<str>),
    /// A resource, by its name.
    Resource(Arc<str>),
}

/// One thing that was looked for.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was looked for, by a stable name: `token`, `clock`, `dns`.
    pub check: &'static str,
    /// Of what, where a section has several: a scope, a family.
    pub of: Option<String>,
    /// How it stands.
    pub status: Status,
    /// What was found, in a line.
    pub found: String,
    /// What that means, where it does not say so itself.
    pub means: Option<String>,
    /// What mends it.
    pub cure: Option<String>,
    /// Commands that mend it or tell more, ready to paste, a line each.
    pub commands: Vec<String>,
    /// What was learnt besides, by stable names, in the order in which to show it.
    #[serde(serialize_with = "as_object")]
    pub facts: Vec<(&'static str, String)>,
}

/// How something stands, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing fails for it now.
    Note,
    /// It could not be found out.
    CannotTell,
    /// Requests fail for it.
    Wrong,
}

// === impl Report ===

impl Report {
    /// How many findings stand so.
    pub fn count(&self, status: Status) -> usize {
        self.sections.iter().flat_map(|section| &section.findings).filter(|finding| finding.status == status).count()
    }

    /// The worst of all findings.
    pub fn verdict(&self) -> Status {
        let all = self.sections.iter().flat_map(|section| &section.findings);
        all.map(|finding| finding.status).max().unwrap_or(Status::Ok)
    }
}

// === impl Section ===

impl Section {
    /// One in which nothing was found yet.
    pub(super) fn new(subject: Subject, what: String) -> Self {
        Self { subject, what, findings: Vec::new() }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(super) fn add_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Nothing depends on it: whatever is wrong is only worth knowing.
    pub(super) fn soften(&mut self) {
        for finding in &mut self.findings {
            if finding.status == Status::Wrong {
                finding.status = Status::Note;
            }
        }
    }
}

// === impl Subject ===

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Egress => f.write_str("egress"),
            Self::Identity(name) => write!(f, "identities.{name}"),
            Self::Resource(name) => write!(f, "resources.{name}"),
        }
    }
}

impl FromStr for Subject {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            None if text == "egress" => Ok(Self::Egress),
            Some(("identities", name)) => Ok(Self::Identity(name.into())),
            Some(("resources", name)) => Ok(Self::Resource(name.into())),
            _ => Err("must be a section of the settings: egress, identities.NAME or resources.NAME"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl Finding ===

impl Finding {
    /// That this stands so, as was found.
    pub(super) fn new(check: &'static str, status: Status, found: impl Into<String>) -> Self {
        let (of, means, cure) = (None, None, None);
        Self { check, of, status, found: found.into(), means, cure, commands: Vec::new(), facts: Vec::new() }
    }

    /// Of this, among several.
    pub(super) fn of(mut self, what: impl Into<String>) -> Self {
        self.of = Some(what.into());
        self
    }

    /// Which means this.
    pub(super) fn means(mut self, what: impl Into<String>) -> Self {
        self.means = Some(what.into());
        self
    }

    /// Which this mends.
    pub(super) fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// With this command, ready to paste.
    pub(super) fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// From which this was learnt, too; nothing where there is no value.
    pub(super) fn fact(mut self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        self.facts.extend(value.map(|value| (name, value.into())));
        self
    }
}

/// Facts as a program reads them: an object, in their order.
fn as_object<S: Serializer>(facts: &[(&'static str, String)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(facts.len()))?;
    for (name, value) in facts {
        object.serialize_entry(name, value)?;
    }
    object.end()
}

// === impl Status ===

impl Status {
    /// By name, from good to bad, as JSON has it.
    pub const NAMES: &[(&str, Self)] =
        &[("ok", Self::Ok), ("note", Self::Note), ("cannot-tell", Self::CannotTell), ("wrong", Self::Wrong)];
}
