//! What the https address shows: certificates with their keys, read from files, found by the names that stand in them.

mod subject;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use crate::document::Mistakes;
use crate::settings::{CertificateFiles, Tls};
pub(crate) use subject::Subject;

/// The certificates of the https address.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    default: Option<Arc<Pair>>,
    directory: Vec<Arc<Pair>>,
    /// By each name that stands in one of the directory, `*` for a whole first label.
    by_name: HashMap<Box<str>, Arc<Pair>>,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Pair {
    file: PathBuf,
    shown: Arc<CertifiedKey>,
    names: Vec<Box<str>>,
    ends: SystemTime,
}

/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// How long before its end a certificate is spoken of: time enough to make another.
const NEAR: Duration = Duration::from_secs(30 * DAY);

impl Certificates {
    /// Reads all that the settings name.
    ///
    /// # Errors
    /// A file that cannot be read or is no PEM, a key that does not go with its certificate; in the directory, one
    /// without the other, a certificate without a name, two with the same, or none at all.
    pub fn read(tls: &Tls) -> Result<Self, Mistakes> {
        let default = tls.default.as_ref().map(Pair::read).transpose()?.map(Arc::new);
        let mut certificates = Self { default, ..Self::default() };
        let Some(directory) = &tls.directory else { return Ok(certificates) };
        for files in pairs(directory)? {
            certificates.add(Pair::read(&files)?)?;
        }
        if certificates.directory.is_empty() {
            return Err(Mistakes::of_file(
                directory,
                "holds no certificate: it must have pairs, NAME.pem and NAME.key",
            ));
        }
        Ok(certificates)
    }

    fn add(&mut self, pair: Pair) -> Result<(), Mistakes> {
        let pair = Arc::new(pair);
        if pair.names.is_empty() {
            let fix = "is for no DNS name, and so nobody is ever shown it: make it tls.cert, or take it away";
            return Err(Mistakes::of_file(&pair.file, fix));
        }
        for name in &pair.names {
            if let Some(other) = self.by_name.insert(name.clone(), pair.clone()) {
                let fix = format!("is for {name}, as {} is: take one of them away", other.file.display());
                return Err(Mistakes::of_file(&pair.file, fix));
            }
        }
        self.directory.push(pair);
        Ok(())
    }

    /// What is shown to whoever asks for this name, or for none.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let of_name = name.map(str::to_ascii_lowercase).and_then(|name| {
            let wild = || self.by_name.get(&*format!("*.{}", name.split_once('.')?.1));
            self.by_name.get(&*name).or_else(wild)
        });
        of_name.or(self.default.as_ref()).map(|pair| &pair.shown)
    }

    /// Each of them, the default first.
    pub fn each(&self) -> impl Iterator<Item = &Pair> {
        self.default.iter().chain(&self.directory).map(AsRef::as_ref)
    }
}

/// The pairs in a directory, in the order of their names; other files in it count for nothing.
fn pairs(directory: &Path) -> Result<Vec<CertificateFiles>, Mistakes> {
    let wrong = |error: std::io::Error| Mistakes::of_file(directory, format!("cannot be read: {error}"));
    let entries = std::fs::read_dir(directory).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let mut files: Vec<_> = entries.iter().map(std::fs::DirEntry::path).collect();
    files.sort();
    let is = |file: &Path, extension: &str| file.extension().is_some_and(|found| found == extension);
    let lone = |file: &Path, other: &str| {
        let other = file.with_extension(other);
        (!other.exists()).then(|| {
            let name = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Mistakes::of_file(file, format!("stands alone: {name} must be beside it"))
        })
    };
    let mut pairs = Vec::new();
    for file in files {
        let missing = if is(&file, "pem") {
            lone(&file, "key")
        } else if is(&file, "key") {
            lone(&file, "pem")
        } else {
            None
        };
        if let Some(mistakes) = missing {
            return Err(mistakes);
        }
        if is(&file, "pem") {
            let key = file.with_extension("key");
            pairs.push(CertificateFiles { cert: file, key });
        }
    }
    Ok(pairs)
}

// === impl Pair ===

impl Pair {
    /// Reads a certificate and its key.
    ///
    /// # Errors
    /// A file that cannot be read or is no PEM, or a key that is another certificate's.
    pub fn read(files: &CertificateFiles) -> Result<Self, Mistakes> {
        let CertificateFiles { cert, key } = files;
        let chain = CertificateDer::pem_file_iter(cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| Mistakes::of_file(cert, format!("cannot be read as a PEM certificate chain: {error}")))?;
        if chain.is_empty() {
            return Err(Mistakes::of_file(cert, "holds no certificate: it must have the chain in PEM, leaf first"));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| Mistakes::of_file(key, format!("cannot be read as a PEM private key: {error}")))?;
        let shown = CertifiedKey::from_der(chain, private, &default_provider()).map_err(|error| {
            Mistakes::of_file(cert, format!("does not go with the private key {}: {error}", key.display()))
        })?;
        let leaf = shown.end_entity_cert().map_err(|error| Mistakes::of_file(cert, error.to_string()))?;
        let subject =
            Subject::of(leaf).ok_or_else(|| Mistakes::of_file(cert, "is no certificate that can be understood"))?;
        Ok(Self { file: cert.clone(), names: names(leaf), ends: subject.ends, shown: Arc::new(shown) })
    }

    /// The file of the certificate.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The DNS names that it is for, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// When it ends.
    pub fn ends(&self) -> SystemTime {
        self.ends
    }

    /// What to say of a certificate that has ended, or will within a month; as a verb and what follows.
    pub fn near_its_end(&self, now: SystemTime) -> Option<String> {
        match self.ends.duration_since(now) {
            Err(_) => Some("has ended: clients refuse it".to_owned()),
            Ok(left) if left < NEAR => Some(format!("ends in {} days", left.as_secs() / DAY)),
            Ok(_) => None,
        }
    }

    /// The chain and the key that signs for it.
    pub(crate) fn shown(&self) -> &CertifiedKey {
        &self.shown
    }

    /// The certificate itself, as it goes over the wire.
    pub(crate) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.shown.cert.first()
    }
}

/// The certificates of a file, at least one.
pub(crate) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Mistakes> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| Mistakes::of_file(file, format!("cannot be read as PEM certificates: {error}")))?;
    if certificates.is_empty() {
        return Err(Mistakes::of_file(file, "holds no certificate: it must have one or more in PEM"));
    }
    Ok(certificates)
}

/// The DNS names that a certificate is for, in lower case, each once.
pub(crate) fn names(leaf: &CertificateDer<'_>) -> Vec<Box<str>> {
    let parsed = EndEntityCert::try_from(leaf).ok();
    let names = parsed.iter().flat_map(|leaf| leaf.valid_dns_names());
    let mut names: Vec<Box<str>> = names.map(|name| name.to_ascii_lowercase().into()).collect();
    names.sort();
    names.dedup();
    names
}
