//! Settings without a file: what a sidecar in front of one team's resources needs, as flags or environment.

mod identity;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, ValueEnum};

use super::file::{DNS, parse_address};
use super::resource::check_name;
use super::{
    Admin, AdminSecretPlace, ByAccess, CertificateFiles, ClientTokens, Cors, Drain, Egress, Endpoint, Guessing, Https,
    Identity, KeySource, Listen, NoProxy, Proxy, Resource, SecretSource, Settings, SocketMode, Timeouts, Tls,
    UnixSocket, Usage, days, default_workers,
};
use crate::document::{Mistake, Mistakes, parse_duration};
use crate::plane::{Cloud, Plane};

/// The flags of a sidecar: one identity, the same grant for every key.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(group(ArgGroup::new("certificates").args(["tls_cert", "tls_directory"]).multiple(true)))]
pub struct Single {
    /// The Azure resource to forward to, like `https://contoso.openai.azure.com`; may be given once for each plane
    #[arg(long, help_heading = headings::UPSTREAM, value_name = "URL", env = "KEYSWAP_UPSTREAM", value_delimiter = ',')]
    pub upstream: Vec<String>,

    /// The plane of an upstream whose host is no name of Azure's that tells it
    #[arg(long, help_heading = headings::UPSTREAM, value_name = "PLANE", env = "KEYSWAP_PLANE")]
    pub plane: Option<PlaneName>,

    /// The Azure cloud: it decides the audience of tokens
    #[arg(long, help_heading = headings::UPSTREAM, value_name = "CLOUD", env = "KEYSWAP_CLOUD")]
    pub cloud: Option<CloudName>,

    /// How tokens are got; always to be named, never guessed
    #[arg(long, help_heading = headings::IDENTITY, value_name = "KIND", env = "KEYSWAP_IDENTITY")]
    pub identity: Option<IdentityName>,

    /// The application's tenant; for a workload identity, `AZURE_TENANT_ID` if not given
    #[arg(long, help_heading = headings::IDENTITY, value_name = "ID", env = "KEYSWAP_TENANT")]
    pub tenant: Option<String>,

    /// The application's id, or the client id of a user-assigned managed identity; for a workload identity,
    /// `AZURE_CLIENT_ID` if not given
    #[arg(long, help_heading = headings::IDENTITY, value_name = "ID", env = "KEYSWAP_CLIENT_ID")]
    pub client_id: Option<String>,

    /// The object id of a user-assigned managed identity
    #[arg(long, help_heading = headings::IDENTITY, value_name = "ID", env = "KEYSWAP_OBJECT_ID", conflicts_with = "client_id")]
    pub object_id: Option<String>,

    /// The file that holds the application's secret; else it is taken from `KEYSWAP_CLIENT_SECRET`
    #[arg(long, help_heading = headings::IDENTITY, value_name = "FILE", env = "KEYSWAP_SECRET_FILE")]
    pub secret_file: Option<PathBuf>,

    /// The application's certificate, PEM, for `--identity client-certificate`; its key may stand in the same file
    #[arg(long, help_heading = headings::IDENTITY, value_name = "FILE", env = "KEYSWAP_CERTIFICATE_FILE")]
    pub certificate_file: Option<PathBuf>,

    /// The key of that certificate, where it has a file of its own
    #[arg(long, help_heading = headings::IDENTITY, value_name = "FILE", env = "KEYSWAP_CERTIFICATE_KEY_FILE", requires = "certificate_file")]
    pub certificate_key_file: Option<PathBuf>,

    /// Show Entra the certificate's chain: where it trusts a subject's name and issuer
    #[arg(long, help_heading = headings::IDENTITY, env = "KEYSWAP_SEND_CHAIN", requires = "certificate_file")]
    pub send_chain: bool,

    /// The file of the service account's token, for `--identity workload-identity`; `AZURE_FEDERATED_TOKEN_FILE` if not
    /// given
    #[arg(long, help_heading = headings::IDENTITY, value_name = "FILE", env = "KEYSWAP_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,

    /// This is no production: `--identity azure-cli` may be used
    // No variable: nobody shall switch it on without knowing.
    #[arg(long, help_heading = headings::IDENTITY)]
    pub development: bool,

    /// Entra's address, where the cloud's own is not meant
    #[arg(long, help_heading = headings::IDENTITY, value_name = "URL", env = "KEYSWAP_AUTHORITY")]
    pub authority: Option<String>,

    /// The file of the keys that clients may use: plain keys, one a line, unreadable for others
    #[arg(long, help_heading = headings::KEYS, value_name = "FILE", env = "KEYSWAP_KEY_FILE")]
    pub key_file: Option<PathBuf>,

    /// What the keys may do: families of operations or presets; by default inference, or documents
    #[arg(long, help_heading = headings::KEYS, value_name = "FAMILY", env = "KEYSWAP_ALLOW", value_delimiter = ',')]
    pub allow: Vec<String>,

    /// The file in which it is written down when and for what each key was used; made if it is not there. Forgotten at each
    /// end if not given
    #[arg(long, help_heading = headings::KEYS, value_name = "FILE", env = "KEYSWAP_USAGE_FILE")]
    pub usage_file: Option<PathBuf>,

    /// Where to listen for HTTP; 127.0.0.1:8080 if no address at all is given
    #[arg(long, help_heading = headings::LISTENING, value_name = "ADDRESS", env = "KEYSWAP_HTTP")]
    pub http: Option<SocketAddr>,

    /// Where to listen for HTTPS
    #[arg(long, help_heading = headings::LISTENING, value_name = "ADDRESS", env = "KEYSWAP_HTTPS", requires = "certificates")]
    pub https: Option<SocketAddr>,

    /// The certificate chain for HTTPS, PEM
    #[arg(long, help_heading = headings::LISTENING, value_name = "FILE", env = "KEYSWAP_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The private key for HTTPS, PEM
    #[arg(long, help_heading = headings::LISTENING, value_name = "FILE", env = "KEYSWAP_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Certificates for HTTPS by the names in them: a directory of pairs, NAME.pem and NAME.key
    #[arg(long, help_heading = headings::LISTENING, value_name = "DIRECTORY", env = "KEYSWAP_TLS_DIRECTORY")]
    pub tls_directory: Option<PathBuf>,

    /// The unix socket to listen on
    #[arg(long, help_heading = headings::LISTENING, value_name = "PATH", env = "KEYSWAP_UNIX")]
    pub unix: Option<PathBuf>,

    /// Who may connect to it, as chmod writes it: 660; whoever the umask lets, if not given
    #[arg(long, help_heading = headings::LISTENING, value_name = "MODE", env = "KEYSWAP_UNIX_MODE", requires = "unix")]
    pub unix_mode: Option<SocketMode>,

    /// Where operators ask for health, metrics and more; 127.0.0.1:9090 if not given
    #[arg(long, help_heading = headings::ADMIN, value_name = "ADDRESS", env = "KEYSWAP_ADMIN")]
    pub admin: Option<SocketAddr>,

    /// What everything there needs but health and metrics.
    #[command(flatten)]
    pub admin_secret: AdminSecretPlace,

    /// Authorities to trust besides the system's, PEM
    #[arg(long, help_heading = headings::EGRESS, value_name = "FILE", env = "KEYSWAP_CA")]
    pub ca: Option<PathBuf>,

    /// The DNS server that is asked for Azure's names, instead of the system: 168.63.129.16 on a machine in Azure
    #[arg(long, help_heading = headings::EGRESS, value_name = "ADDRESS", env = "KEYSWAP_RESOLVER", value_parser = resolver)]
    pub resolver: Option<SocketAddr>,

    /// The proxy between here and Azure, like `http://proxy.corp:3128`; proxy variables of the environment are ignored
    #[arg(long, help_heading = headings::EGRESS, value_name = "URL", env = "KEYSWAP_PROXY", hide_env_values = true)]
    pub proxy: Option<String>,

    /// The file that holds `user:password` for the proxy
    #[arg(long, help_heading = headings::EGRESS, value_name = "FILE", env = "KEYSWAP_PROXY_CREDENTIALS_FILE", requires = "proxy")]
    pub proxy_credentials_file: Option<PathBuf>,

    /// Hosts that are reached without the proxy: names, globs, suffixes, addresses, ranges
    #[arg(long, help_heading = headings::EGRESS, value_name = "HOSTS", env = "KEYSWAP_NO_PROXY", value_delimiter = ',', requires = "proxy")]
    pub no_proxy: Vec<String>,

    /// Worker threads; by default one a core, at most four
    #[arg(long, help_heading = headings::PROCESS, value_name = "N", env = "KEYSWAP_WORKERS")]
    pub workers: Option<NonZeroUsize>,

    /// How long new connections are taken after SIGTERM; 5s if not given
    #[arg(long, help_heading = headings::PROCESS, value_name = "TIME", env = "KEYSWAP_DRAIN_DELAY", value_parser = duration)]
    pub drain_delay: Option<Duration>,

    /// How long running requests may go on after that; 60s if not given
    #[arg(long, help_heading = headings::PROCESS, value_name = "TIME", env = "KEYSWAP_DRAIN_DEADLINE", value_parser = duration)]
    pub drain_deadline: Option<Duration>,
}

/// Under which headings the help has the flags.
pub(super) mod headings {
    pub(super) const UPSTREAM: &str = "What is forwarded to";
    pub(super) const IDENTITY: &str = "Whose tokens it has";
    pub(super) const KEYS: &str = "Which keys are good";
    pub(super) const LISTENING: &str = "Where it listens";
    pub(in crate::settings) const ADMIN: &str = "Where operators ask";
    pub(super) const EGRESS: &str = "How it reaches Azure";
    pub(super) const PROCESS: &str = "How it runs";
}

/// A plane, as a flag says it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PlaneName {
    /// Azure OpenAI
    #[value(name = "openai")]
    OpenAi,
    /// Azure AI Search
    Search,
}

/// A cloud, as a flag says it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum CloudName {
    /// The public cloud
    Public,
    /// US Government
    UsGovernment,
    /// China
    China,
}

/// A kind of identity, as a flag says it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum IdentityName {
    /// The managed identity of this machine or container
    ManagedIdentity,
    /// An application that takes the tokens of a Kubernetes service account
    WorkloadIdentity,
    /// An application with a secret
    ClientSecret,
    /// An application with a certificate
    ClientCertificate,
    /// Whoever is logged in to the Azure CLI: with --development alone
    AzureCli,
}

impl Single {
    /// The settings that the flags mean.
    ///
    /// # Errors
    /// Everything that is wrong or missing, by flag.
    pub fn settings(&self) -> Result<Settings, Mistakes> {
        let mut mistakes = Vec::new();
        let mut wrong = |flag: &str, fix: &str| {
            mistakes.push(Mistake {
                file: "command line".into(),
                at: None,
                place: flag.to_owned(),
                fix: fix.to_owned(),
            });
        };
        let cloud = match self.cloud.unwrap_or(CloudName::Public) {
            CloudName::Public => Cloud::Public,
            CloudName::UsGovernment => Cloud::UsGovernment,
            CloudName::China => Cloud::China,
        };
        let kind = self.identity_kind(cloud, &mut wrong);
        let mut resources: Vec<Arc<Resource>> = Vec::new();
        for upstream in &self.upstream {
            match self.resource(upstream, cloud) {
                Ok(resource) if Cloud::of_host(resource.endpoint.host()).is_some_and(|own| own != cloud) => {
                    wrong("--upstream", "is in another cloud than --cloud says, and tokens are for one cloud");
                }
                Ok(resource) if resources.iter().any(|other| other.plane == resource.plane) => {
                    wrong("--upstream", "may be given once for each plane; for more, write a keyswap.toml");
                }
                Ok(mut resource) => {
                    // Owners like to give both services the same name.
                    if resources.iter().any(|other| other.name == resource.name) {
                        resource.name = format!("{}-{}", resource.name, resource.plane).into();
                    }
                    resources.push(Arc::new(resource));
                }
                Err((flag, fix)) => wrong(flag, fix),
            }
        }
        let proxy = self.proxy(&mut wrong);
        if self.key_file.is_none() {
            wrong("--key-file", "is missing: name the file of the keys that clients may use, one a line");
        }
        let settings = kind.zip(self.key_file.clone()).map(|(kind, file)| Settings {
            listen: self.listen(),
            admin: self.admin(),
            workers: self.workers.unwrap_or_else(default_workers),
            timeouts: Timeouts::DEFAULT,
            guessing: Guessing::DEFAULT,
            cors: Cors::default(),
            drain: Drain {
                delay: self.drain_delay.unwrap_or(Drain::DEFAULT.delay),
                deadline: self.drain_deadline.unwrap_or(Drain::DEFAULT.deadline),
            },
            egress: Egress { ca: self.ca.clone(), resolver: self.resolver, proxy },
            resources,
            identities: vec![Arc::new(Identity { name: IDENTITY.into(), kind })],
            keys: KeySource::Plain { file, allow: self.allow.clone() },
            // None of such keys has an end.
            key_notice: days(Settings::KEY_NOTICE_DAYS),
            usage: Usage { file: self.usage_file.clone(), ..Usage::DEFAULT },
        });
        match settings {
            Some(settings) if mistakes.is_empty() => Ok(settings),
            _ => Err(Mistakes(mistakes)),
        }
    }

    fn resource(&self, upstream: &str, cloud: Cloud) -> Result<Resource, (&'static str, &'static str)> {
        let endpoint = Endpoint::parse(upstream).map_err(|fix| ("--upstream", fix))?;
        let named = self.plane.map(|name| match name {
            PlaneName::OpenAi => Plane::OpenAi,
            PlaneName::Search => Plane::Search,
        });
        let plane = Plane::of_host(endpoint.host())
            .or(named)
            .ok_or(("--plane", "is missing: the host of --upstream is no name of Azure's that tells it"))?;
        // A host is named by its first label, as its owner would; an address by its plane.
        let label = endpoint.host().split('.').next().unwrap_or_default();
        let named = Plane::of_host(endpoint.host()).is_some() && check_name(label).is_ok();
        let name = if named { label } else { &format!("azure-{plane}") };
        Ok(Resource {
            name: name.into(),
            plane,
            identity: ByAccess::always(IDENTITY.into()),
            scope: plane.scope(cloud).into(),
            connections: Resource::DEFAULT_CONNECTIONS,
            address: None,
            hosts: Vec::new(),
            client_tokens: ClientTokens::Refuse,
            id: None,
            endpoint,
        })
    }

    fn proxy(&self, wrong: &mut impl FnMut(&str, &str)) -> Option<Proxy> {
        let mut no_proxy = Vec::new();
        for text in &self.no_proxy {
            match NoProxy::parse(text) {
                Ok(hosts) => no_proxy.push(hosts),
                Err(fix) => wrong("--no-proxy", fix),
            }
        }
        let authority = Proxy::parse(self.proxy.as_deref()?).map_err(|fix| wrong("--proxy", fix)).ok()?;
        let credentials = self.proxy_credentials_file.clone().map(SecretSource::File);
        Some(Proxy { authority, credentials, no_proxy })
    }

    fn admin(&self) -> Admin {
        Admin { address: self.admin.unwrap_or(Admin::DEFAULT_ADDRESS), secret: self.admin_secret.source() }
    }

    fn listen(&self) -> Listen {
        let default = self.tls_cert.clone().zip(self.tls_key.clone());
        let default = default.map(|(cert, key)| CertificateFiles { cert, key });
        let tls = Tls { default, directory: self.tls_directory.clone() };
        let https = self.https.map(|address| Https { address, tls });
        let nowhere = self.http.is_none() && https.is_none() && self.unix.is_none();
        let http = self.http.or(nowhere.then_some(Listen::DEFAULT_HTTP));
        let unix = self.unix.clone().map(|path| UnixSocket { path, mode: self.unix_mode });
        Listen { http, https, unix, ..Listen::NOWHERE }
    }
}

/// The one identity of a sidecar.
const IDENTITY: &str = "identity";

fn resolver(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, DNS).ok_or_else(|| "must be an IP address, with its port if that is not 53".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "must be a whole number and a unit, ms, s, m or h, like 5s".to_owned())
}

/// What to say when neither a file nor flags tell what to do.
pub(super) fn nothing_said(default: &Path) -> Mistakes {
    Mistakes::of_file(
        default,
        "not found, and no --upstream given. Write the file (config/example.toml explains it), name another with \
         --config, or use flags: keyswap serve --upstream https://contoso.openai.azure.com \
         --identity managed-identity --key-file keys",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_needs_no_file() {
        let single = Single {
            upstream: vec!["https://contoso.openai.azure.com".into(), "https://contoso.search.windows.net".into()],
            identity: Some(IdentityName::ManagedIdentity),
            key_file: Some("keys".into()),
            ..Single::default()
        };
        let settings = single.settings().unwrap();
        let planes: Vec<_> = settings.resources.iter().map(|resource| resource.plane).collect();
        assert_eq!(planes, [Plane::OpenAi, Plane::Search]);
        let names: Vec<_> = settings.resources.iter().map(|resource| &*resource.name).collect();
        assert_eq!(names, ["contoso", "contoso-search"]);
        assert_eq!(settings.listen.http, Some(Listen::DEFAULT_HTTP));
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let single = Single { upstream: vec!["https://127.0.0.1:1".into()], ..Single::default() };
        assert_eq!(
            single.settings().unwrap_err().to_string(),
            "\
command line: --identity: is missing: say how tokens are got, as one of the kinds that --help lists; it is never guessed
command line: --plane: is missing: the host of --upstream is no name of Azure's that tells it
command line: --key-file: is missing: name the file of the keys that clients may use, one a line"
        );
    }
}
