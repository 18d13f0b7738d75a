//! Families: the operations of a plane that are granted together.
//!
//! A grant never lists paths. It lists families, and an operation belongs to one by rule (see [`crate::route`]),
//! so that an operation which Azure adds tomorrow is covered or refused without a release of ours.

use http::Method;

use crate::plane::{Access, Plane};

/// Operations that are granted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI: chat, completions, embeddings, images and their polling, audio, `/models`, `/anthropic` messages.
    Inference,
    /// OpenAI: the Responses API, which stores by default and can name what other clients stored; stored chats.
    Responses,
    /// OpenAI: files, uploads, vector stores.
    Files,
    /// OpenAI: batches.
    Batches,
    /// OpenAI: assistants, threads and their runs.
    Assistants,
    /// OpenAI: fine-tuning jobs, and deleting the models they made.
    FineTuning,
    /// OpenAI: evaluations.
    Evaluations,
    /// OpenAI: realtime websockets.
    Realtime,
    /// OpenAI: secrets for realtime clients. The answer lets a client go past keyswap.
    RealtimeSecrets,
    /// Search: what a query key may do, and no more (azure-wire, B2).
    DocumentsRead,
    /// Search: uploading, merging and deleting documents.
    DocumentsWrite,
    /// Search: everything else, from indexes to statistics.
    Manage,
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families(u16);

// === impl Family ===

impl Family {
    /// Every family, by the name that settings, logs and metrics use.
    pub const NAMES: &[(&str, Self)] = &[
        ("inference", Self::Inference),
        ("responses", Self::Responses),
        ("files", Self::Files),
        ("batches", Self::Batches),
        ("assistants", Self::Assistants),
        ("fine-tuning", Self::FineTuning),
        ("evaluations", Self::Evaluations),
        ("realtime", Self::Realtime),
        ("realtime-secrets", Self::RealtimeSecrets),
        ("documents-read", Self::DocumentsRead),
        ("documents-write", Self::DocumentsWrite),
        ("manage", Self::Manage),
    ];

    /// The name that settings, logs and metrics use.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, family)| *family == self).map_or("", |(name, _)| name)
    }

    /// The plane whose operations these are.
    pub fn plane(self) -> Plane {
        match self {
            Self::DocumentsRead | Self::DocumentsWrite | Self::Manage => Plane::Search,
            _ => Plane::OpenAi,
        }
    }

    /// How deep an operation of this method reaches; a grant may be narrowed by it, and an identity chosen.
    ///
    /// On OpenAI, looking at what is stored is reading, as it is for Azure's own roles. On Search it is not: definitions
    /// are shown to those alone who may change them (azure-wire, B2).
    pub fn access(self, method: &Method) -> Access {
        let looks = *method == Method::GET || *method == Method::HEAD;
        match self.accesses() {
            [Access::Read, ..] if looks => Access::Read,
            [.., deepest] => *deepest,
            [] => Access::Manage,
        }
    }

    /// How deep its operations may reach, the deepest last.
    pub fn accesses(self) -> &'static [Access] {
        match self {
            Self::Inference | Self::Realtime | Self::DocumentsRead => &[Access::Read],
            Self::Responses | Self::Files | Self::Batches | Self::Assistants => &[Access::Read, Access::Write],
            Self::FineTuning | Self::Evaluations => &[Access::Read, Access::Manage],
            Self::DocumentsWrite => &[Access::Write],
            Self::RealtimeSecrets | Self::Manage => &[Access::Manage],
        }
    }

    /// Whether a grant of it can be limited to some deployments or indexes: its requests say which one they work on, or
    /// work on none. All else is refused to a key that is limited (`route/openai/model.rs` has the table).
    pub fn can_be_limited(self) -> bool {
        !matches!(self, Self::Batches | Self::Assistants | Self::FineTuning | Self::Evaluations | Self::RealtimeSecrets)
    }

    /// Whether its objects live on the resource itself, shared by every client that rides the same identity.
    pub fn is_shared(self) -> bool {
        !matches!(self, Self::Inference | Self::Realtime | Self::DocumentsRead | Self::DocumentsWrite)
    }
}

// === impl Families ===

impl Families {
    /// Named sets. `openai`, `search-admin` and `search-query` are what Azure's own kinds of key may do.
    pub const PRESETS: &[(&str, &[Family])] = &[
        (
            "openai",
            &[
                Family::Inference,
                Family::Responses,
                Family::Files,
                Family::Batches,
                Family::Assistants,
                Family::FineTuning,
                Family::Evaluations,
                Family::Realtime,
            ],
        ),
        ("search-admin", &[Family::DocumentsRead, Family::DocumentsWrite, Family::Manage]),
        ("search-query", &[Family::DocumentsRead]),
    ];

    /// What a grant holds that names no family: inference, or documents.
    pub fn default_for(plane: Plane) -> Self {
        match plane {
            Plane::OpenAi => Self::of(&[Family::Inference]),
            Plane::Search => Self::of(&[Family::DocumentsRead, Family::DocumentsWrite]),
        }
    }

    /// The set of these families.
    pub const fn of(families: &[Family]) -> Self {
        let mut set = Self(0);
        let mut n = 0;
        while n < families.len() {
            set = set.with(families[n]);
            n += 1;
        }
        set
    }

    /// The families that a word in a grant stands for: a family's own name, or a preset's. `None` for any other.
    pub fn named(word: &str) -> Option<Self> {
        let family = Family::NAMES.iter().find(|(name, _)| *name == word);
        let preset = Self::PRESETS.iter().find(|(name, _)| *name == word);
        family.map(|(_, family)| Self::of(&[*family])).or(preset.map(|(_, families)| Self::of(families)))
    }

    /// This set and one family more.
    #[must_use]
    pub const fn with(self, family: Family) -> Self {
        Self(self.0 | 1 << family as u16)
    }

    /// Both sets together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set holds this family.
    pub fn contains(self, family: Family) -> bool {
        self.0 & 1 << family as u16 != 0
    }

    /// The families of the set, in their own order.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::NAMES.iter().map(|(_, family)| *family).filter(move |family| self.contains(*family))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_grant_is_a_family_or_a_preset() {
        assert_eq!(Families::named("files"), Some(Families::of(&[Family::Files])));
        assert_eq!(Families::named("search-query"), Some(Families::of(&[Family::DocumentsRead])));
        assert_eq!(Families::named("everything"), None);
    }

    #[test]
    fn the_openai_preset_cannot_hand_out_a_way_past_us() {
        let openai = Families::named("openai").unwrap();
        assert!(!openai.contains(Family::RealtimeSecrets));
        let missing: Vec<_> = Family::NAMES
            .iter()
            .filter(|(_, family)| family.plane() == Plane::OpenAi && !openai.contains(*family))
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(missing, ["realtime-secrets"]);
    }
}
