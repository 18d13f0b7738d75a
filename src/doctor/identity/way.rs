//! Where the way to whoever gives tokens ends, where nobody answered: walked once more, step by step.

use http::uri::{Authority, Uri};

use crate::doctor::Case;
use crate::doctor::egress::NoTunnel;
use crate::doctor::mistrust::Mistrust;
use crate::egress::Unreachable;
use crate::settings::{Application, IdentityKind, Proxy};

/// A walk.
pub(super) struct Way {
    /// Whom it was to.
    pub(super) url: Uri,
    /// The address of the proxy on it, if there is one.
    pub(super) proxy: Option<Authority>,
    /// How far it went.
    pub(super) end: End,
}

/// How far a walk went.
pub(super) enum End {
    /// The name has no address.
    Name,
    /// Nobody takes a connection.
    Connection,
    /// The proxy opens no tunnel.
    Tunnel(NoTunnel),
    /// TLS fails, for this reason if a certificate is it.
    Tls(Option<Mistrust>),
    /// It leads back to us.
    Loop,
    /// To its end: whoever is there says nothing.
    Silence,
}

impl Way {
    /// Walks to the authority of an application. `None` where none is asked.
    pub(super) async fn walk(case: &Case, kind: &IdentityKind) -> Option<Self> {
        let (IdentityKind::WorkloadIdentity { application, .. }
        | IdentityKind::ClientSecret { application, .. }
        | IdentityKind::ClientCertificate { application, .. }) = kind
        else {
            return None;
        };
        let Application { authority, .. } = application;
        let url: Uri = authority.parse().ok()?;
        let proxy = case.settings.egress.proxy.as_ref().filter(|proxy| proxy.serves(url.host().unwrap_or_default()));
        let end = end(case, &url, proxy).await;
        Some(Self { url, proxy: proxy.map(|proxy| proxy.authority.clone()), end })
    }

    pub(super) fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }

    /// Host and port.
    pub(super) fn target(&self) -> String {
        format!("{}:{}", self.host(), self.url.port_u16().unwrap_or(443))
    }
}

async fn end(case: &Case, url: &Uri, proxy: Option<&Proxy>) -> End {
    let witness = case.egress.witness();
    let connector = case.egress.connector().before(witness.clone());
    let at = |why: &Unreachable, end| if matches!(why, Unreachable::Loop(_)) { End::Loop } else { end };
    // What a proxy is asked for, it looks up itself.
    if proxy.is_none()
        && let Err(why) = connector.look_up(url).await
    {
        return at(&why, End::Name);
    }
    let socket = match connector.reach(url, None).await {
        Ok(socket) => socket,
        Err(why) => return at(&why, proxy.map_or(End::Connection, |proxy| End::Tunnel(NoTunnel::of(proxy, &why)))),
    };
    match connector.secure(url, None, socket).await {
        Ok(_) => End::Silence,
        Err(why) => {
            let verdict = witness.seen().and_then(|shown| shown.verdict.err());
            at(&why, End::Tls(verdict.as_ref().and_then(Mistrust::of)))
        }
    }
}
