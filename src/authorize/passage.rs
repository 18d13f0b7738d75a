//! Where a request may go that brings an Entra token of its client's own. What it may do there is for Azure to say.
//!
//! Nobody has looked at that token: whoever can write one that looks like it comes as far as this. So what is told here
//! names no resource, and one that takes no such tokens is as good as none.

use std::sync::Arc;

use super::resource::settle;
use crate::authenticate::ClientToken;
use crate::refusal::Refusal;
use crate::route::{Prefix, Route};
use crate::settings::{ClientTokens, Resource, Settings};

/// The resources that take clients' own tokens.
#[derive(Clone, Debug)]
pub struct Passages {
    resources: Vec<Arc<Resource>>,
}

/// Leave for one request to go to one resource, with its client's token and with nothing of ours. Made here alone, and as
/// cheap to clone as a permit.
#[derive(Clone, Debug)]
pub struct Passage(Arc<Leave>);

#[derive(Debug)]
struct Leave {
    resource: Arc<Resource>,
    prefix: usize,
    websocket: bool,
    repeatable: bool,
    token: ClientToken,
}

// === impl Passages ===

impl Passages {
    /// Those of the settings.
    pub fn of(settings: &Settings) -> Self {
        let passing = |resource: &&Arc<Resource>| resource.client_tokens == ClientTokens::Pass;
        Self { resources: settings.resources.iter().filter(passing).cloned().collect() }
    }

    /// Settles where a request goes with this token.
    ///
    /// # Errors
    /// [`Refusal::ClientToken`] where no resource that takes it is meant, [`Refusal::NoTokensResource`] where several
    /// could be; [`Refusal::Misdirected`], [`Refusal::Ambiguous`], [`Refusal::NoPlane`].
    pub fn passage(&self, route: &Route, token: ClientToken) -> Result<Passage, Refusal> {
        let resource = settle(route, self.resources.iter()).map_err(|refusal| match refusal {
            Refusal::NoResource | Refusal::ResourceNotGranted(_) => Refusal::ClientToken,
            Refusal::SeveralResources(_) => Refusal::NoTokensResource,
            Refusal::OtherPlane(_) => Refusal::NoPlane,
            other => other,
        })?;
        if !token.is_alone() {
            return Err(Refusal::Ambiguous("it says more in Authorization than one token"));
        }
        let prefix = route.prefix().map_or(0, Prefix::length);
        let (websocket, repeatable) = (route.opens_websocket(), route.is_repeatable());
        Ok(Passage(Arc::new(Leave { resource: resource.clone(), prefix, websocket, repeatable, token })))
    }
}

// === impl Passage ===

impl Passage {
    /// Where the request may go, and nowhere else.
    pub fn resource(&self) -> &Arc<Resource> {
        &self.0.resource
    }

    /// How many bytes at the beginning of the path only named the resource. They are not forwarded.
    pub fn prefix(&self) -> usize {
        self.0.prefix
    }

    /// Whether it opens a websocket there.
    pub fn opens_websocket(&self) -> bool {
        self.0.websocket
    }

    /// Whether it may be carried out twice without harm, as far as its method and path tell.
    pub fn is_repeatable(&self) -> bool {
        self.0.repeatable
    }

    /// What it goes with.
    pub fn token(&self) -> &ClientToken {
        &self.0.token
    }
}
