//! What keyswap itself has to say: a [`Refusal`] where we said no, a [`Failure`] where something broke.
//!
//! A step of the walk returns one with `?`; [`crate::dialect`] alone knows the words, and [`crate::swap`] alone
//! renders and logs them. What an operator can do about one, it says itself: the cures of Azure's faults are in
//! [`crate::fault`], all others here.

mod cure;

use std::fmt;
use std::sync::Arc;

use crate::family::Family;
use crate::fault::Fault;
use crate::plane::Access;
pub(crate) use cure::Circumstances;

/// We said no. Every refusal is decided before anything is completed upstream; all but those that depend on the body,
/// before anything is sent there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request is no HTTP that we can read: its head, or how its body is framed.
    NotHttp,
    /// The head has more bytes or fields than we take.
    HeadTooLarge,
    /// The head's first line alone has more bytes than we take.
    UrlTooLong,
    /// A browser asks for a web page of an origin that the settings do not name.
    OriginNotListed,
    /// The path belongs to no plane.
    NoPlane,
    /// The request can be read in two ways, says one thing twice, or would give away what is ours; the text says which.
    Ambiguous(&'static str),
    /// The request brings no credential.
    NoCredential,
    /// The key is not on the list, or no longer, or not yet. The caller cannot tell which; the log can.
    UnknownKey(UnknownKey),
    /// The request brings an Entra token of its own, where keys are expected.
    ClientToken,
    /// The request brings such a token, and names none of the several resources that take them.
    NoTokensResource,
    /// An admin key of Search stands in the URL, where Azure takes query keys alone.
    AdminKeyInUrl,
    /// The client has no grant on a resource of this plane.
    NoResource,
    /// The connection was made for one resource, and the request names another.
    Misdirected,
    /// The request brings our own token: it left us, and has come back.
    CameBack,
    /// The request names a resource on which the client has no grant, whether or not there is one of that name.
    ResourceNotGranted(String),
    /// The request names a resource of the other plane than its path's.
    OtherPlane(Arc<str>),
    /// The client may use these resources of this plane, and the request names none.
    SeveralResources(Vec<Arc<str>>),
    /// The operation belongs to no family, so that no grant can cover it.
    NoFamily,
    /// The client's grants do not hold this family.
    FamilyNotGranted(Family),
    /// The client's grants hold this family, but no operations of it that reach so deep.
    AccessNotGranted(Family, Access),
    /// The client's grants do not cover this deployment or index; `None` where the request names none in its path
    /// and the grant is limited to some.
    TargetNotGranted(Option<String>),
    /// The client's grants are limited to some deployments, and the body does not say clearly which one it is for; the
    /// text says why.
    ModelUnclear(&'static str),
    /// The client sent nothing more of the body for too long, and the upstream request was broken off.
    SlowBody,
}

/// Why a key is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownKey {
    /// No such key.
    NotListed,
    /// Different keys in one place: whichever is meant, it is not said.
    Several,
    /// A key of ours, at the wrong time. In a box: every answer has room for a refusal.
    NotNow(Box<Untimely>),
}

/// A key of ours that is not good now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untimely {
    /// The key's id.
    pub id: Arc<str>,
    /// Whose it is.
    pub client: Arc<str>,
    /// `expired`, `not-yet-valid` or `revoked`.
    pub why: &'static str,
}

/// Something broke on our side or upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Entra refused to give us a token, and asking again will not help.
    TokenRefused {
        /// Its AADSTS code, where it gave one.
        code: Option<Box<str>>,
        /// What cures it, where that can be told from the answer.
        cure: Option<&'static str>,
    },
    /// Entra or the identity endpoint did not give us a token, and may do so soon.
    TokenUnavailable {
        /// What cures it, where that can be told from the answer.
        cure: Option<&'static str>,
    },
    /// The upstream could not be reached; nothing was sent. The text says where it ended.
    Unreachable(String),
    /// The way to the upstream leads back to us; nothing was sent.
    Loop,
    /// The resource has all the connections that it may have, and none became free; nothing was sent.
    Overloaded,
    /// The connection was lost after the request had been sent.
    Lost,
    /// The same, on a connection that had been used before: perhaps the upstream had just closed it.
    LostKept,
    /// The upstream did not answer in time.
    TimedOut,
    /// The upstream sends the client elsewhere. Most clients would take their key along.
    Redirected,
    /// The upstream finds fault with our credentials.
    Fault(Box<Fault>),
}

/// Why a request is answered by us and not by the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// We said no.
    Refused(Refusal),
    /// Something broke.
    Failed(Failure),
    /// A browser asked in advance whether a page may ask, and it may.
    Preflight,
    /// The client went away within its request: whatever it is answered, nobody reads.
    ClientGone,
}

// === impl Refusal ===

impl Refusal {
    /// The stable word for it, in `x-keyswap-reason`, the log and the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotHttp => "not-http",
            Self::HeadTooLarge | Self::UrlTooLong => "head-too-large",
            Self::OriginNotListed => "origin-not-listed",
            Self::NoPlane => "no-plane",
            Self::Ambiguous(_) => "ambiguous",
            Self::NoCredential => "no-credential",
            Self::UnknownKey(_) => "unknown-key",
            Self::ClientToken => "client-token",
            Self::AdminKeyInUrl => "admin-key-in-url",
            Self::NoResource => "no-resource",
            Self::Misdirected => "misdirected",
            Self::CameBack => "loop",
            Self::ResourceNotGranted(_) => "resource-not-granted",
            Self::OtherPlane(_) => "other-plane",
            Self::SeveralResources(_) | Self::NoTokensResource => "several-resources",
            Self::NoFamily => "no-family",
            Self::FamilyNotGranted(_) => "family-not-granted",
            Self::AccessNotGranted(..) => "access-not-granted",
            Self::TargetNotGranted(_) => "target-not-granted",
            Self::ModelUnclear(_) => "model-unclear",
            Self::SlowBody => "slow-body",
        }
    }
}

impl fmt::Display for Refusal {
    /// What the operator should know, in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => f.write_str("the request is not valid HTTP"),
            Self::HeadTooLarge => f.write_str("the head is too large"),
            Self::UrlTooLong => f.write_str("the URL is too long"),
            Self::OriginNotListed => f.write_str("a preflight of an origin that is not listed"),
            Self::NoPlane => f.write_str("the path belongs to no plane"),
            Self::Ambiguous(what) => write!(f, "ambiguous: {what}"),
            Self::NoCredential => f.write_str("no credential"),
            Self::UnknownKey(UnknownKey::NotListed) => f.write_str("the key is not listed"),
            Self::UnknownKey(UnknownKey::Several) => f.write_str("one place has different keys"),
            Self::UnknownKey(UnknownKey::NotNow(key)) => write!(f, "the key {} is {}", key.id, key.why),
            Self::ClientToken => f.write_str("the client brought a token of its own"),
            Self::NoTokensResource => {
                f.write_str("the request names none of the resources that take clients' own tokens")
            }
            Self::AdminKeyInUrl => f.write_str("an admin key in the URL"),
            Self::NoResource => f.write_str("the client has no grant on a resource of this plane"),
            Self::Misdirected => {
                f.write_str("the TLS connection is for one resource, and the Host header names another")
            }
            Self::CameBack => f.write_str("the request brings keyswap's own token: it has come back"),
            Self::ResourceNotGranted(name) => write!(f, "the client has no grant on a resource {name}"),
            Self::OtherPlane(name) => write!(f, "the resource {name} is of the other plane"),
            Self::SeveralResources(names) => {
                write!(f, "the request names none of the resources that the client may use: {}", names.join(", "))
            }
            Self::NoFamily => f.write_str("the operation belongs to no family"),
            Self::FamilyNotGranted(family) => write!(f, "{} is not granted", family.name()),
            Self::AccessNotGranted(family, access) => {
                write!(f, "{} is granted, but not to {}", family.name(), access.name())
            }
            Self::TargetNotGranted(Some(target)) => write!(f, "{target} is not granted"),
            Self::TargetNotGranted(None) => {
                f.write_str("the grant is limited to some names, and the request names none")
            }
            Self::ModelUnclear(what) => write!(f, "the grant is limited to some deployments: {what}"),
            Self::SlowBody => f.write_str("the client sent nothing more of the body for too long"),
        }
    }
}

// === impl Failure ===

impl Failure {
    /// The stable word for it, in `x-keyswap-reason`, the log and the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TokenRefused { .. } => "token-refused",
            Self::TokenUnavailable { .. } => "token-unavailable",
            Self::Unreachable(_) => "upstream-unreachable",
            Self::Loop => "loop",
            Self::Overloaded => "overloaded",
            Self::Lost | Self::LostKept => "upstream-lost",
            Self::TimedOut => "upstream-timed-out",
            Self::Redirected => "upstream-redirect",
            Self::Fault(fault) => fault.reason(),
        }
    }
}

impl fmt::Display for Failure {
    /// What the operator should know, in the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenRefused { code, .. } => {
                write!(f, "no token: Entra refuses it ({})", code.as_deref().unwrap_or("no code"))
            }
            Self::TokenUnavailable { .. } => f.write_str("no token: its issuer cannot be reached or is busy"),
            Self::Unreachable(cause) => write!(f, "the upstream cannot be reached: {cause}"),
            Self::Loop => f.write_str("the way to the upstream leads back to keyswap"),
            Self::Overloaded => f.write_str("every connection that the resource may have is in use"),
            Self::Lost => f.write_str("the upstream connection was lost"),
            Self::LostKept => f.write_str("a kept upstream connection was lost"),
            Self::TimedOut => f.write_str("the upstream did not answer in time"),
            Self::Redirected => f.write_str("the upstream sends the client elsewhere"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

// === impl Verdict ===

impl Verdict {
    /// The stable word for it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.reason(),
            Self::Failed(failure) => failure.reason(),
            Self::Preflight => "preflight",
            Self::ClientGone => "client-gone",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(failure) => failure.fmt(f),
            Self::Preflight => f.write_str("a browser asked in advance"),
            Self::ClientGone => f.write_str("the client went away within its request"),
        }
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
