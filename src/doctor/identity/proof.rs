//! What an identity proves itself with, as far as it can be seen before anybody is asked. What cannot be read is told with
//! the token that it keeps from coming.

use std::path::Path;
use std::time::SystemTime;

use time::OffsetDateTime;

use crate::doctor::claims::Claims;
use crate::doctor::clock::span;
use crate::doctor::{Finding, Status};
use crate::proof::{ClientCertificate, service_account_token};
use crate::settings::{CertificateFiles, IdentityKind};

/// The audience that Entra wants of a service account's token, and how those of other clouds' begin (azure-wire, C6).
pub(super) const EXCHANGE: &str = "api://AzureADTokenExchange";

pub(super) fn look(kind: &IdentityKind) -> Option<Finding> {
    match kind {
        IdentityKind::WorkloadIdentity { token_file, .. } => of_service_account(token_file),
        IdentityKind::ClientCertificate { files, send_chain, .. } => of_certificate(files, *send_chain),
        IdentityKind::ClientSecret { .. } | IdentityKind::ManagedIdentity { .. } | IdentityKind::AzureCli { .. } => {
            None
        }
    }
}

/// The claims of a service account's token, which a federated credential must fit.
pub(super) fn service_account(file: &Path) -> Option<Claims> {
    Claims::of_token(&service_account_token(file).ok()?)
}

fn of_service_account(file: &Path) -> Option<Finding> {
    let claims = service_account(file)?;
    let now = SystemTime::now();
    let left = claims.expires().map(|expires| expires.duration_since(now).map_err(|past| past.duration()));
    let for_entra = claims.audience().is_some_and(|audience| audience.starts_with(EXCHANGE));
    let finding = match left {
        Some(Err(since)) => {
            Finding::new("proof", Status::Wrong, format!("the service account's token ended {} ago", span(since)))
                .means("The cluster does not renew it, or this is no file that it keeps.")
                .cure("Name as token_file the projected token itself, not a copy; or start the pod anew.")
        }
        _ if !for_entra => Finding::new("proof", Status::Note, "the service account's token is not for Entra")
            .means("Entra takes it only where the federated credential has the same audience.")
            .cure(format!("Name as token_file the token that is projected for {EXCHANGE}.")),
        Some(Ok(left)) => {
            Finding::new("proof", Status::Ok, format!("the service account's token is good for {}", span(left)))
        }
        None => Finding::new("proof", Status::Ok, "the service account's token has no end"),
    };
    let finding = finding
        .fact("subject", claims.text("sub"))
        .fact("issuer", claims.text("iss"))
        .fact("audience", claims.audience());
    Some(finding)
}

fn of_certificate(files: &CertificateFiles, send_chain: bool) -> Option<Finding> {
    let certificate = ClientCertificate::read(files, send_chain).ok()?;
    // One that has ended is told with the token that it keeps from coming.
    certificate.timely().ok()?;
    let finding = match certificate.near_its_end() {
        Some(end) => Finding::new("proof", Status::Note, format!("the certificate {end}"))
            .cure("Make another in time, upload it to the application beside this one, and put it in its place."),
        None => {
            let until = OffsetDateTime::from(certificate.ends()).date();
            Finding::new("proof", Status::Ok, format!("the certificate is good until {until}"))
        }
    };
    Some(finding.fact("thumbprint", Some(certificate.thumbprint())))
}
