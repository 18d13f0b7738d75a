//! Who still needs us? When each key was used, and for what.
//!
//! Each key has its [`Uses`], which every request with it is told to, by any worker. One that is like another within the
//! hour costs a few comparisons there. A [`Book`] has the uses of all keys, goes on from one generation of settings to
//! the next, writes itself to a file beside the path of requests, and is shown as a [`Page`]: the same in that file, at the
//! admin address, and of several replicas together.
//!
//! There are no paths and no queries but their `api-version`, what a client says of itself is cut to the names of programs,
//! and a key is known by the beginning of its digest. That is no secret where keys are made by machines; a word for a key can
//! be guessed and tried against it, and so the file is its owner's alone. It has no salt, since several processes, of which
//! none knows the others, must call a key the same.

mod book;
mod file;
mod moment;
mod page;
mod sight;
mod uses;

pub use book::Book;
pub(crate) use book::Listed;
pub use moment::Moment;
pub use page::{History, KeyUse, Named, Operation, Page, Several, Tally};
pub(crate) use sight::{Object, Sight};
pub(crate) use uses::Uses;
