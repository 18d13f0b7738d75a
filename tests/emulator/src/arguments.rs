//! What the program can be told: `azure-emulator --help`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use azure_emulator::{
    Cloud, FixedTokens, Options, SearchBearerRefusal, SearchKeyRefusal, SearchNoCredential, SearchRoleRefusal,
    SearchStack, UnknownDeployment,
};
use clap::Parser;

/// Azure OpenAI, Azure AI Search and Entra on loopback, with keys disabled.
///
/// Starts in a moment, says where everything is, and runs until SIGTERM or Ctrl-C. Keys, secrets and certificates are new
/// at each start; nothing is kept.
#[derive(Clone, Parser)]
#[command(version, after_help = AFTER)]
pub(crate) struct Arguments {
    /// Print one line of JSON when ready, instead of a summary
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the certificate authority, in PEM, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_out: Option<PathBuf>,
    /// Write a file for a shell to read: where everything is, and how a managed identity gets its token
    #[arg(long, value_name = "FILE", requires = "ca_out")]
    pub(crate) env_out: Option<PathBuf>,

    /// Listen on this address; in a container, 0.0.0.0
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), help_heading = "Where")]
    listen: IpAddr,
    /// How clients call this machine, if not by that address: goes into URLs and the certificate
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    host: Option<String>,
    /// The first of twelve ports in a row (see below), instead of free ones
    #[arg(long, value_name = "PORT", help_heading = "Where")]
    port: Option<u16>,
    /// Serve IMDS here too: 169.254.169.254:80 in a network namespace
    #[arg(long, value_name = "ADDRESS", help_heading = "Where")]
    imds: Option<SocketAddr>,

    /// How long tokens live
    #[arg(long, value_name = "SECONDS", default_value_t = 3599, help_heading = "Tokens")]
    token_life: u64,
    /// Entra says when a token should be renewed: after half its life
    #[arg(long, help_heading = "Tokens")]
    refresh_in: bool,
    /// Whose audiences are good
    #[arg(long, value_enum, default_value_t = Cloud::Public, help_heading = "Tokens")]
    cloud: Cloud,
    /// Hand out exactly this token for Azure OpenAI
    #[arg(long, value_name = "TOKEN", requires = "search_token", help_heading = "Tokens")]
    openai_token: Option<String>,
    /// Hand out exactly this token for Azure AI Search
    #[arg(long, value_name = "TOKEN", requires = "openai_token", help_heading = "Tokens")]
    search_token: Option<String>,

    /// The pause between two pieces of an event stream
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2, help_heading = "Pace")]
    stream_pause: u64,
    /// How long the first poll for an image says to wait
    #[arg(long, value_name = "SECONDS", default_value_t = 5, help_heading = "Pace")]
    image_wait: u64,

    /// How Azure OpenAI refuses a deployment that is not there
    #[arg(long, value_enum, default_value_t = UnknownDeployment::Current, help_heading = "Where Azure differs")]
    unknown_deployment: UnknownDeployment,
    /// Which of Azure AI Search's stacks answers
    #[arg(long, value_enum, default_value_t = SearchStack::Current, help_heading = "Where Azure differs")]
    search_stack: SearchStack,
    /// Count documents with a byte order mark in front, as in 2019
    #[arg(long, help_heading = "Where Azure differs")]
    count_with_bom: bool,
    /// How Azure AI Search refuses an api-key when keys are disabled
    #[arg(long, value_enum, default_value_t = SearchKeyRefusal::Empty403, help_heading = "Where Azure differs")]
    key_refusal: SearchKeyRefusal,
    /// How Azure AI Search refuses who brings nothing
    #[arg(long, value_enum, default_value_t = SearchNoCredential::Empty403, help_heading = "Where Azure differs")]
    no_credential: SearchNoCredential,
    /// How Azure AI Search refuses a bad token (aadAuthFailureMode)
    #[arg(long, value_enum, default_value_t = SearchBearerRefusal::Challenge401, help_heading = "Where Azure differs")]
    bearer_refusal: SearchBearerRefusal,
    /// How Azure AI Search refuses who lacks the role
    #[arg(long, value_enum, default_value_t = SearchRoleRefusal::Json403, help_heading = "Where Azure differs")]
    role_refusal: SearchRoleRefusal,
}

const AFTER: &str = "\
Ports, from --port on: Azure OpenAI behind, direct, keys_enabled, lenient; Azure AI Search, the same four; Entra; App
Service; IMDS; control. The README says what the doors are, and what the control port can do.";

impl Arguments {
    pub(crate) fn options(self) -> Options {
        let fixed_tokens = self.openai_token.zip(self.search_token);
        Options {
            token_life: Duration::from_secs(self.token_life),
            fixed_tokens: fixed_tokens.map(|(openai, search)| FixedTokens { openai, search }),
            cloud: self.cloud,
            refresh_in: self.refresh_in,
            listen: self.listen,
            host: self.host,
            first_port: self.port,
            imds: self.imds,
            unknown_deployment: self.unknown_deployment,
            key_refusal: self.key_refusal,
            no_credential: self.no_credential,
            bearer_refusal: self.bearer_refusal,
            role_refusal: self.role_refusal,
            search_stack: self.search_stack,
            count_with_bom: self.count_with_bom,
            stream_pause: Duration::from_millis(self.stream_pause),
            image_wait: Duration::from_secs(self.image_wait),
            ..Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_set() {
        let told = "azure-emulator --listen 127.0.0.2 --host azure --port 9440 --imds 127.0.0.1:80 --token-life 6 --refresh-in \
                    --cloud china --openai-token o --search-token s --stream-pause 1 --image-wait 2 \
                    --unknown-deployment until-2024 --search-stack until-2022 --count-with-bom --key-refusal 403-text \
                    --no-credential 401-empty --bearer-refusal 403-json --role-refusal 403-empty";
        let options = Arguments::parse_from(told.split_whitespace()).options();
        assert_eq!(options.listen.to_string(), "127.0.0.2");
        assert_eq!((options.host.as_deref(), options.first_port), (Some("azure"), Some(9440)));
        assert_eq!(options.imds.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:80"));
        assert_eq!((options.token_life, options.refresh_in), (Duration::from_secs(6), true));
        let fixed = options.fixed_tokens.expect("two tokens");
        assert_eq!((fixed.openai.as_str(), fixed.search.as_str(), options.cloud), ("o", "s", Cloud::China));
        assert_eq!((options.stream_pause, options.image_wait), (Duration::from_millis(1), Duration::from_secs(2)));
        assert_eq!(options.unknown_deployment, UnknownDeployment::Until2024);
        assert_eq!((options.search_stack, options.count_with_bom), (SearchStack::Until2022, true));
        assert_eq!(options.key_refusal, SearchKeyRefusal::Text403);
        assert_eq!(options.no_credential, SearchNoCredential::Empty401);
        assert_eq!(options.bearer_refusal, SearchBearerRefusal::Json403);
        assert_eq!(options.role_refusal, SearchRoleRefusal::Empty403);
    }

    #[test]
    fn told_nothing_it_has_the_librarys_defaults() {
        let (options, defaults) = (Arguments::parse_from(["azure-emulator"]).options(), Options::default());
        // What is random at each start does not count.
        let comparable = |options: Options| {
            format!("{:?}", Options { keys: defaults.keys.clone(), identity_header: String::new(), ..options })
        };
        assert_eq!(comparable(options), comparable(defaults.clone()));
    }
}
