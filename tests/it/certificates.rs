//! `keyswap cert` and `keyswap env`: what is made, for whom it is good, and that nothing is lost by accident.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;

use crate::authority::{Authority, OPENAI, SEARCH};
use crate::gateway::{directory, run};

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// What another implementation reads in a certificate.
fn read(file: &Path, what: &[&str]) -> String {
    let output = Command::new("openssl").args(["x509", "-noout", "-in"]).arg(file).args(what).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_authority_is_good_for_its_names_and_no_other() {
    let authority = Authority::new();
    let ca = authority.path("ca/ca.pem");
    assert_eq!((mode(&ca), mode(&authority.path("ca/ca.key"))), (0o644, 0o600));
    let told = read(&ca, &["-ext", "nameConstraints,basicConstraints,keyUsage,extendedKeyUsage"]);
    let lines: Vec<_> = told.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "X509v3 Key Usage: critical",
            "Certificate Sign, CRL Sign",
            "X509v3 Extended Key Usage:",
            "TLS Web Server Authentication",
            "X509v3 Name Constraints: critical",
            "Permitted:",
            &format!("DNS:{OPENAI}"),
            &format!("DNS:{SEARCH}"),
            "Excluded:",
            "IP:0.0.0.0/0.0.0.0",
            "IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0",
            "X509v3 Basic Constraints: critical",
            "CA:TRUE, pathlen:0",
        ]
    );
    let home = authority.path("");
    let leaf = |name: &str| run(&home, &["cert", "leaf", "--ca", "ca", "--out", "tls", name], &[]);
    let fix = "make an authority for all names that are needed, and have the clients trust it";
    for foreign in ["example.com", "other.openai.azure.com", "notcontoso.openai.azure.com"] {
        let (code, output, errors) = leaf(foreign);
        assert_eq!((code, &*output, errors), (Some(2), "", format!("ca/ca.pem: is not for {foreign}: {fix}\n")));
        assert!(!authority.path(&format!("tls/{foreign}.pem")).exists());
    }
    for wrong in ["*.openai.azure.com", "127.0.0.1", "https://contoso.openai.azure.com", "contoso.openai.azure.com."] {
        let (code, _, errors) = leaf(wrong);
        let fix = "is no host name: write one like contoso.openai.azure.com";
        assert_eq!((code, errors), (Some(2), format!("command line: \"{wrong}\" {fix}\n")));
    }
    assert_eq!(leaf("below.contoso.openai.azure.com").0, Some(0));
}

#[test]
fn a_certificate_is_one_that_clients_take() {
    let authority = Authority::new();
    let cert = authority.path(&format!("tls/{OPENAI}.pem"));
    assert_eq!(mode(&authority.path(&format!("tls/{OPENAI}.key"))), 0o600);
    let verified = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", OPENAI, "-CAfile"])
        .args([&authority.path("ca/ca.pem"), &cert])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    // Apple's systems take at most 398 days, from the first to the last.
    assert!(read(&cert, &["-checkend", "34214400"]).contains("will not expire"));
    let checked = Command::new("openssl").args(["x509", "-noout", "-checkend", "34387200", "-in"]).arg(&cert).output();
    assert!(!checked.unwrap().status.success());
}

#[test]
fn nothing_is_replaced_that_was_not_to_be() {
    let authority = Authority::new();
    let home = authority.path("");
    let (ca, key) = (authority.pem(), fs::read(authority.path(&format!("tls/{OPENAI}.key"))).unwrap());
    let again = ["cert", "ca", "--out", "ca", OPENAI];
    let stays = "is there already, and stays: add --replace, or name another place\n";
    assert_eq!(run(&home, &again, &[]), (Some(2), String::new(), format!("ca/ca.key: {stays}")));
    let leaf = ["cert", "leaf", "--ca", "ca", "--out", "tls", OPENAI];
    assert_eq!(run(&home, &leaf, &[]), (Some(2), String::new(), format!("tls/{OPENAI}.key: {stays}")));
    assert_eq!(authority.pem(), ca);
    assert_eq!(fs::read(authority.path(&format!("tls/{OPENAI}.key"))).unwrap(), key);

    let (code, told, _) = run(&home, &[&leaf[..], &["--replace"]].concat(), &[]);
    assert_eq!(code, Some(0));
    assert!(told.starts_with(&format!("tls/{OPENAI}.pem and tls/{OPENAI}.key, until 20")), "{told}");
    assert_ne!(fs::read(authority.path(&format!("tls/{OPENAI}.key"))).unwrap(), key);
    assert_eq!(mode(&authority.path(&format!("tls/{OPENAI}.key"))), 0o600);
    // Nothing is left of how it was done.
    assert_eq!(fs::read_dir(authority.path("tls")).unwrap().count(), 4);

    assert_eq!(run(&home, &[&again[..], &["--replace"]].concat(), &[]).0, Some(0));
    assert_ne!(authority.pem(), ca);
}

#[test]
fn an_authority_that_is_no_keyswaps_signs_nothing() {
    let authority = Authority::new();
    let home = authority.path("");
    fs::write(authority.path("ca/ca.key"), fs::read(authority.path(&format!("tls/{OPENAI}.key"))).unwrap()).unwrap();
    let (code, _, errors) = run(&home, &["cert", "leaf", "--ca", "ca", "--out", "new", OPENAI], &[]);
    assert_eq!(code, Some(2));
    assert!(errors.starts_with("ca/ca.pem: does not go with the private key ca/ca.key: "), "{errors}");
    let (code, _, errors) = run(&home, &["cert", "leaf", "--ca", "nowhere", "--out", "new", OPENAI], &[]);
    assert_eq!(code, Some(2));
    assert!(errors.starts_with("nowhere/ca.pem: cannot be read as a PEM certificate chain: "), "{errors}");
}

/// Settings that show certificates from a directory.
const SETTINGS: &str = "keys = \"keys.toml\"\n[listen]\nhttps = \"127.0.0.1:0\"\n[tls]\ndirectory = \"tls\"\n\
                        [identities.machine]\nkind = \"managed-identity\"\n\
                        [resources.ai]\nendpoint = \"https://contoso.openai.azure.com\"\nidentity = \"machine\"\n";

fn check(authority: &Authority) -> (Option<i32>, String, String) {
    let home = authority.path("");
    fs::write(home.join("keyswap.toml"), SETTINGS).unwrap();
    fs::write(home.join("keys.toml"), crate::world::client("a", "a key", "{ resource = \"ai\" }")).unwrap();
    run(&home, &["check"], &[])
}

#[test]
fn a_check_tells_what_certificates_are_for_and_when_one_ends() {
    let authority = Authority::new();
    let (code, told, errors) = check(&authority);
    assert_eq!((code, &*errors), (Some(0), ""));
    for name in [OPENAI, SEARCH] {
        assert!(told.contains(&format!("certificate tls/{name}.pem: for {name}, until 20")), "{told}");
    }
    assert!(!told.contains("note: it"), "{told}");

    for (days, note) in [(29, "ends in 28 days"), (-1, "has ended: clients refuse it")] {
        own(&authority, OPENAI, OPENAI, days);
        let (code, told, _) = check(&authority);
        assert_eq!(code, Some(0));
        assert!(told.contains(&format!("\n  note: it {note}")), "{told}");
    }
}

/// Somebody's certificate, which signs itself, as `tls/FILE.pem`: for a name or an address, good for so many days from now.
fn own(authority: &Authority, file: &str, name: &str, days: i64) {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = OffsetDateTime::now_utc() + time::Duration::days(days);
    let key = KeyPair::generate().unwrap();
    let path = |extension: &str| authority.path(&format!("tls/{file}.{extension}"));
    fs::write(path("pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(path("key"), key.serialize_pem()).unwrap();
}

#[test]
fn what_is_wrong_in_a_directory_is_told_with_its_file() {
    let wrong = |change: &dyn Fn(&Authority)| {
        let authority = Authority::new();
        change(&authority);
        let (code, _, errors) = check(&authority);
        assert_eq!(code, Some(2));
        errors
    };
    let of = |authority: &Authority, name: &str| authority.path(&format!("tls/{name}"));
    let lone = wrong(&|authority| fs::remove_file(of(authority, &format!("{OPENAI}.key"))).unwrap());
    assert_eq!(lone, format!("tls/{OPENAI}.pem: stands alone: {OPENAI}.key must be beside it\n"));
    let lone = wrong(&|authority| fs::remove_file(of(authority, &format!("{OPENAI}.pem"))).unwrap());
    assert_eq!(lone, format!("tls/{OPENAI}.key: stands alone: {OPENAI}.pem must be beside it\n"));
    let twice = wrong(&|authority| own(authority, "z", OPENAI, 90));
    assert_eq!(twice, format!("tls/z.pem: is for {OPENAI}, as tls/{OPENAI}.pem is: take one of them away\n"));
    let nameless = wrong(&|authority| own(authority, "z", "127.0.0.1", 90));
    let fix = "is for no DNS name, and so nobody is ever shown it: make it tls.cert, or take it away";
    assert_eq!(nameless, format!("tls/z.pem: {fix}\n"));
    let empty = wrong(&|authority| {
        fs::remove_dir_all(authority.path("tls")).unwrap();
        fs::create_dir(authority.path("tls")).unwrap();
        fs::write(of(authority, "README"), "nothing here").unwrap();
    });
    assert_eq!(empty, "tls: holds no certificate: it must have pairs, NAME.pem and NAME.key\n");
    let gone = wrong(&|authority| fs::remove_dir_all(authority.path("tls")).unwrap());
    assert_eq!(gone, "tls: cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn each_client_is_told_in_its_own_way() {
    let authority = Authority::new();
    let home = authority.path("");
    let folder = fs::canonicalize(authority.path("ca")).unwrap().display().to_string();
    let told = |clients: &[&str]| {
        let clients: Vec<_> = clients.iter().flat_map(|client| ["--for", *client]).collect();
        let (code, told, errors) = run(&home, &[&["env", "--ca", "ca/ca.pem"], &clients[..]].concat(), &[]);
        assert_eq!((code, &*errors), (Some(0), ""));
        told
    };
    let line = |variable: &str, file: &str| format!("export {variable}='{folder}/{file}'\n");
    let both = line("REQUESTS_CA_BUNDLE", "bundle.pem") + &line("SSL_CERT_FILE", "bundle.pem");
    assert_eq!(told(&["node"]), line("NODE_EXTRA_CA_CERTS", "ca.pem"));
    assert!(!authority.path("ca/bundle.pem").exists(), "node adds to what it trusts");
    assert_eq!(told(&["openai-0.28"]), both);
    assert_eq!(told(&["azure-search"]), both);
    assert_eq!(told(&["openai"]), line("SSL_CERT_FILE", "bundle.pem"));
    assert_eq!(told(&["curl"]), line("CURL_CA_BUNDLE", "bundle.pem"));
    assert_eq!(told(&["openai", "azure-search", "node"]), {
        line("SSL_CERT_FILE", "bundle.pem")
            + &line("REQUESTS_CA_BUNDLE", "bundle.pem")
            + &line("NODE_EXTRA_CA_CERTS", "ca.pem")
    });
    let untried = "# .NET: from its documentation, not tried; on Linux alone, elsewhere it asks the system's store.\n";
    assert_eq!(told(&["dotnet"]), untried.to_owned() + &line("SSL_CERT_FILE", "bundle.pem"));
    let java = told(&["java"]);
    assert!(java.contains(&format!("keytool -importcert -noprompt -alias keyswap -file '{folder}/ca.pem'")), "{java}");
}

/// What a client trusts otherwise it trusts still, and of ours the newest alone.
#[test]
fn a_bundle_holds_what_the_system_trusts_and_the_authority() {
    let authority = Authority::new();
    let home = authority.path("");
    let certificates =
        |file: &Path| CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let bundle = authority.path("ca/bundle.pem");
    let trusting = |file: &Path| [("SSL_CERT_FILE", file.display().to_string())];
    let system = authority.path("system.pem");
    own(&authority, "public", "public.example", 90);
    fs::copy(authority.path("tls/public.pem"), &system).unwrap();
    let arguments = ["env", "--for", "openai", "--ca", "ca/ca.pem"];
    assert_eq!(run(&home, &arguments, &trusting(&system)).0, Some(0));
    let (ca, public) = (certificates(&authority.path("ca/ca.pem")), certificates(&system));
    assert_eq!(certificates(&bundle), [&ca[..], &public[..]].concat());

    // Once more, from a shell that has been told already, for an authority that is new.
    assert_eq!(run(&home, &["cert", "ca", "--out", "ca", "--replace", OPENAI], &[]).0, Some(0));
    assert_eq!(run(&home, &arguments, &trusting(&bundle)).0, Some(0));
    let ca = certificates(&authority.path("ca/ca.pem"));
    assert_eq!(certificates(&bundle), [&ca[..], &public[..]].concat());
}

#[test]
fn what_cannot_be_told_is_said() {
    let home = directory(&[("empty.pem", "")]);
    let (code, _, errors) = run(home.path(), &["env", "--for", "curl", "--ca", "empty.pem"], &[]);
    assert_eq!((code, &*errors), (Some(2), "empty.pem: holds no certificate: it must have one or more in PEM\n"));
    let authority = Authority::new();
    let arguments = ["env", "--for", "curl", "--ca", "ca/ca.pem", "--bundle", "no/where"];
    let (code, _, errors) = run(&authority.path(""), &arguments, &[]);
    let fix = "cannot be written: No such file or directory (os error 2); name another with --bundle";
    assert_eq!((code, errors), (Some(2), format!("no/where: {fix}\n")));
}

/// The lines as a shell reads them, wherever the files are.
#[test]
fn a_shell_takes_the_lines() {
    let home = tempfile::tempdir().unwrap();
    let odd = home.path().join("it's a \"$HOME\"");
    let ca = odd.join("ca");
    fs::create_dir(&odd).unwrap();
    assert_eq!(run(&odd, &["cert", "ca", "--out", "ca", OPENAI], &[]).0, Some(0));
    let (_, lines, _) = run(&odd, &["env", "--for", "node", "--ca", "ca/ca.pem"], &[]);
    let script = format!("{lines}\nprintf %s \"$NODE_EXTRA_CA_CERTS\"");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), ca.join("ca.pem").display().to_string());
}
