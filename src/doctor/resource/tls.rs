//! Who stands at the other end: the certificate that is shown, for whom, by whom, until when, and why it is not believed.

use std::time::SystemTime;

use http::uri::Scheme;
use time::OffsetDateTime;

use super::{Finding, Site, Status, Step};
use crate::certificate::{Subject, names};
use crate::doctor::mistrust::Mistrust;
use crate::egress::{Shown, Socket, Unreachable};

/// How many of a certificate's names are shown: Azure's own have dozens.
const NAMES: usize = 8;

const CURE_OF_STRANGER: &str = "If a proxy of yours opens TLS on the way, put its authority's certificate into a PEM file and \
                                set egress.ca to it. If none does, whoever is there is not Azure: see where DNS and routes lead.";

const CURE_OF_OTHER_NAME: &str = "See that the endpoint is spelled as the portal shows it, and that its name, or the resource's \
                                  address, leads to that resource: whoever is there is another.";

const CURE_OF_TERM: &str =
    "Compare this machine's clock. If that is right, whoever shows the certificate has to renew it.";

const CURE_OF_NO_TLS: &str = "Whoever is there speaks no TLS for this name, or something between closes it: see that the \
                              endpoint, its port, and the resource's address lead to the resource.";

const CURE_OF_LOOP: &str = "The way leads back to keyswap, by a forwarded port or a balancer: set egress.resolver to a DNS server \
                            that has not been told that the name is here, or the resource's address to where it is.";

pub(super) async fn look(site: &Site, socket: Socket) -> Step<()> {
    let Site { egress, resource, connector, .. } = site;
    let url = resource.endpoint.url();
    if resource.endpoint.scheme() != &Scheme::HTTPS {
        return (Finding::new("tls", Status::Ok, "none: the endpoint is http, on this machine"), Some(()));
    }
    let witness = egress.witness();
    let secured = connector.before(witness.clone()).secure(url, resource.address, socket).await;
    let shown = witness.seen();
    match secured {
        Ok(_) => (tell(Finding::new("tls", Status::Ok, "trusted"), shown.as_ref()), Some(())),
        Err(why) => {
            let mistrust = shown.as_ref().and_then(|shown| Mistrust::of(shown.verdict.as_ref().err()?));
            let cure = match (&why, mistrust) {
                (Unreachable::Loop(_), _) => CURE_OF_LOOP,
                (_, Some(Mistrust::Authority)) => CURE_OF_STRANGER,
                (_, Some(Mistrust::Name)) => CURE_OF_OTHER_NAME,
                (_, Some(Mistrust::Term)) => CURE_OF_TERM,
                (_, None) => CURE_OF_NO_TLS,
            };
            let finding = Finding::new("tls", Status::Wrong, why.to_string()).cure(cure);
            (tell(finding, shown.as_ref()), None)
        }
    }
}

/// Whose certificate it is, as far as it says so itself.
fn tell(finding: Finding, shown: Option<&Shown>) -> Finding {
    let Some(leaf) = shown.and_then(|shown| shown.chain.first()) else { return finding };
    let mut names: Vec<String> = names(leaf).into_iter().map(String::from).collect();
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    names.extend((more > 0).then(|| format!("and {more} more")));
    let issuers =
        shown.iter().flat_map(|shown| &shown.chain).filter_map(|certificate| Subject::of(certificate)?.issuer);
    let mut issuers: Vec<_> = issuers.collect();
    // A root that is sent along has issued itself.
    issuers.dedup();
    let subject = Subject::of(leaf);
    finding
        .fact("issued_by", Some(issuers.join(", by ")).filter(|issuers| !issuers.is_empty()))
        .fact("from", subject.as_ref().map(|subject| day(subject.begins)))
        .fact("until", subject.as_ref().map(|subject| day(subject.ends)))
        .fact("for", Some(if names.is_empty() { "no DNS name".to_owned() } else { names.join(", ") }))
}

fn day(moment: SystemTime) -> String {
    OffsetDateTime::from(moment).date().to_string()
}
