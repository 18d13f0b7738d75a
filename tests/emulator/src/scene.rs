//! Who stands where: everything that a client of this emulator needs to know.

use serde::Serialize;

use crate::Door;
use crate::directory::{App, ManagedIdentity};
use crate::identity_endpoint::IdentityEndpoint;
use crate::options::ClientKeys;

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
