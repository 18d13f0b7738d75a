//! Keys that clients have already.

use std::fs;
use std::os::unix::fs::symlink;

use keyswap::keys::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{done, files, given, refused, written};

/// As random as Azure's: of their lengths, and nobody's.
fn key(n: u8, length: usize) -> String {
    format!("{}{}", Digest::of(&[n]), Digest::of(&[n, n]))[..length].to_owned()
}

/// The ids that are listed, each found by its key.
fn listed(directory: &TempDir) -> Vec<(String, Value)> {
    let list: Value = serde_json::from_str(&done(directory, &["list", "--json"])).unwrap();
    let keys = list.as_array().unwrap().iter();
    keys.map(|key| (key["id"].as_str().unwrap().to_owned(), key["grants"][0]["families"].clone())).collect()
}

#[test]
fn a_key_as_an_argument_is_refused_and_not_repeated() {
    let directory = files("");
    let told = refused(&directory, &["import", "--client", "chat", &key(1, 84)]);
    assert_eq!(
        told,
        "standard input: is where a key goes: as an argument others can see it, and the shell remembers it. Rotate the \
         one that was shown\n"
    );
}

#[test]
fn what_az_prints_is_known_by_its_shape() {
    let directory = files("");
    let import = |client: &str, input: &Value| {
        let (code, answer, told) = given(&directory, &["import", "--client", client], &input.to_string());
        assert_eq!(code, Some(0), "{told}");
        answer
    };
    let openai = json!({"key1": key(1, 84), "key2": key(2, 32)});
    assert_eq!(import("chat", &openai), "key chat-key1 of chat: imported\nkey chat-key2 of chat: imported\n");
    assert_eq!(import("chat", &openai), "key chat-key1 of chat: there already\nkey chat-key2 of chat: there already\n");
    import("admin", &json!({"primaryKey": key(3, 52), "secondaryKey": key(4, 52)}));
    import("query", &json!([{"key": key(5, 52), "name": null}, {"key": key(6, 52), "name": "shop site"}]));
    let documents = json!(["documents-read", "documents-write"]);
    let expected = [
        ("admin-primaryKey", documents.clone()),
        ("admin-secondaryKey", documents),
        ("chat-key1", json!(["inference"])),
        ("chat-key2", json!(["inference"])),
        // What such keys may do at Azure, and no more.
        ("query-query", json!(["documents-read"])),
        ("query-shop-site", json!(["documents-read"])),
    ];
    assert_eq!(listed(&directory), expected.map(|(id, families)| (id.to_owned(), families)));
    let text = fs::read_to_string(directory.path().join("keys.toml")).unwrap();
    for n in 1..=6 {
        assert!(!text.contains(&key(n, 32)));
        assert_eq!(given(&directory, &["verify"], &key(n, [84, 32, 52, 52, 52, 52][usize::from(n) - 1])).0, Some(0));
    }
}

#[test]
fn lines_and_secrets_are_imported_and_no_mistake_repeats_a_key() {
    let directory = files("");
    let path = |name: &str| directory.path().join(name);
    let (code, answer, _) = given(
        &directory,
        &["import", "--client", "a", "--resource", "ai"],
        &format!("{}\n\n{}\r\n", key(1, 32), key(2, 84)),
    );
    assert_eq!((code, answer.as_str()), (Some(0), "key a-imported of a: imported\nkey a-imported-2 of a: imported\n"));
    // As Kubernetes mounts a Secret.
    fs::create_dir_all(path("secret/..2026")).unwrap();
    fs::write(path("secret/..2026/chat"), key(3, 84)).unwrap();
    symlink("..2026", path("secret/..data")).unwrap();
    symlink("..data/chat", path("secret/chat")).unwrap();
    let answer = done(&directory, &["import", "--client", "a", "--from", "secret"]);
    assert_eq!(answer, "key a-chat of a: imported\n");
    let before = fs::read_to_string(path("keys.toml")).unwrap();
    let weak = "my-very-long-secret-api-key-for-azure-search";
    for (input, told) in [
        (
            format!("{}\n{weak}\n", key(9, 32)),
            "standard input:2:1: a key that is made of words can be guessed: make a random one: openssl rand -hex 32\n",
        ),
        (
            format!("{{\"key\": \"{}\"}}", key(9, 32)),
            "standard input: is JSON without keys: give it what az cognitiveservices account keys list, az search admin-key show or az search query-key list prints\n",
        ),
        (format!("{{\"key1\": \"{}", key(9, 32)), "standard input: is no JSON: line 1, column 42\n"),
        (key(1, 32), "standard input:1:1: is the key a-imported of a already: one key, one owner\n"),
        (String::new(), "standard input: holds no key\n"),
    ] {
        let answer = given(&directory, &["import", "--client", "b", "--resource", "ai"], &input);
        assert_eq!(answer, (Some(2), String::new(), told.to_owned()));
        assert_eq!(fs::read_to_string(path("keys.toml")).unwrap(), before);
    }
}

#[test]
fn what_is_imported_may_have_an_end_and_a_note() {
    let directory = files("");
    let import = ["import", "--client", "a", "--resource", "ai", "--expires", "2099-01-31", "--note", "Azure's own"];
    let (code, answer, _) = given(&directory, &import, &key(1, 84));
    assert_eq!((code, &*answer), (Some(0), "key a-imported of a: imported, good until 2099-01-31T00:00:00Z\n"));
    let text = written(directory.path());
    let more = "created = NOW, expires = 2099-01-31T00:00:00Z, note = \"Azure's own\" }";
    assert!(text.contains(more), "{text}");
    // What is listed already stays as it is.
    let again = ["import", "--client", "a", "--expires", "2098-01-31", "--json"];
    let (_, answer, _) = given(&directory, &again, &format!("{}\n{}\n", key(1, 84), key(2, 84)));
    let told: Value = serde_json::from_str(&answer).unwrap();
    let there = json!({"id": "a-imported", "was_there": true});
    let new = json!({"id": "a-imported-2", "was_there": false, "expires": "2098-01-31T00:00:00Z"});
    assert_eq!(told, json!({"client": "a", "keys": [there, new]}));
    assert!(written(directory.path()).contains(more));
    let late = ["import", "--client", "a", "--expires", "2020-01-31"];
    let past = "command line: --expires: is in the past\n".to_owned();
    assert_eq!(given(&directory, &late, &key(3, 84)), (Some(2), String::new(), past));
}
