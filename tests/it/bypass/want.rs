//! The words of the table: who wants what, and how it is refused. The fuzz target reads this file, too.

/// The clients that try, and what they may do.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("query", "{ resource = \"search\", allow = [\"search-query\"] }"),
    ("writer", "{ resource = \"search\" }"),
    ("hotels", "{ resource = \"search\", allow = [\"search-admin\"], indexes = [\"hot*\"] }"),
    ("chat", "{ resource = \"ai\" }"),
    ("gpt-4o", "{ resource = \"ai\", deployments = [\"gpt-4o\"] }"),
    ("reader", "{ resource = \"ai\", allow = [\"openai\"], access = [\"read\"] }"),
    ("all", "{ resource = \"ai\", allow = [\"openai\"] }, { resource = \"search\", allow = [\"search-admin\"] }"),
    (
        "master",
        "{ resource = \"ai\", allow = [\"openai\", \"realtime-secrets\"] }, \
         { resource = \"search\", allow = [\"search-admin\"] }",
    ),
];

/// An operation that is wanted, and the key that may not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// A client of [`KEYS`].
    pub(crate) who: &'static str,
    /// The operation as the emulator's journal names it.
    pub(crate) operation: &'static str,
    /// What it works on, where that is what the key may not.
    pub(crate) subject: Option<&'static str>,
    pub(crate) body: &'static str,
}

/// A try: its name, what is wanted, method and target, headers, what is answered.
pub(crate) type Attempt = (&'static str, &'static Want, &'static str, &'static [(&'static str, &'static str)], Refused);

pub(crate) const fn want(who: &'static str, operation: &'static str, body: &'static str) -> Want {
    Want { who, operation, subject: None, body }
}

pub(crate) const fn on(subject: &'static str, want: Want) -> Want {
    Want { subject: Some(subject), ..want }
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Search: what Azure says to a key that may not.
    WrongKey,
    /// The same, and no key may.
    Nobody,
    /// The request can be read in two ways; how.
    Odd(&'static str),
    /// OpenAI: the family is not granted.
    Family(&'static str),
    /// OpenAI: the family is granted, this access to it is not.
    Access(&'static str, &'static str),
    /// The deployment is not granted, or none is named and the grant is limited.
    Deployment(Option<&'static str>),
    /// The same for an index.
    Index(Option<&'static str>),
    /// OpenAI: no family has the operation.
    NoFamily,
    /// No plane has the path.
    NoPlane,
}
