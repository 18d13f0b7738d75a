//! `keyswap env`: what makes a client trust our authority, as lines for a shell.
//!
//! Each client looks at a variable of its own. Most of those replace the authorities that it trusts otherwise, and a
//! program that calls us may call others, too: so they are pointed at a bundle that holds both.

use std::fs;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use clap::ValueEnum;
use rustls::pki_types::CertificateDer;

use crate::authority::is_ours;
use crate::certificate::read_certificates;
use crate::document::Mistakes;

/// A client whose ways are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Client {
    /// Python openai before 1.0
    #[value(name = "openai-0.28")]
    OpenAi028,
    /// Python openai 1.0 and newer
    #[value(name = "openai")]
    OpenAi,
    /// Python azure-search-documents
    AzureSearch,
    /// node: openai, @azure/openai, @azure/search-documents and others
    Node,
    /// .NET on Linux
    Dotnet,
    /// Java
    Java,
    /// curl
    Curl,
}

/// How a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// This variable names a file of all authorities that it trusts.
    Replaces(&'static str),
    /// This one names a file of some more.
    Adds(&'static str),
    /// By a store in Java's own form.
    Store,
}

/// The lines that make these clients trust the authority in a file. Where one of them needs a bundle, it is written: all
/// that this system trusts, and the authority.
///
/// # Errors
/// A file of the authority that cannot be read, a bundle that cannot be written, a system that trusts nobody.
pub fn environment(clients: &[Client], ca: &Path, bundle: Option<&Path>) -> Result<String, Mistakes> {
    let authority = read_certificates(ca)?;
    let ca = fs::canonicalize(ca).map_err(|error| Mistakes::of_file(ca, format!("cannot be read: {error}")))?;
    let mut ways: Vec<_> = Vec::new();
    for way in clients.iter().flat_map(|client| client.ways()) {
        if !ways.contains(way) {
            ways.push(*way);
        }
    }
    let bundle = bundle.map_or_else(|| ca.with_file_name("bundle.pem"), Path::to_owned);
    let bundle = if ways.iter().any(|way| matches!(way, Way::Replaces(_))) {
        write_bundle(&bundle, &authority)?
    } else {
        bundle
    };
    let mut lines = String::new();
    if clients.contains(&Client::Dotnet) {
        lines.push_str(
            "# .NET: from its documentation, not tried; on Linux alone, elsewhere it asks the system's store.\n",
        );
    }
    for way in ways {
        lines += &match way {
            Way::Replaces(variable) => format!("export {variable}={}\n", quoted(&bundle)),
            Way::Adds(variable) => format!("export {variable}={}\n", quoted(&ca)),
            Way::Store => java(&ca),
        };
    }
    Ok(lines)
}

impl Client {
    /// Measured with each of them, .NET excepted.
    fn ways(self) -> &'static [Way] {
        match self {
            // requests, and where it is asynchronous, aiohttp.
            Self::OpenAi028 | Self::AzureSearch => {
                &[Way::Replaces("REQUESTS_CA_BUNDLE"), Way::Replaces("SSL_CERT_FILE")]
            }
            Self::OpenAi | Self::Dotnet => &[Way::Replaces("SSL_CERT_FILE")],
            Self::Node => &[Way::Adds("NODE_EXTRA_CA_CERTS")],
            Self::Java => &[Way::Store],
            Self::Curl => &[Way::Replaces("CURL_CA_BUNDLE")],
        }
    }
}

/// A copy of the JDK's own store, which is of a form that its own tool alone can write.
fn java(ca: &Path) -> String {
    let store = ca.with_file_name("java.jks");
    let option = |name: &str, value: &str| format!("-Djavax.net.ssl.{name}={value}");
    // An option with a blank in it would be two.
    let options = [option("trustStore", &store.to_string_lossy()), option("trustStorePassword", "changeit")]
        .map(|option| format!("\"{option}\""))
        .join(" ");
    let (store, ca) = (quoted(&store), quoted(ca));
    format!(
        "# Java reads no PEM: a copy of the JDK's own store gets the authority.\n\
         cp \"$(java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.home = //p')/lib/security/cacerts\" {store}\n\
         chmod u+w {store}\n\
         keytool -importcert -noprompt -alias keyswap -file {ca} -keystore {store} -storepass changeit\n\
         export JAVA_TOOL_OPTIONS={}\n",
        quoted(Path::new(&options))
    )
}

/// A path as a shell takes it, whatever is in it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

fn write_bundle(file: &Path, authority: &[CertificateDer<'_>]) -> Result<PathBuf, Mistakes> {
    let wrong = |error: std::io::Error| {
        Mistakes::of_file(file, format!("cannot be written: {error}; name another with --bundle"))
    };
    let system = rustls_native_certs::load_native_certs().certs;
    // The system's may be a bundle that an earlier call has made, for an authority that is no more.
    let public: Vec<_> = system.iter().filter(|certificate| !is_ours(certificate)).collect();
    if public.is_empty() {
        let fix = "cannot be made: this system has no trusted authorities; install ca-certificates";
        return Err(Mistakes::of_file(file, fix));
    }
    let text: String = authority.iter().chain(public).map(pem).collect();
    fs::write(file, text).map_err(wrong)?;
    fs::canonicalize(file).map_err(wrong)
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    let lines: String =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect();
    format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
}
