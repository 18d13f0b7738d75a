//! What is seen of one permitted request.

use std::time::SystemTime;

use super::Moment;
use crate::family::Family;
use crate::plane::Access;

/// What is seen of a request that was permitted. It borrows all of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'r> {
    /// When it came.
    pub(crate) at: SystemTime,
    /// As its client wrote it.
    pub(crate) user_agent: &'r [u8],
    pub(crate) path: &'r str,
    pub(crate) query: &'r str,
    pub(crate) resource: &'r str,
    pub(crate) operation: (Family, Access),
    pub(crate) object: Object<'r>,
}

/// What an operation was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object<'r> {
    /// A deployment or an index.
    Named(&'r str),
    /// What the body names, unread.
    InBody,
    /// All of them, or nobody can tell.
    Unnamed,
    /// None.
    Untouched,
}

/// A sum over bytes, eight at a time. Nobody gains by making two requests look like one: it would hide one of his own.
struct Sum(u64);

/// What the client wrote where no name of a version stands in the query: the path says `v1`.
pub(super) const V1: &str = "v1";

impl<'r> Sight<'r> {
    /// A number that only requests of the same hour share, and of them only those that are alike; never 0.
    pub(super) fn sum(&self) -> u64 {
        let mut sum = Sum(Moment::from(self.at).seconds() / 3600);
        sum.add(self.user_agent);
        sum.add(self.api_version().unwrap_or_default().as_bytes());
        sum.add(self.resource.as_bytes());
        let (family, access) = self.operation;
        let (kind, name) = match self.object {
            Object::Named(name) => (0, name),
            Object::InBody => (1, ""),
            Object::Unnamed => (2, ""),
            Object::Untouched => (3, ""),
        };
        sum.number(kind << 16 | (family as u64) << 8 | access as u64);
        sum.add(name.as_bytes());
        sum.0 | 1
    }

    /// The version of Azure's interface that the request is written for, as it says it; none if it says none.
    pub(super) fn api_version(&self) -> Option<&'r str> {
        const NAME: &str = "api-version";
        let value = |parameter: &'r str| {
            let (name, value) = parameter.split_at_checked(NAME.len())?;
            let value = value.strip_prefix('=')?;
            name.eq_ignore_ascii_case(NAME).then_some(value)
        };
        let in_path = || self.path.split('/').any(|segment| segment == V1).then_some(V1);
        if self.query.is_empty() { in_path() } else { self.query.split('&').find_map(value).or_else(in_path) }
    }
}

/// The names of programs and their versions, as a `User-Agent` has them: without comments, and not longer than anybody
/// reads. What stands there instead of a program may be anything.
pub(super) fn products(user_agent: &[u8]) -> String {
    const MOST: usize = 4;
    const LONGEST: usize = 48;
    let is_plain = |word: &&str| {
        word.len() <= LONGEST && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:".contains(&byte))
    };
    let text = std::str::from_utf8(user_agent).unwrap_or_default();
    let before_comment = text.split('(').next().unwrap_or_default();
    before_comment.split_ascii_whitespace().take_while(is_plain).take(MOST).collect::<Vec<_>>().join(" ")
}

/// Whether a text may be a version of Azure's interface: not longer than any, and not as long as any key.
pub(super) fn is_version(text: &str) -> bool {
    text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// Whether a text may be the name of a deployment or an index.
pub(super) fn is_target(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(plain)
}

impl Sum {
    fn number(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn add(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<8>();
        whole.iter().for_each(|bytes| self.number(u64::from_le_bytes(*bytes)));
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.number(u64::from_le_bytes(last));
        // Where one part ends and the next begins.
        self.number(bytes.len() as u64);
    }
}
