//! What identities prove themselves with to Entra, where it is kept in files: certificates, and tokens of service accounts.
//!
//! A fetch reads it each time ([`crate::token`]); here it is also looked at before settings are taken.

mod certificate;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::document::{Mistake, Mistakes};
use crate::settings::{CertificateFiles, Identity, IdentityKind};
pub(crate) use certificate::ClientCertificate;

/// What the owner of an identity should know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The identity's name.
    pub identity: Arc<str>,
    /// What there is to know.
    pub text: String,
}

/// The largest service account token that is read.
const LARGEST: u64 = 64 * 1024;

/// Looks at what identities prove themselves with, and asks nobody.
///
/// # Errors
/// Every certificate that never proves anything to Entra: unreadable, without its key, not of RSA. A secret or a token that
/// is not there is no mistake: whoever brings it may come later.
pub fn check(identities: &[Arc<Identity>]) -> Result<Vec<Note>, Mistakes> {
    let mut notes = Vec::new();
    let mut mistakes = Vec::new();
    for identity in identities {
        let text = match &identity.kind {
            IdentityKind::ManagedIdentity { .. } => None,
            IdentityKind::WorkloadIdentity { token_file, .. } => service_account_token(token_file).err(),
            IdentityKind::ClientSecret { secret, .. } => secret.read().err(),
            IdentityKind::ClientCertificate { files, send_chain, .. } => {
                match ClientCertificate::read(files, *send_chain) {
                    Ok(certificate) => certificate.near_its_end().map(|end| format!("its certificate {end}")),
                    Err(wrong) => {
                        mistakes.extend(in_settings(identity, files, wrong));
                        None
                    }
                }
            }
            IdentityKind::AzureCli { .. } => Some("for development alone: never in production".to_owned()),
        };
        notes.extend(text.map(|text| Note { identity: identity.name.clone(), text }));
    }
    if mistakes.is_empty() { Ok(notes) } else { Err(Mistakes(mistakes)) }
}

/// Looks whether all certificates are still good. One that has ended is worth a look before it is put into service; in
/// service it ends without a change of anybody's, and must not keep the teams of other identities from a start, or from
/// revoking a key.
///
/// # Errors
/// Every certificate that has ended.
pub fn timely(identities: &[Arc<Identity>]) -> Result<(), Mistakes> {
    let mut mistakes = Vec::new();
    for identity in identities {
        let IdentityKind::ClientCertificate { files, send_chain, .. } = &identity.kind else { continue };
        if let Err(wrong) = ClientCertificate::read(files, *send_chain).and_then(|certificate| certificate.timely()) {
            mistakes.extend(in_settings(identity, files, wrong));
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
}

/// What is wrong with these files, with the settings that name them.
fn in_settings(
    identity: &Identity,
    files: &CertificateFiles,
    Mistakes(wrong): Mistakes,
) -> impl Iterator<Item = Mistake> {
    wrong.into_iter().map(|mistake| {
        let of_key = mistake.file == files.key && files.key != files.cert;
        let key = if of_key { "certificate_key_file" } else { "certificate_file" };
        Mistake { place: format!("identities.{}.{key}", identity.name), ..mistake }
    })
}

/// The token of a service account that a cluster keeps for us in a file.
///
/// # Errors
/// What is wrong with the file, for the log. Never a piece of it.
pub(crate) fn service_account_token(file: &Path) -> Result<Zeroizing<String>, String> {
    let wrong = |what: &dyn fmt::Display| format!("the service account's token in {} {what}", file.display());
    let unreadable = |error: std::io::Error| wrong(&format!("cannot be read: {error}"));
    // A file that somebody else writes is not to fill our memory.
    if std::fs::metadata(file).map_err(unreadable)?.len() > LARGEST {
        return Err(wrong(&"is none: the file is too large"));
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(unreadable)?);
    let token = text.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if token.split('.').count() != 3 || !token.bytes().all(plain) {
        return Err(wrong(&"is none: the file must hold a JWT and nothing else"));
    }
    Ok(Zeroizing::new(token.to_owned()))
}
