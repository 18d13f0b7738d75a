//! What a shell must know so that its programs find us, and have a managed identity.

use std::fmt::Write;
use std::path::Path;

use azure_emulator::Scene;

/// Lines to be read by a shell: `. FILE`. Nothing in them needs quotes but the path of the authority.
pub(crate) fn of(scene: &Scene, ca: &Path) -> String {
    let ca = format!("'{}'", ca.display().to_string().replace('\'', r"'\''"));
    let mut lines = String::new();
    for (name, value) in [
        // Found by ManagedIdentityCredential and DefaultAzureCredential of every language.
        ("IDENTITY_ENDPOINT", &scene.identity.url),
        ("IDENTITY_HEADER", &scene.identity.header),
        ("AZURE_OPENAI_ENDPOINT", &scene.openai.direct),
        ("AZURE_SEARCH_ENDPOINT", &scene.search.direct),
        ("AZURE_EMULATOR_CONTROL", &scene.control),
        // OpenSSL and httpx, requests, curl, node.
        ("SSL_CERT_FILE", &ca),
        ("REQUESTS_CA_BUNDLE", &ca),
        ("CURL_CA_BUNDLE", &ca),
        ("NODE_EXTRA_CA_CERTS", &ca),
    ] {
        // Writing to a String cannot fail.
        writeln!(lines, "export {name}={value}").ok();
    }
    lines
}
