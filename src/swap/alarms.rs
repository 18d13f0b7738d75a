//! What the operator is told of what broke.
//!
//! A fault of our credentials concerns every request until somebody mends it, and each has its request line: the log names
//! it when it begins, and once a minute as long as it goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, warn};

use crate::fault::Fault;
use crate::refusal::Failure;
use crate::request_line::Record;
use crate::settings::{Identity, IdentityKind, Resource};

/// How far apart the log tells of one fault.
const APART: Duration = Duration::from_secs(60);

/// Tells the operator of upstream authentication faults.
#[derive(Debug)]
pub(super) struct Alarms {
    identities: HashMap<Arc<str>, Arc<Identity>>,
    /// As many as resources have causes, by identity and role: few.
    told: Mutex<Vec<Told>>,
}

/// A fault that was told.
#[derive(Debug)]
struct Told {
    fault: Fault,
    at: Instant,
    /// How many requests met it since.
    untold: u64,
}

// === impl Alarms ===

impl Alarms {
    pub(super) fn of(identities: &[Arc<Identity>]) -> Self {
        let named = identities.iter().map(|identity| (identity.name.clone(), identity.clone()));
        Self { identities: named.collect(), told: Mutex::default() }
    }

    /// Tells of a fault that this request met, if it is time to.
    pub(super) fn tell(&self, fault: &Fault, record: &Record) {
        let Some(untold) = self.due(fault) else { return };
        let known = self.identities.get(&fault.place.identity).map(|identity| &identity.kind);
        let kind = known.map(IdentityKind::name);
        let client_id = known.and_then(IdentityKind::client_id);
        let request = record.id();
        let upstream_request = record.upstream_request().and_then(|id| id.to_str().ok());
        let (resource, host, identity) = (&*fault.place.resource, &*fault.place.host, &*fault.place.identity);
        let principal = fault.principal().or(known.and_then(IdentityKind::object_id));
        let (reason, cure) = (fault.reason(), fault.cure());
        let untold = (untold > 0).then_some(untold);
        error!(
            request,
            upstream_request,
            reason,
            resource,
            host,
            identity,
            kind,
            client_id,
            principal,
            cure,
            untold,
            "upstream authentication fault: {fault}"
        );
    }

    /// Whether it is time to tell of a fault, and then how many requests met it untold.
    fn due(&self, fault: &Fault) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let Some(before) = told.iter_mut().find(|told| told.fault.is_like(fault)) else {
            told.push(Told { fault: fault.clone(), at: now, untold: 0 });
            return Some(0);
        };
        if now.duration_since(before.at) < APART {
            before.untold += 1;
            return None;
        }
        before.at = now;
        Some(std::mem::take(&mut before.untold))
    }
}

/// Tells of whatever else broke; the line of the same request has the rest.
pub(super) fn warn_of(failure: &Failure, record: &Record) {
    let request = record.id();
    let reason = failure.reason();
    let client = record.key.as_ref().map(|key| &*key.client.name);
    let key = record.key.as_ref().map(|key| &*key.id);
    let resource = record.way.as_ref().map(|way| &*way.resource().name);
    warn!(request, reason, client, key, resource, "failed: {failure}");
}

/// Tells once that clients may get links that lead past us.
pub(super) fn warn_of_hidden_links(resource: &Resource) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        let resource = &*resource.name;
        warn!(resource, "an answer came encoded though it was asked for otherwise: its links stay (told once)");
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Family;
    use crate::fault::{Cause, Complaint, Place};
    use crate::plane::{Access, Plane};

    #[test]
    fn a_fault_is_told_when_it_begins_and_then_once_in_a_while() {
        let alarms = Alarms::of(&[]);
        let place = Place {
            plane: Plane::Search,
            resource: "contoso".into(),
            host: "contoso.search.windows.net".to_owned(),
            scope: "https://search.azure.com/.default".into(),
            identity: "app".into(),
            operation: (Family::DocumentsRead, Access::Read),
        };
        let fault = |cause| Fault { complaint: Complaint { cause, said: String::new() }, place: place.clone() };
        assert_eq!(alarms.due(&fault(Cause::Role)), Some(0));
        assert_eq!(alarms.due(&fault(Cause::Role)), None);
        assert_eq!(alarms.due(&fault(Cause::Role)), None);
        assert_eq!(alarms.due(&fault(Cause::Token)), Some(0), "another fault of the same resource");
        alarms.told.lock().unwrap()[0].at -= APART;
        assert_eq!(alarms.due(&fault(Cause::Role)), Some(2));
        assert_eq!(alarms.due(&fault(Cause::Role)), None);
    }
}
