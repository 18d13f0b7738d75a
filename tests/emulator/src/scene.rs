//! Who stands where: everything that a client of this emulator needs to know, and the listeners
//! behind it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::ServerConfig;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::azure::Azure;
use crate::certificates::Certificates;
use crate::directory::{App, ManagedIdentity};
use crate::doors::Listener;
use crate::exchange::Place;
use crate::identity_endpoint::{self, IdentityEndpoint};
use crate::options::ClientKeys;
use crate::{Door, Plane, control};

/// All addresses and credentials of one emulator. This is what `GET /doors` on the control port
/// and `azure-emulator --json` print.
#[derive(Clone, Debug, Serialize)]
pub struct Scene {
    /// Azure OpenAI.
    pub openai: Doors,
    /// Azure AI Search.
    pub search: Doors,
    /// Entra's authority host.
    pub entra: String,
    /// The App Service identity endpoint.
    pub identity: IdentityEndpoint,
    /// IMDS on loopback.
    pub imds: String,
    /// The control port.
    pub control: String,
    /// The certificate authority.
    pub ca_pem: String,
    /// Holds every role.
    pub app: App,
    /// Holds *Search Index Data Reader* only.
    pub reader_app: App,
    /// Holds every role.
    pub system_identity: ManagedIdentity,
    /// What `keys_enabled` takes.
    pub keys: ClientKeys,
}

/// The base URLs of one plane.
#[derive(Clone, Debug, Serialize)]
pub struct Doors {
    /// [`Door::Behind`]
    pub behind: String,
    /// [`Door::Direct`]
    pub direct: String,
    /// [`Door::KeysEnabled`]
    pub keys_enabled: String,
    /// [`Door::Lenient`]
    pub lenient: String,
}

impl Doors {
    /// The base URL at `door`.
    #[must_use]
    pub fn url(&self, door: Door) -> &str {
        match door {
            Door::Behind => &self.behind,
            Door::Direct => &self.direct,
            Door::KeysEnabled => &self.keys_enabled,
            Door::Lenient => &self.lenient,
        }
    }
}

/// What opening needs, and what it has opened so far.
struct Opening<'a> {
    azure: &'a Arc<Azure>,
    tls: &'a Arc<ServerConfig>,
    listeners: JoinSet<()>,
}

/// Opens all listeners. Each serves, with its connections, until it is dropped from the set.
pub(crate) async fn open(azure: &Arc<Azure>, certificates: &Certificates) -> io::Result<(Scene, JoinSet<()>)> {
    let mut opening = Opening { azure, tls: &certificates.server, listeners: JoinSet::new() };
    let openai = opening.doors(Plane::OpenAi).await?;
    let search = opening.doors(Plane::Search).await?;
    let entra = opening.secure(Plane::Entra, None).await?;
    let identity = opening.plain(Plane::Identity, free()).await?;
    let imds = opening.plain(Plane::Imds, free()).await?;
    if let Some(address) = azure.options.imds {
        opening.plain(Plane::Imds, checked_imds(address)?).await?;
    }
    let control = Listener::at(free()).await?;
    let scene = Scene {
        openai,
        search,
        entra,
        identity: IdentityEndpoint {
            url: format!("{identity}{}", identity_endpoint::APP_SERVICE_PATH),
            header: azure.options.identity_header.clone(),
        },
        imds,
        control: format!("http://{}", control.address),
        ca_pem: certificates.ca_pem.clone(),
        app: azure.directory.app.clone(),
        reader_app: azure.directory.reader_app.clone(),
        system_identity: azure.directory.system_identity.clone(),
        keys: azure.options.keys.clone(),
    };
    opening.listeners.spawn(control::serve(control, Arc::clone(azure), scene.clone()));
    Ok((scene, opening.listeners))
}

/// Any free port on loopback.
fn free() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Where IMDS may listen: its real address exists in a network namespace of one's own.
fn checked_imds(address: SocketAddr) -> io::Result<SocketAddr> {
    let real = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
    if address.ip().is_loopback() || address.ip() == real {
        return Ok(address);
    }
    let text = format!("IMDS can be served on loopback or on {real}, not on {}", address.ip());
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

impl Opening<'_> {
    async fn doors(&mut self, plane: Plane) -> io::Result<Doors> {
        Ok(Doors {
            behind: self.secure(plane, Some(Door::Behind)).await?,
            direct: self.secure(plane, Some(Door::Direct)).await?,
            keys_enabled: self.secure(plane, Some(Door::KeysEnabled)).await?,
            lenient: self.secure(plane, Some(Door::Lenient)).await?,
        })
    }

    /// Over TLS, on a free port; the base URL.
    async fn secure(&mut self, plane: Plane, door: Option<Door>) -> io::Result<String> {
        let listener = Listener::at(free()).await?;
        let url = format!("https://{}", listener.address);
        let tls = Some(Arc::clone(self.tls));
        self.listeners.spawn(listener.serve(Arc::clone(self.azure), Place { plane, door }, tls));
        Ok(url)
    }

    /// Without TLS; the base URL.
    async fn plain(&mut self, plane: Plane, address: SocketAddr) -> io::Result<String> {
        let listener = Listener::at(address).await?;
        let url = format!("http://{}", listener.address);
        let place = Place { plane, door: None };
        self.listeners.spawn(listener.serve(Arc::clone(self.azure), place, None));
        Ok(url)
    }
}
