//! `keyswap cert`: an authority of our own, and certificates from it, for the names of Azure's that clients keep.
//!
//! The authority is good for a few names and nothing else (RFC 5280, 4.2.1.10): whoever steals it can pretend to be those
//! hosts to the clients that trust it, and no other. It signs no authorities, and nothing but servers' certificates.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use time::OffsetDateTime;
use uuid::Uuid;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use zeroize::Zeroizing;

use crate::certificate::{Pair, Subject};
use crate::document::Mistakes;
use crate::settings::CertificateFiles;

/// What happens to files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They stay, and nothing is made.
    Stays,
    /// They are replaced.
    IsReplaced,
}

/// A certificate that was made, and its key.
#[derive(Debug)]
pub struct Made {
    files: CertificateFiles,
    ends: SystemTime,
}

/// What the name of every authority begins with.
const AUTHORITY: &str = "keyswap CA";

/// How long an authority is good: as long as clients may be left alone.
const AUTHORITY_TERM: Duration = days(3650);

/// How long a certificate is good. Apple's systems take none that is good for more than 398 days.
const TERM: Duration = days(397);

/// How far a client's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(60 * 60);

/// The longest common name (RFC 5280, A.1), in characters.
const LONGEST_COMMON_NAME: usize = 64;

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

/// Makes an authority for these names and what is below them: `ca.pem` and `ca.key` in a directory.
///
/// # Errors
/// What is no host name, or files that cannot be written or must stay.
pub fn make_authority(directory: &Path, names: &[String], existing: Existing) -> Result<Made, Mistakes> {
    for name in names {
        check_name(name)?;
    }
    let (mut params, ends) = params(&format!("{AUTHORITY} {}", short_id()), SystemTime::now() + AUTHORITY_TERM);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.iter().map(|name| GeneralSubtree::DnsName(name.to_ascii_lowercase())).collect(),
        // What permits names alone would permit every address.
        excluded_subtrees: [CidrSubnet::V4([0; 4], [0; 4]), CidrSubnet::V6([0; 16], [0; 16])]
            .map(GeneralSubtree::IpAddress)
            .into(),
    });
    let files = authority_files(directory);
    let key = KeyPair::generate().map_err(|error| broken(&files, &error))?;
    let certificate = params.self_signed(&key).map_err(|error| broken(&files, &error))?;
    write_pair(&files, &certificate.pem(), &key, existing)?;
    Ok(Made { files, ends })
}

/// Makes a certificate for each of these names: `NAME.pem` and `NAME.key` in a directory, as `tls.directory` takes them.
///
/// # Errors
/// An authority that cannot be read or is not for such a name, or files that cannot be written or must stay. Whatever was
/// made before the mistake stays.
pub fn make_leaves(
    authority: &Path,
    directory: &Path,
    names: &[String],
    existing: Existing,
) -> Result<Vec<Made>, Mistakes> {
    let authority = Authority::read(authority)?;
    names.iter().map(|name| authority.make_leaf(directory, name, existing)).collect()
}

/// Whether a certificate is an authority that keyswap has made.
pub(crate) fn is_ours(certificate: &CertificateDer<'_>) -> bool {
    let name = Subject::of(certificate).and_then(|subject| subject.common_name);
    name.is_some_and(|name| name.starts_with(AUTHORITY))
}

/// An authority that was read.
struct Authority {
    files: CertificateFiles,
    certificate: CertificateDer<'static>,
    ends: SystemTime,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn read(directory: &Path) -> Result<Self, Mistakes> {
        let files = authority_files(directory);
        let pair = Pair::read(&files)?;
        let foreign = || Mistakes::of_file(&files.cert, "is no authority that keyswap made: keyswap cert ca makes one");
        let certificate = pair.leaf().ok_or_else(foreign)?.clone();
        let subject = Subject::of(&certificate).ok_or_else(foreign)?;
        let (mut params, _) = params(&subject.common_name.ok_or_else(foreign)?, subject.ends);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let text = fs::read_to_string(&files.key).map(Zeroizing::new);
        let text = text.map_err(|error| Mistakes::of_file(&files.key, format!("cannot be read: {error}")))?;
        let key = KeyPair::from_pem(&text).map_err(|error| Mistakes::of_file(&files.key, error.to_string()))?;
        Ok(Self { certificate, ends: subject.ends, issuer: Issuer::new(params, key), files })
    }

    fn make_leaf(&self, directory: &Path, name: &str, existing: Existing) -> Result<Made, Mistakes> {
        check_name(name)?;
        let name = name.to_ascii_lowercase();
        let common_name = if name.len() <= LONGEST_COMMON_NAME { &name } else { "keyswap" };
        let (mut params, ends) = params(common_name, (SystemTime::now() + TERM).min(self.ends));
        let of_name = CertificateParams::new([name.clone()]);
        let files = files(directory, &name);
        params.subject_alt_names = of_name.map_err(|error| broken(&files, &error))?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(|error| broken(&files, &error))?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(|error| broken(&files, &error))?;
        self.verify(leaf.der(), &name)?;
        write_pair(&files, &leaf.pem(), &key, existing)?;
        Ok(Made { files, ends })
    }

    /// Looks at a certificate as a client will.
    fn verify(&self, leaf: &CertificateDer<'_>, name: &str) -> Result<(), Mistakes> {
        let wrong = |what: String| Mistakes::of_file(&self.files.cert, what);
        let provider = default_provider();
        let verify = || {
            let anchors = [anchor_from_trusted_cert(&self.certificate)?];
            let leaf = EndEntityCert::try_from(leaf)?;
            let algorithms = provider.signature_verification_algorithms.all;
            leaf.verify_for_usage(algorithms, &anchors, &[], UnixTime::now(), KeyUsage::server_auth(), None, None)?;
            let server = ServerName::try_from(name).map_err(|_| webpki::Error::MalformedDnsIdentifier)?;
            leaf.verify_is_valid_for_subject_name(&server)
        };
        verify().map_err(|error| match error {
            webpki::Error::NameConstraintViolation => wrong(format!(
                "is not for {name}: make an authority for all names that are needed, and have the clients trust it"
            )),
            other => wrong(format!("gives no certificate that a client would take: {other}")),
        })
    }
}

/// What all certificates have in common.
fn params(common_name: &str, ends: SystemTime) -> (CertificateParams, SystemTime) {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = OffsetDateTime::from(SystemTime::now() - SKEW);
    params.not_after = OffsetDateTime::from(ends);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Python 3.13 takes no certificate that does not name its issuer's key.
    params.use_authority_key_identifier_extension = true;
    (params, ends)
}

/// So that two authorities never have the same name: some clients would take the one for the other.
fn short_id() -> String {
    Uuid::new_v4().simple().to_string().chars().take(8).collect()
}

fn check_name(name: &str) -> Result<(), Mistakes> {
    let plain = ServerName::try_from(name).is_ok_and(|name| matches!(name, ServerName::DnsName(_)));
    if plain && !name.ends_with('.') && name.parse::<IpAddr>().is_err() {
        return Ok(());
    }
    let fix = format!("{name:?} is no host name: write one like contoso.openai.azure.com");
    Err(Mistakes::of_file(Path::new("command line"), fix))
}

fn authority_files(directory: &Path) -> CertificateFiles {
    files(directory, "ca")
}

fn files(directory: &Path, name: &str) -> CertificateFiles {
    // Not by its extension: a host name has dots.
    CertificateFiles { cert: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) }
}

fn broken(files: &CertificateFiles, error: &rcgen::Error) -> Mistakes {
    Mistakes::of_file(&files.cert, format!("cannot be made: {error}"))
}

/// Writes both or, where one must stay, none.
fn write_pair(files: &CertificateFiles, cert: &str, key: &KeyPair, existing: Existing) -> Result<(), Mistakes> {
    let CertificateFiles { cert: cert_file, key: key_file } = files;
    if existing == Existing::Stays {
        for file in [key_file, cert_file] {
            if file.exists() {
                return Err(Mistakes::of_file(
                    file,
                    "is there already, and stays: add --replace, or name another place",
                ));
            }
        }
    }
    let directory = cert_file.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(directory).map_err(|error| Mistakes::of_file(directory, format!("cannot be made: {error}")))?;
    write(key_file, &Zeroizing::new(key.serialize_pem()), 0o600)?;
    write(cert_file, cert, 0o644)
}

/// Writes a file at once: nobody sees half of it, and nobody else ever sees a key.
fn write(file: &Path, text: &str, mode: u32) -> Result<(), Mistakes> {
    let mut new = file.as_os_str().to_owned();
    new.push(format!(".{}", short_id()));
    let new = PathBuf::from(new);
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).and_then(|mut opened| {
        opened.write_all(text.as_bytes())?;
        opened.sync_all()?;
        fs::rename(&new, file)
    });
    written.map_err(|error| {
        // Half a file is of no use, and it may not be there at all.
        drop(fs::remove_file(&new));
        Mistakes::of_file(file, format!("cannot be written: {error}"))
    })
}

// === impl Made ===

/// For the person who has asked for it.
impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CertificateFiles { cert, key } = &self.files;
        write!(f, "{} and {}, until {}", cert.display(), key.display(), OffsetDateTime::from(self.ends).date())
    }
}
