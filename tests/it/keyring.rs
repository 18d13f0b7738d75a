//! `keyswap keys`: what it writes, what it says, and what it leaves alone.

mod import;
mod places;

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use keyswap::keys::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gateway::{self, command, directory, run};

const SETTINGS: &str = r#"
keys = "keys.toml"
[identities.app]
kind = "managed-identity"
[resources.ai]
endpoint = "https://contoso.openai.azure.com"
identity = "app"
[resources.find]
endpoint = "https://contoso.search.windows.net"
identity = "app"
"#;

const KEYS: &str = "\
# Who may do what.
[clients.old] # since 2019
keys = [
  { id = \"old-1\", sha256 = \"6f40cf141630466a3783a2147da4b80bba2f8e93cff3ed9c8ec9fa60c95f3ab2\" }, # Ann's
]
grants = [{ resource = \"ai\" }]
# The end.
";

/// Settings and these keys.
fn files(keys: &str) -> std::sync::Arc<TempDir> {
    directory(&[("keyswap.toml", SETTINGS), ("keys.toml", keys)])
}

/// `keyswap keys` with these arguments: exit code, standard output, standard error.
fn keys(directory: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    run(directory.path(), &[&["keys"], arguments].concat(), &[])
}

/// What is printed, where all is well.
fn done(directory: &TempDir, arguments: &[&str]) -> String {
    let (code, answer, told) = keys(directory, arguments);
    assert_eq!(code, Some(0), "{told}");
    answer
}

/// The same with this on standard input.
fn given(directory: &TempDir, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    gateway::given(command(directory.path(), &[]).arg("keys").args(arguments), input)
}

/// What is said, where nothing is done.
fn refused(directory: &TempDir, arguments: &[&str]) -> String {
    let before = fs::read_to_string(directory.path().join("keys.toml")).unwrap();
    let (code, answer, told) = keys(directory, arguments);
    assert_eq!((code, answer.as_str()), (Some(2), ""), "{told}");
    assert_eq!(fs::read_to_string(directory.path().join("keys.toml")).unwrap(), before);
    told
}

/// The file of keys, its moments of today all the same.
fn written(directory: &Path) -> String {
    let text = fs::read_to_string(directory.join("keys.toml")).unwrap();
    let mut parts = text.split("created = ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + "created = NOW" + &part["2026-11-22T09:00:00Z".len()..])
}

#[test]
fn a_new_key_is_printed_once_and_its_digest_written_below_the_others() {
    let directory = files(KEYS);
    let new = ["new", "--client", "shop", "--resource", "find", "--allow", "search-query", "--id", "shop-1"];
    let (code, answer, told) =
        keys(&directory, &[&new[..], &["--expires", "2099-01-31", "--note", "asked \"Ann\""]].concat());
    let key = answer.strip_suffix('\n').unwrap();
    assert_eq!((code, key.len()), (Some(0), 52));
    assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(told, "key shop-1 of shop: shown this once, and kept nowhere\nit is good until 2099-01-31T00:00:00Z\n");
    let digest = Digest::of(key.as_bytes());
    assert_eq!(
        written(directory.path()),
        format!(
            "{KEYS}
[clients.shop]
keys = [
  {{ id = \"shop-1\", sha256 = \"{digest}\", created = NOW, expires = 2099-01-31T00:00:00Z, note = 'asked \"Ann\"' }},
]
grants = [{{ resource = \"find\", allow = [\"search-query\"] }}]
"
        )
    );
    // A second key, in the shape of the plane, or in another.
    assert_eq!(done(&directory, &["new", "--client", "old"]).trim_end().len(), 84);
    assert_eq!(done(&directory, &["new", "--client", "shop", "--shape", "32"]).trim_end().len(), 32);
    let both = ["--json", "new", "--client", "both", "--resource", "ai", "--resource", "find", "--shape", "84"];
    let told: Value = serde_json::from_str(&done(&directory, &both)).unwrap();
    assert_eq!((told["client"].as_str(), told["key"].as_str().unwrap().len()), (Some("both"), 84));
    let text = written(directory.path());
    assert!(text.contains(&Digest::of(told["key"].as_str().unwrap().as_bytes()).to_string()));
    assert!(!text.contains(key) && !text.contains(told["key"].as_str().unwrap()));
    let (code, report, _) = run(directory.path(), &["check"], &[]);
    assert_eq!((code, report.lines().last()), (Some(0), Some("ok: 5 keys")));
}

#[test]
fn a_client_has_two_good_keys_at_the_most() {
    let directory = files(KEYS);
    let (code, key, told) = keys(&directory, &["rotate", "old", "--id", "old-2", "--keep", "36500d"]);
    assert_eq!((code, key.trim_end().len()), (Some(0), 84));
    let text = fs::read_to_string(directory.path().join("keys.toml")).unwrap();
    let until = text.split("expires = ").nth(1).unwrap()[..20].to_owned();
    let former = format!("key old-1, which old has had, is good until {until}\n");
    assert_eq!(told, format!("key old-2 of old: shown this once, and kept nowhere\n{former}"));
    assert_eq!(
        written(directory.path()),
        KEYS.replace(
            "3ab2\" }, # Ann's\n",
            &format!(
                "3ab2\", expires = {until} }}, # Ann's\n  {{ id = \"old-2\", sha256 = \"{}\", created = NOW }},\n",
                Digest::of(key.trim_end().as_bytes())
            )
        )
    );
    let third =
        format!("old has 2 good keys already: old-1 (until {until}), old-2: revoke one with keyswap keys revoke\n");
    assert_eq!(refused(&directory, &["rotate", "old"]), format!("command line: CLIENT: {third}"));
    assert_eq!(refused(&directory, &["new", "--client", "old"]), format!("command line: --client: {third}"));
    done(&directory, &["expire", "old-1", "--at", "2026-01-01"]);
    let told: Value = serde_json::from_str(&done(&directory, &["rotate", "old", "--id", "old-3", "--json"])).unwrap();
    assert_eq!((&told["id"], &told["former"]["id"]), (&json!("old-3"), &json!("old-2")));
    // Nor does one come back.
    let again = refused(&directory, &["expire", "old-1", "--in", "1d"]);
    assert!(again.starts_with("command line: KEY-ID: old has 2 good keys already: old-2 (until "), "{again}");
    done(&directory, &["revoke", "old-2"]);
    done(&directory, &["revoke", "old-3"]);
    let told = refused(&directory, &["rotate", "old"]);
    assert_eq!(told, "command line: CLIENT: old has no good key: make one with keyswap keys new\n");
}

#[test]
fn keys_are_taken_back_and_listed() {
    let directory = files(KEYS);
    assert_eq!(done(&directory, &["revoke", "old-1"]), "key old-1 of old: revoked\n");
    let revoked = KEYS.replace("3ab2\" }", "3ab2\", revoked = true }");
    assert_eq!(written(directory.path()), revoked);
    assert_eq!(
        done(&directory, &["list"]),
        "CLIENT  ID     STATE    CREATED  NOT BEFORE  EXPIRES  NOTE  GRANTS\n\
         old     old-1  revoked  -        -           -        -     ai: inference\n"
    );
    let told: Value = serde_json::from_str(&done(&directory, &["revoke", "old-1", "--now", "--json"])).unwrap();
    assert_eq!(told, json!({"client": "old", "id": "old-1", "revoked": true, "cut": true}));
    assert_eq!(written(directory.path()), revoked.replace("revoked = true", "revoked = true, cut = true"));
    let told = done(&directory, &["expire", "old-1", "--at", "2099-01-31T12:00:00+01:00"]);
    assert_eq!(told, "key old-1 of old: good until 2099-01-31T11:00:00Z\n");
    let list: Value = serde_json::from_str(&done(&directory, &["list", "--json"])).unwrap();
    let grants = json!([{
        "resource": "ai", "families": ["inference"], "access": ["read", "write", "manage"], "deployments": null
    }]);
    let key = json!({
        "client": "old", "id": "old-1", "state": "revoked", "revoked": true, "cut": true, "created": null,
        "not_before": null, "expires": "2099-01-31T11:00:00Z", "note": null, "grants": grants
    });
    assert_eq!(list, json!([key]));
}

#[test]
fn a_key_is_verified_and_never_repeated() {
    let directory = files(KEYS);
    let key = done(&directory, &["new", "--client", "shop", "--resource", "ai", "--id", "shop-1"]);
    let verify = |arguments: &[&str], input: &str| {
        let (code, answer, told) = given(&directory, &[&["verify"], arguments].concat(), input);
        assert!(input.len() < 8 || !(answer.clone() + &told).contains(input.trim()), "{answer}{told}");
        (code, answer + &told)
    };
    let told = |text: &str| text.to_owned();
    assert_eq!(verify(&[], &key), (Some(0), told("key shop-1 of shop: good\n")));
    let (code, answer) = verify(&["--json"], key.trim_end());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((code, &answer["id"], &answer["good"]), (Some(0), &json!("shop-1"), &json!(true)));
    done(&directory, &["expire", "shop-1", "--at", "2099-01-31"]);
    assert_eq!(verify(&[], &key), (Some(0), told("key shop-1 of shop: good until 2099-01-31T00:00:00Z\n")));
    done(&directory, &["revoke", "shop-1"]);
    assert_eq!(verify(&[], &key), (Some(1), told("key shop-1 of shop: revoked\n")));
    assert_eq!(verify(&[], &format!("{}x", key.trim_end())), (Some(1), told("a key that is not listed\n")));
    let several = told("standard input: has more than one line: verify one key at a time\n");
    assert_eq!(verify(&[], &format!("{key}{key}")), (Some(2), several));
    let empty = "standard input: is empty: pipe the key in, like printf %s \"$KEY\" | keyswap keys verify\n";
    assert_eq!(verify(&[], "\n"), (Some(2), told(empty)));
    // As an argument it is refused, and not repeated by that either.
    let (code, answer, told) = keys(&directory, &["verify", key.trim_end()]);
    assert!(
        code == Some(2) && answer.is_empty() && told.starts_with("standard input: is where a key goes: "),
        "{told}"
    );
    assert!(!told.contains(key.trim_end()));
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_written() {
    let directory = files(KEYS);
    for (arguments, told) in [
        (&["revoke", "nobody's"][..], "KEY-ID: is no key's: keyswap keys list shows them all"),
        (&["rotate", "nobody"], "CLIENT: is no client: keyswap keys list shows them all, keyswap keys new adds one"),
        (&["new", "--client", "x"], "--resource: is missing: the client is new; name what it may call: ai, find"),
        (&["new", "--client", "x", "--resource", "y"], "--resource: must be one of: ai, find"),
        (
            &["new", "--client", "x y", "--plane", "openai"],
            "--client: must be made of letters, digits and - _ . @, and not begin with a hyphen",
        ),
        (
            &["new", "--client", "old", "--allow", "openai"],
            "--allow: old is there, and has grants already: change those in the file",
        ),
        (&["new", "--client", "old", "--id", "old-1"], "--id: is the id of a key of old already"),
        (&["new", "--client", "old", "--expires", "2020-01-01"], "--expires: is in the past"),
        (&["new", "--client", "old", "--note", "a\nb"], "--note: must be one line of text"),
        (&["rotate", "old", "--keep", "9999999d"], "--keep: is too long: until 9999-12-31T00:00:00Z at most"),
        (
            &["new", "--client", "x", "--resource", "ai", "--resource", "find"],
            "--plane: is missing: x may call both; say whose keys its key looks like",
        ),
    ] {
        assert_eq!(refused(&directory, arguments), format!("command line: {told}\n"));
    }
    // The reader has the last word.
    let told = refused(&directory, &["new", "--client", "x", "--resource", "ai", "--allow", "magic"]);
    assert_eq!(
        told,
        "keys.toml (as it would be; nothing was written):11:39: clients.x.grants[0].allow[0]: must be one of: inference, \
         responses, files, batches, assistants, fine-tuning, evaluations, realtime, realtime-secrets, openai\n"
    );
    fs::write(directory.path().join("keys.toml"), "[clients.a]\nkeys = 9f86d081884c7d65\n").unwrap();
    for arguments in [&["list"][..], &["revoke", "a"], &["new", "--client", "a"]] {
        let told = refused(&directory, arguments);
        assert!(told.contains("keys.toml:2:8: not TOML: ") && !told.contains("9f86d081884c7d65"), "{told}");
    }
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

/// Eight at once: each waits for those before it, and none undoes what another has done.
#[test]
fn editors_wait_for_each_other() {
    let directory = files("");
    let start = |n: usize| {
        let (client, plane) = (format!("c{n}"), ["openai", "search"][n % 2]);
        let mut command = command(directory.path(), &[]);
        command
            .args(["keys", "new", "--client", &client, "--plane", plane])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let children: Vec<Child> = (0..8).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let list: Value = serde_json::from_str(&done(&directory, &["list", "--json"])).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 8);
}
