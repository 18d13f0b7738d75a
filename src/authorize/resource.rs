//! The resource that a request means.

use std::sync::Arc;

use crate::plane::Plane;
use crate::refusal::Refusal;
use crate::route::Route;
use crate::settings::Resource;

/// Settles it, among those that the request may go to: the one whose host it calls, on a connection that was made for
/// no other, or whose name stands before its path, or else the only one of its plane. What is not among them is as good
/// as none.
///
/// # Errors
/// [`Refusal::ResourceNotGranted`], [`Refusal::Misdirected`], [`Refusal::Ambiguous`], [`Refusal::OtherPlane`],
/// [`Refusal::NoResource`] or [`Refusal::SeveralResources`].
pub(super) fn settle<'r>(
    route: &Route,
    open: impl Iterator<Item = &'r Arc<Resource>> + Clone,
) -> Result<&'r Arc<Resource>, Refusal> {
    let named = |name: &str| {
        let found = open.clone().find(|resource| &*resource.name == name);
        found.ok_or_else(|| Refusal::ResourceNotGranted(name.to_owned()))
    };
    let connection = route.server_name().map(named).transpose()?;
    let host = route.host().map(named).transpose()?;
    let prefix = route.prefix().map(|prefix| named(prefix.name())).transpose()?;
    if differ(connection, host) {
        return Err(Refusal::Misdirected);
    }
    let host = host.or(connection);
    if differ(host, prefix) {
        return Err(Refusal::Ambiguous("its host names one resource and its path another"));
    }
    match host.or(prefix) {
        Some(resource) if resource.plane == route.plane() => Ok(resource),
        Some(resource) => Err(Refusal::OtherPlane(resource.name.clone())),
        None => only_one(route.plane(), open),
    }
}

fn differ(one: Option<&Arc<Resource>>, other: Option<&Arc<Resource>>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.name != other.name)
}

fn only_one<'r>(
    plane: Plane,
    open: impl Iterator<Item = &'r Arc<Resource>> + Clone,
) -> Result<&'r Arc<Resource>, Refusal> {
    let resources = open.filter(|resource| resource.plane == plane);
    let first = resources.clone().next().ok_or(Refusal::NoResource)?;
    if resources.clone().all(|resource| resource.name == first.name) {
        return Ok(first);
    }
    let mut names: Vec<_> = resources.map(|resource| resource.name.clone()).collect();
    names.sort();
    names.dedup();
    Err(Refusal::SeveralResources(names))
}
