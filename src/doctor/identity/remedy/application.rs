//! Where Entra gives an application no token.

use std::path::Path;

use serde_json::Value;

use super::Remedy;
use crate::doctor::claims::Claims;
use crate::doctor::identity::proof::{self, EXCHANGE};
use crate::doctor::shell::word;
use crate::settings::{Application, CertificateFiles, IdentityKind, SecretSource};
use crate::token::{Ailment, Purpose, Seen};

pub(super) fn remedy(kind: &IdentityKind, application: &Application, purpose: &Purpose, seen: &Seen) -> Remedy {
    if let Some(ailment) = seen.ailment() {
        let commands = commands(ailment, kind, application, purpose);
        return Remedy::new(ailment.means(), ailment.cure()).with(commands);
    }
    match seen {
        Seen::Nothing | Seen::Program { .. } => unproven(kind, application),
        Seen::Answer { status: 200, .. } => Remedy::new(
            "whoever answers gives no token as Entra does",
            "compare the identity's authority, and see what on the way changes answers",
        ),
        Seen::Answer { status: 429, .. } => Remedy::new(
            "Entra is asked too often, by this application or from this network",
            "wait a minute and try again; a running keyswap goes on with the tokens that it has",
        ),
        Seen::Answer { status: 500.., .. } => Remedy::new(
            "Entra is in trouble, or something on the way to it is",
            "try again; a running keyswap goes on with the tokens that it has",
        ),
        Seen::Answer { status, code, .. } => {
            let refused = format!("Entra refuses it with {status}, and asking again will not help");
            match code.as_deref().and_then(|code| code.strip_prefix("AADSTS")) {
                Some(digits) => {
                    Remedy::new(refused, format!("see https://login.microsoftonline.com/error?code={digits}"))
                }
                None => Remedy::new(refused, "see that the identity's authority is Entra's address"),
            }
        }
        // The way was walked; nothing more is known of one that hangs.
        Seen::NoAnswer(_) => Remedy::new("nobody answers", "see what stands on the way to the identity's authority"),
    }
}

/// What to do where there is nothing to show to Entra; what there is not, is told already.
fn unproven(kind: &IdentityKind, application: &Application) -> Remedy {
    let id = word(&application.client_id);
    let (cure, commands) = match kind {
        IdentityKind::ClientSecret { secret, .. } => {
            ("put the application's secret there, for whoever runs keyswap to read", vec![new_secret(&id, secret)])
        }
        IdentityKind::ClientCertificate { files, .. } => {
            ("make another, upload it to the application, and put it there", new_certificate(&id, files))
        }
        _ => (
            "run keyswap in a pod with the label azure.workload.identity/use: \"true\" and with a service account that is \
             annotated with the client id; or name as token_file where its token is",
            vec![POD.to_owned()],
        ),
    };
    Remedy::new("there is nothing that proves the identity, and Entra was not asked", cure).with(commands)
}

/// Shows whether a pod is one that gets a token for Entra.
const POD: &str = "kubectl get pod \"$HOSTNAME\" --output \
                   jsonpath='{.metadata.labels.azure\\.workload\\.identity/use} {.spec.serviceAccountName}'";

/// The commands that mend an ailment, or show more of it.
fn commands(ailment: Ailment, kind: &IdentityKind, application: &Application, purpose: &Purpose) -> Vec<String> {
    let Application { tenant, client_id, authority } = application;
    let (id, tenant) = (word(client_id), word(tenant));
    match (ailment, kind) {
        (Ailment::Secret | Ailment::SecretEnded, IdentityKind::ClientSecret { secret, .. }) => {
            vec![listed(&id, ""), new_secret(&id, secret)]
        }
        (Ailment::Certificate, IdentityKind::ClientCertificate { files, .. }) => {
            vec![listed(&id, " --cert"), upload(&id, &files.cert)]
        }
        (Ailment::KeyKind, IdentityKind::ClientCertificate { files, .. }) => new_certificate(&id, files),
        (Ailment::Federation, IdentityKind::WorkloadIdentity { token_file, .. }) => federate(client_id, token_file),
        (Ailment::Application, _) => {
            let filter = word(&format!("appId eq '{client_id}'"));
            vec![
                format!("az login --tenant {tenant} --allow-no-subscriptions"),
                format!("az ad sp list --filter {filter} --query '[].displayName' --output tsv"),
            ]
        }
        (Ailment::NoPrincipal, _) => vec![format!("az ad sp create --id {id}")],
        (Ailment::Disabled, _) => vec![format!("az ad sp update --id {id} --set accountEnabled=true")],
        (Ailment::Audience, _) => {
            let audience = purpose.scope.strip_suffix("/.default").unwrap_or(&purpose.scope);
            let filter = word(&format!("servicePrincipalNames/any(name:name eq '{audience}')"));
            vec![format!("az ad sp list --filter {filter} --query '[].displayName' --output tsv")]
        }
        (Ailment::Tenant, _) => {
            vec!["az account list --all --query '[].{subscription:name,tenant:tenantId}' --output table".to_owned()]
        }
        (Ailment::Untimely, _) => {
            vec!["date -u".to_owned(), format!("curl -sI {} | grep -i ^date", word(authority))]
        }
        _ => Vec::new(),
    }
}

/// Shows what an application can prove itself with, and until when.
fn listed(id: &str, kind: &str) -> String {
    let fields = if kind.is_empty() { "hint:hint" } else { "thumbprint:customKeyIdentifier" };
    let query = format!("'[].{{name:displayName,{fields},ends:endDateTime}}'");
    format!("az ad app credential list --id {id}{kind} --query {query} --output table")
}

/// Makes a secret beside those that there are, and puts it where it is read; or prints it, where that is no file.
fn new_secret(id: &str, secret: &SecretSource) -> String {
    let place = match secret {
        SecretSource::File(file) => format!(" > {}", word(&file.to_string_lossy())),
        SecretSource::Environment(_) => String::new(),
    };
    format!("az ad app credential reset --id {id} --append --display-name keyswap --query password --output tsv{place}")
}

/// Uploads a certificate beside those that there are. Its key may stand in the same file, and is left there.
fn upload(id: &str, cert: &Path) -> String {
    let cert = word(&cert.to_string_lossy());
    format!("az ad app credential reset --id {id} --append --cert \"$(openssl x509 -in {cert})\"")
}

/// Makes a certificate where the settings have it, and uploads it.
fn new_certificate(id: &str, files: &CertificateFiles) -> Vec<String> {
    if files.cert == files.key {
        // It prints where the file is that it has made, with certificate and key.
        return vec![format!("az ad app credential reset --id {id} --append --create-cert --years 1")];
    }
    let [cert, key] = [&files.cert, &files.key].map(|file| word(&file.to_string_lossy()));
    vec![
        format!("openssl req -x509 -newkey rsa:2048 -noenc -days 365 -subj /CN=keyswap -keyout {key} -out {cert}"),
        upload(id, &files.cert),
    ]
}

/// Makes a federated credential that fits the service account's token: for a user-assigned identity, and for an
/// application, since the client id does not tell which it is.
fn federate(client_id: &str, token_file: &Path) -> Vec<String> {
    let claims = proof::service_account(token_file);
    let claim = |name: &str| claims.as_ref().and_then(|claims| claims.text(name)).unwrap_or_default();
    let (issuer, subject) = (claim("iss"), claim("sub"));
    let audience = claims.as_ref().and_then(Claims::audience).filter(|audience| audience.starts_with(EXCHANGE));
    let audience = audience.unwrap_or_else(|| EXCHANGE.to_owned());
    let names = word(&format!(
        "[?clientId=='{client_id}'].join(' ',['--identity-name',name,'--resource-group',resourceGroup])"
    ));
    let [quoted_issuer, quoted_subject, quoted_audience] = [&*issuer, &*subject, &*audience].map(Value::from);
    let parameters = format!(
        r#"{{"name":"keyswap","issuer":{quoted_issuer},"subject":{quoted_subject},"audiences":[{quoted_audience}]}}"#
    );
    vec![
        format!(
            "az identity federated-credential create --name keyswap $(az identity list --query {names} --output tsv) \
             --issuer {} --subject {} --audiences {}",
            word(&issuer),
            word(&subject),
            word(&audience)
        ),
        format!("az ad app federated-credential create --id {} --parameters {}", word(client_id), word(&parameters)),
    ]
}
