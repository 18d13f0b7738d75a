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
    /// The port of the next listener; `None` is any that is free.
    next_port: Option<u16>,
    listeners: JoinSet<()>,
}

/// Opens all listeners. Each serves, with its connections, until it is dropped from the set.
pub(crate) async fn open(azure: &Arc<Azure>, certificates: &Certificates) -> io::Result<(Scene, JoinSet<()>)> {
    let mut opening =
        Opening { azure, tls: &certificates.server, next_port: azure.options.first_port, listeners: JoinSet::new() };
    let openai = opening.doors(Plane::OpenAi).await?;
    let search = opening.doors(Plane::Search).await?;
    let entra = opening.secure(Plane::Entra, None).await?;
    let identity = opening.plain(Plane::Identity).await?;
    let imds = opening.plain(Plane::Imds).await?;
    if let Some(address) = azure.options.imds {
        let listener = Listener::at(checked_imds(address)?).await?;
        opening.serve(listener, Place { plane: Plane::Imds, door: None }, None);
    }
    let control = opening.next().await?;
    let scene = Scene {
        openai,
        search,
        entra,
        identity: IdentityEndpoint {
            url: format!("{identity}{}", identity_endpoint::APP_SERVICE_PATH),
            header: azure.options.identity_header.clone(),
        },
        imds,
        control: format!("http://{}", opening.authority(&control)),
        ca_pem: certificates.ca_pem.clone(),
        app: azure.directory.app.clone(),
        reader_app: azure.directory.reader_app.clone(),
        system_identity: azure.directory.system_identity.clone(),
        keys: azure.options.keys.clone(),
    };
    opening.listeners.spawn(control::serve(control, Arc::clone(azure), scene.clone()));
    Ok((scene, opening.listeners))
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

    /// Over TLS; the base URL.
    async fn secure(&mut self, plane: Plane, door: Option<Door>) -> io::Result<String> {
        let listener = self.next().await?;
        let url = format!("https://{}", self.authority(&listener));
        self.serve(listener, Place { plane, door }, Some(Arc::clone(self.tls)));
        Ok(url)
    }

    /// Without TLS; the base URL.
    async fn plain(&mut self, plane: Plane) -> io::Result<String> {
        let listener = self.next().await?;
        let url = format!("http://{}", self.authority(&listener));
        self.serve(listener, Place { plane, door: None }, None);
        Ok(url)
    }

    fn serve(&mut self, listener: Listener, place: Place, tls: Option<Arc<ServerConfig>>) {
        self.listeners.spawn(listener.serve(Arc::clone(self.azure), place, tls));
    }

    /// The next listener: in the order of their opening, their ports are in a row.
    async fn next(&mut self) -> io::Result<Listener> {
        let address = SocketAddr::from((self.azure.options.listen, self.next_port.unwrap_or(0)));
        self.next_port = match self.next_port {
            None => None,
            Some(port) => Some(port.checked_add(1).ok_or_else(|| io::Error::other("there is no port beyond 65535"))?),
        };
        Listener::at(address).await.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
    }

    /// What clients call a listener.
    fn authority(&self, listener: &Listener) -> String {
        let port = listener.address.port();
        match &self.azure.options.host {
            Some(host) => format!("{host}:{port}"),
            // What listens everywhere can be called here.
            None if listener.address.ip().is_unspecified() => format!("localhost:{port}"),
            None => listener.address.to_string(),
        }
    }
}
