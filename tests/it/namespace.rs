//! Tests in namespaces of their own, where every address and every name is theirs: emulator, gateway and client all
//! live there.

use std::process::Command;

/// Tells a test that it is inside.
const INSIDE: &str = "KEYSWAP_TEST_NAMESPACE";

/// Whether the caller, the test of this name, is outside: then it was run again inside, alone, and has passed there.
///
/// `hosts` is what `/etc/hosts` holds inside; `preparation` is what the shell does before.
pub(crate) fn was_run_inside(test: &str, hosts: &str, preparation: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), hosts).unwrap();
    let script = format!(
        "set -e; mount --bind \"$1\" /etc/hosts; ip link set lo up; {preparation}\n\
         exec \"$0\" --exact --nocapture {test}"
    );
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(file.path())
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    // The commonest cause of a failure is the right that is lacking.
    assert!(output.status.success() && told.contains("1 passed"), "as root, this test passes inside:\n{told}");
    true
}
