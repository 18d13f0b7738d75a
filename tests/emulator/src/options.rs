//! What one emulator may be told at its start. Where `azure-wire.md` is unsure, there is a setting.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::entropy;

/// The settings of one emulator. [`Options::default`] is the strict, current Azure.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a new token lives. Entra's own answer is 3599 seconds (C1), the default here.
    pub token_life: Duration,
    /// With these, Entra hands out exactly these strings and the planes accept exactly these:
    /// for replays of recorded traffic.
    pub fixed_tokens: Option<FixedTokens>,
    /// What [`Door::KeysEnabled`](crate::Door::KeysEnabled) accepts.
    pub keys: ClientKeys,
    /// Whose audiences the planes accept. Entra gives tokens for all three clouds.
    pub cloud: Cloud,
    /// Entra adds `refresh_in` (half of the life) to its answer (C1: optional field).
    pub refresh_in: bool,
    /// The secret that the App Service identity endpoint wants in `X-IDENTITY-HEADER` (C3).
    pub identity_header: String,
    /// Where to listen. Loopback, unless clients are elsewhere: in other containers of a test network.
    pub listen: IpAddr,
    /// How clients call this machine: the host in all URLs, and a name in the certificate. If none is said, the address
    /// that is listened on.
    pub host: Option<String>,
    /// The first of twelve ports in a row, in the order of [`Scene`](crate::Scene); if none is said, free ones.
    pub first_port: Option<u16>,
    /// Serve IMDS (C2) here as well as on a loopback port: loopback or 169.254.169.254 only.
    pub imds: Option<SocketAddr>,
    /// How Azure OpenAI refuses an unknown deployment (A1.6, H2).
    pub unknown_deployment: UnknownDeployment,
    /// How Azure AI Search, keys disabled, refuses an api-key (B1.5).
    pub key_refusal: SearchKeyRefusal,
    /// How Azure AI Search refuses a request without any credential (B1.3).
    pub no_credential: SearchNoCredential,
    /// How Azure AI Search refuses an invalid bearer token (B1.4).
    pub bearer_refusal: SearchBearerRefusal,
    /// How Azure AI Search refuses a principal without the role (B1.6 to B1.8).
    pub role_refusal: SearchRoleRefusal,
    /// Which of Azure AI Search's two stacks answers (H13).
    pub search_stack: SearchStack,
    /// `$count` starts with a UTF-8 byte order mark, as it did in 2019 (H16).
    pub count_with_bom: bool,
    /// The pause between two pieces of an event stream.
    pub stream_pause: Duration,
    /// How long the first poll for an image says to wait, in whole seconds (H6). The second poll has it, whenever it comes.
    pub image_wait: Duration,
    /// The journal keeps at most this many entries.
    pub journal_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            token_life: Duration::from_secs(3599),
            fixed_tokens: None,
            keys: ClientKeys::default(),
            cloud: Cloud::Public,
            refresh_in: false,
            identity_header: entropy::uuid(),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host: None,
            first_port: None,
            imds: None,
            unknown_deployment: UnknownDeployment::Current,
            key_refusal: SearchKeyRefusal::Empty403,
            no_credential: SearchNoCredential::Empty403,
            bearer_refusal: SearchBearerRefusal::Challenge401,
            role_refusal: SearchRoleRefusal::Json403,
            search_stack: SearchStack::Current,
            count_with_bom: false,
            stream_pause: Duration::from_millis(2),
            image_wait: Duration::from_secs(5),
            journal_limit: 50_000,
        }
    }
}

/// One token for each plane, see [`Options::fixed_tokens`].
#[derive(Clone, Debug, Serialize)]
pub struct FixedTokens {
    /// For the audience of Azure OpenAI.
    pub openai: String,
    /// For the audience of Azure AI Search.
    pub search: String,
}

/// The keys of a legacy client. By default freshly random, in Azure's shapes: 84, 52 and 52
/// letters and digits (A2, B2).
#[derive(Clone, Debug, Serialize)]
pub struct ClientKeys {
    /// The resource key of Azure OpenAI.
    pub openai: String,
    /// An admin key of Azure AI Search: every operation, header only (B2).
    pub search_admin: String,
    /// A query key of Azure AI Search: reads documents, header or query string (B2).
    pub search_query: String,
}

impl Default for ClientKeys {
    fn default() -> Self {
        Self { openai: entropy::key(84), search_admin: entropy::key(52), search_query: entropy::key(52) }
    }
}

/// Which of Azure's clouds the planes belong to (A3 and B3, scopes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cloud {
    /// `azure.com`
    Public,
    /// `azure.us`
    Government,
    /// `azure.cn`
    China,
}

impl Cloud {
    pub(crate) const ALL: [Self; 3] = [Self::Public, Self::Government, Self::China];

    pub(crate) fn domain(self) -> &'static str {
        match self {
            Self::Public => "azure.com",
            Self::Government => "azure.us",
            Self::China => "azure.cn",
        }
    }
}

/// The two wire forms of `DeploymentNotFound` (H2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnknownDeployment {
    /// Chunked, without a content type, 254 indented bytes: seen in 2026.
    Current,
    /// `application/json`, 198 bytes: seen until 2024.
    #[value(name = "until-2024")]
    Until2024,
}

/// B1.5: nobody has recorded what Azure AI Search really says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SearchKeyRefusal {
    /// 403 without a body: the likeliest.
    #[value(name = "403-empty")]
    Empty403,
    /// 403 with the text of B1.1.
    #[value(name = "403-text")]
    Text403,
    /// 401 with the challenge of B1.4.
    #[value(name = "401-challenge")]
    Challenge401,
}

/// B1.3: the documentation says 401, older observations 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SearchNoCredential {
    /// 403 without a body.
    #[value(name = "403-empty")]
    Empty403,
    /// 401 without a body.
    #[value(name = "401-empty")]
    Empty401,
}

/// The service's `aadAuthFailureMode` (B1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SearchBearerRefusal {
    /// `http401WithBearerChallenge`: 401, no body, the challenge.
    #[value(name = "401-challenge")]
    Challenge401,
    /// `http403`: 403 with the body of B1.7.
    #[value(name = "403-json")]
    Json403,
}

/// A valid principal without the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SearchRoleRefusal {
    /// B1.7: 403 `Authorization failed.`
    #[value(name = "403-json")]
    Json403,
    /// B1.6: 403 without a body.
    #[value(name = "403-empty")]
    Empty403,
    /// B1.8: 403 in plain text.
    #[value(name = "403-text")]
    Text403,
}

/// H13: what the headers of Azure AI Search's answers look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SearchStack {
    /// Chunked, two lines of HSTS, strong etags, errors from a layer of their own.
    Current,
    /// With a length, one line of HSTS, weak etags, errors like successes.
    #[value(name = "until-2022")]
    Until2022,
}
