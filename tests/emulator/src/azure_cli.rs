//! What the Azure CLI prints to a program that asks it for a token (C7).

use serde_json::json;

use crate::azure::Azure;
use crate::clock;
use crate::directory::Flaw;

/// The output of `az account get-access-token --output json`.
pub(crate) fn output(azure: &Azure, resource: &str) -> String {
    let app = &azure.directory.app;
    let issued = azure.directory.issue(&app.as_identity(), &app.tenant, resource, Flaw::None);
    let output = json!({
        "accessToken": issued.token,
        "expiresOn": clock::local_timestamp(issued.expires_on),
        "expires_on": issued.expires_on,
        "subscription": "00000000-0000-0000-0000-000000000000",
        "tenant": app.tenant,
        "tokenType": "Bearer",
    });
    format!("{output:#}\n")
}
