//! Azure OpenAI, Azure AI Search and Entra on loopback, with keys disabled: to test clients and
//! gateways that work without keys.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use azure_emulator::{Door, Emulator, Fault, Options, Plane};
//!
//! let emulator = Emulator::start(Options::default()).await?;
//! let upstream = emulator.openai(Door::Behind); // https://127.0.0.1:P, trusted by `ca_pem`
//! emulator.next(Plane::OpenAi, Fault::named("A1.12"), 1)?; // the next answer is a 429
//! # let _ = upstream;
//! assert!(emulator.journal().violations().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # The map
//!
//! A request walks `doors` -> `exchange` -> a plane -> `delivery`:
//!
//! - `scene` opens all listeners and knows who stands where;
//! - `doors` accepts and speaks TLS, HTTP/1.1 or HTTP/2, over a `wire` that can be cut;
//! - `exchange` opens a [`Journal`] entry (and notes a *violation*, see `credentials`), takes
//!   what is to be answered next from `faults`, reads the body, asks the plane;
//! - the planes are `openai`, `search`, `entra` and `identity_endpoint`. The first two are each a
//!   table of operations: to add one, add a line; `azure_cli` writes what a developer's tool prints;
//! - `delivery` sends the answer, in the pieces that `hostile` cuts, to where a fault ends it; where the
//!   answer opens a `websocket`, the connection goes on in it.
//!
//! All doors share one `azure`: the `directory` (applications, roles, tokens), the indexes, the
//! journal, the faults. `control` offers the same over plain HTTP. `lenient` reads requests as a
//! careless server would.
//!
//! # Invariants
//!
//! 1. It knows nothing of any gateway. It was written from one page of facts about Azure, whose
//!    rows the code names: A1.12, B1.7, H14.
//! 2. No client credential is ever accepted, but at [`Door::KeysEnabled`].
//! 3. It listens on loopback, unless it is told another address (IMDS may also have its own
//!    link-local one); its keys and certificates are new at each start, and nothing is kept.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

mod scene;
mod doors;
mod wire;
mod exchange;
mod credentials;
mod faults;
mod journal;
mod openai;
mod search;
mod lenient;
mod entra;
mod identity_endpoint;
mod azure_cli;
mod answer;
mod delivery;
mod websocket;
mod hostile;
mod control;
mod azure;
mod directory;
mod options;
mod certificates;
mod target;
mod clock;
mod entropy;

pub use certificates::Certificate;
pub use directory::{App, ManagedIdentity, Role, ServiceAccountToken};
pub use faults::{Fault, UnknownFault, names as fault_names};
pub use identity_endpoint::IdentityEndpoint;
pub use journal::{Entry, Journal, Websocket};
pub use options::{
    ClientKeys, Cloud, FixedTokens, Options, SearchBearerRefusal, SearchKeyRefusal, SearchNoCredential,
    SearchRoleRefusal, SearchStack, UnknownDeployment,
};
pub use scene::{Doors, Scene};

use azure::Azure;
use certificates::Certificates;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// Azure OpenAI.
    OpenAi,
    /// Azure AI Search.
    Search,
    /// Entra's token endpoint.
    Entra,
    /// The identity endpoint of App Service.
    Identity,
    /// The instance metadata service of a virtual machine.
    Imds,
}

/// How a plane can be reached. All doors of a plane show the same resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// Keys disabled. A gateway's upstream: no client credential may ever arrive here.
    Behind,
    /// The same behaviour, for who goes straight to the resource.
    Direct,
    /// What a legacy client used to get: keys work, and so do tokens.
    KeysEnabled,
    /// Keys disabled, and requests are read as a careless server reads them.
    Lenient,
}

/// A running emulator. Dropping it ends everything.
pub struct Emulator {
    azure: Arc<Azure>,
    scene: Scene,
    gateway: Certificate,
    /// The accept loops; each owns its connections.
    listeners: JoinSet<()>,
}

impl Emulator {
    /// Starts, on free loopback ports if nothing else is said. Needs a tokio runtime with I/O and time, and runs as long
    /// as that runtime does.
    ///
    /// # Errors
    ///
    /// A port or a certificate could not be had, or [`Options::imds`] is an address that is
    /// neither loopback nor 169.254.169.254.
    pub async fn start(options: Options) -> io::Result<Self> {
        let certificates = Certificates::generate(options.host.as_deref())?;
        let azure = Arc::new(Azure::new(options));
        let (scene, listeners) = scene::open(&azure, &certificates).await?;
        Ok(Self { azure, scene, gateway: certificates.gateway, listeners })
    }

    /// Everything that a client needs to know, in one value that can be printed as JSON.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Entra's authority host: `https://127.0.0.1:P`.
    #[must_use]
    pub fn entra(&self) -> String {
        self.scene.entra.clone()
    }

    /// The certificate of the authority that all TLS doors have theirs from.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.scene.ca_pem
    }

    /// A certificate of the same authority, for a gateway between a client and the doors: who trusts
    /// [`Emulator::ca_pem`] trusts both.
    #[must_use]
    pub fn gateway_certificate(&self) -> &Certificate {
        &self.gateway
    }

    /// What an App Service tells its programs (C3).
    #[must_use]
    pub fn identity_endpoint(&self) -> IdentityEndpoint {
        self.scene.identity.clone()
    }

    /// IMDS (C2) on a loopback port: `http://127.0.0.1:P`. See also [`Options::imds`].
    #[must_use]
    pub fn imds(&self) -> String {
        self.scene.imds.clone()
    }

    /// An application that holds every role.
    #[must_use]
    pub fn app(&self) -> App {
        self.scene.app.clone()
    }

    /// An application that holds *Search Index Data Reader* and nothing else.
    #[must_use]
    pub fn reader_app(&self) -> App {
        self.scene.reader_app.clone()
    }

    /// The system-assigned managed identity: it holds every role. The two applications can also
    /// be asked for as user-assigned identities, by client id or object id.
    #[must_use]
    pub fn system_identity(&self) -> ManagedIdentity {
        self.scene.system_identity.clone()
    }

    /// The keys that [`Door::KeysEnabled`] takes.
    #[must_use]
    pub fn keys(&self) -> ClientKeys {
        self.scene.keys.clone()
    }

    /// The base URL of Azure OpenAI at `door`: `https://127.0.0.1:P`.
    #[must_use]
    pub fn openai(&self, door: Door) -> String {
        self.scene.openai.url(door).to_owned()
    }

    /// The base URL of Azure AI Search at `door`: `https://127.0.0.1:P`.
    #[must_use]
    pub fn search(&self, door: Door) -> String {
        self.scene.search.url(door).to_owned()
    }

    /// The control port: `http://127.0.0.1:P`.
    #[must_use]
    pub fn control(&self) -> String {
        self.scene.control.clone()
    }

    /// What arrived so far.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.azure.journal
    }

    /// Answers the next `times` requests to `plane` (at whatever door) with `fault`. Faults queue
    /// up: the oldest one that fits a request is used first.
    ///
    /// # Errors
    ///
    /// The plane knows no fault of that name; the error lists those it knows.
    pub fn next(&self, plane: Plane, fault: Fault, times: u32) -> Result<(), UnknownFault> {
        self.azure.faults.push(plane, fault, times)
    }

    /// Forgets the faults that nothing used yet.
    pub fn clear_faults(&self) {
        self.azure.faults.clear();
    }

    /// Forgets those of one plane: it is well again, and the others go on failing.
    pub fn clear_faults_of(&self, plane: Plane) {
        self.azure.faults.clear_of(plane);
    }

    /// How long tokens live that are issued from now on, in whole seconds.
    pub fn set_token_life(&self, life: Duration) {
        self.azure.directory.set_token_life(life);
    }

    /// All tokens issued so far are invalid from now on (fixed tokens excepted).
    pub fn revoke_tokens(&self) {
        self.azure.directory.revoke();
    }

    /// Uploads a certificate to an application, which may prove itself with the certificate's key from now on (C6).
    ///
    /// # Errors
    ///
    /// The text holds no certificate in PEM.
    pub fn upload_certificate(&self, app: &App, pem: &str) -> io::Result<()> {
        self.azure.directory.upload(&app.client_id, pem).map_err(io::Error::other)
    }

    /// From now on an application takes the tokens of this service account, of the emulator's one cluster, for its own
    /// credential (C4).
    pub fn federate(&self, app: &App, subject: &str) {
        self.azure.directory.federate(&app.client_id, subject);
    }

    /// A token as the cluster projects it into a pod's file.
    ///
    /// # Errors
    ///
    /// No key could be made.
    pub fn service_account_token(&self, token: &ServiceAccountToken) -> io::Result<String> {
        self.azure.directory.service_account_token(token).map_err(io::Error::other)
    }

    /// What `az account get-access-token --output json` prints for somebody who is logged in and may do all that
    /// [`Emulator::app`] may; `resource` is a scope without its `/.default`.
    #[must_use]
    pub fn azure_cli_output(&self, resource: &str) -> String {
        azure_cli::output(&self.azure, resource)
    }

    /// Gives or takes a role, at once.
    pub fn set_role(&self, object_id: &str, role: Role, assigned: bool) {
        self.azure.directory.set_role(object_id, role, assigned);
    }

    /// Ends all listeners and connections, and returns when they are gone.
    pub async fn shutdown(mut self) {
        self.listeners.shutdown().await;
    }
}

/// What [`Door::Lenient`] would take a request for, without asking it: the name of the operation as the journal has it,
/// and the deployment, index or other thing that the path names, in lower case. `None` if no careless server would do
/// anything, or at a plane that has no doors.
///
/// ```
/// use azure_emulator::{Plane, careless_reading};
///
/// let request = hyper::Request::post("/indexes/Hotels/docs/%2569ndex;x").body(()).unwrap();
/// let read = careless_reading(Plane::Search, &request);
/// assert_eq!(read, Some(("docs-index", Some("hotels".to_owned()))));
/// ```
#[must_use]
pub fn careless_reading<B>(plane: Plane, request: &hyper::Request<B>) -> Option<(&'static str, Option<String>)> {
    let query = request.uri().query().unwrap_or_default();
    let reading = lenient::read(request.method(), request.uri().path(), query, request.headers());
    match plane {
        Plane::OpenAi => openai::recognise_leniently(&reading),
        Plane::Search => search::recognise_leniently(reading),
        Plane::Entra | Plane::Identity | Plane::Imds => None,
    }
}

/// What the other doors would take it for, whether or not they serve it.
#[must_use]
pub fn strict_reading<B>(plane: Plane, request: &hyper::Request<B>) -> Option<(&'static str, Option<String>)> {
    match plane {
        Plane::OpenAi => openai::recognise(request.method(), request.uri().path()),
        Plane::Search => search::recognise(request.method(), request.uri().path()),
        Plane::Entra | Plane::Identity | Plane::Imds => None,
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Emulator").field("control", &self.scene.control).finish_non_exhaustive()
    }
}

impl fmt::Display for Plane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OpenAi => "openai",
            Self::Search => "search",
            Self::Entra => "entra",
            Self::Identity => "identity",
            Self::Imds => "imds",
        })
    }
}
