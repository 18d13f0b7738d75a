//! Several replicas behind one name, as that of a headless service in Kubernetes: one of them has had the request.

use std::fs;

use azure_emulator::{Door, Emulator};
use http::Method;

use crate::gateway::{Gateway, run};
use crate::namespace::was_run_inside;
use crate::world::{Plan, World, files, keys, settings};

const SECRET: &str = "an-admin-secret-of-a-test";

/// The usual settings of the replica that has this address.
fn at(address: &str, text: &str) -> String {
    let admin = format!("address = \"{address}:9090\"\nsecret_env = \"ADMIN_SECRET\"\n");
    text.replace("address = \"127.0.0.1:0\"\n", &admin)
}

fn environment() -> Vec<(&'static str, String)> {
    vec![("ADMIN_SECRET", SECRET.to_owned())]
}

/// One more replica, beside the world's own.
async fn replica(world: &World, address: &str) -> Gateway {
    let text = at(address, &settings(&world.emulator, Door::Behind));
    let directory = files(&world.emulator, &text, &keys(&world.emulator));
    Gateway::start(directory, &["--config".to_owned(), "keyswap.toml".to_owned()], &environment()).await
}

/// The id of a request that a replica refuses.
async fn refused(world: &World, by: &Gateway) -> String {
    let answer = world.client.call(Method::GET, &format!("http://{}/nowhere", by.http)).send().await;
    answer.header("x-keyswap-request-id").unwrap().to_owned()
}

#[tokio::test]
async fn whichever_has_had_it_is_asked() {
    let hosts = "127.0.0.1 localhost\n127.0.0.1 replicas\n127.0.0.2 replicas\n";
    if was_run_inside("why::replicas::whichever_has_had_it_is_asked", hosts, "") {
        return;
    }
    let first = |text: String, _: &Emulator| at("127.0.0.1", &text);
    let world = Plan { settings: Box::new(first), environment: environment(), ..Plan::default() }.start().await;
    fs::write(world.gateway.directory.path().join("secret"), SECRET).unwrap();
    let why = |arguments: &[&str]| {
        let asked = ["why", "--admin", "http://replicas:9090", "--admin-secret-file", "secret"];
        run(world.gateway.directory.path(), &[&asked, arguments].concat(), &[])
    };
    let unheard = "127.0.0.2:9090 does not answer: Connection refused (os error 111)\n";
    let id = refused(&world, &world.gateway).await;
    let other = "00000000-0000-4000-8000-000000000000";
    // What the one that answers has not had the other may have.
    assert_eq!(why(&[other]), (Some(2), String::new(), unheard.to_owned()));
    let (code, told, besides) = why(&[&id]);
    assert_eq!((code, &*besides), (Some(0), ""));
    assert!(told.contains("\nstep:      route\n"), "{told}");
    let (code, told, besides) = why(&[]);
    assert_eq!((code, &*besides, told.lines().count()), (Some(2), unheard, 2), "{told}");

    let second = replica(&world, "127.0.0.2").await;
    let seconds = refused(&world, &second).await;
    for id in [&id, &seconds] {
        assert_eq!(why(&[id]).0, Some(0));
    }
    let (code, told, besides) = why(&[]);
    let listed: Vec<_> = told.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!((code, &*besides, listed), (Some(0), "", vec![&*seconds, &*id]));
    let (code, _, told) = why(&[other]);
    assert!(code == Some(1) && told.starts_with("No such request is kept. "), "{told}");
    let (code, _, told) = run(world.gateway.directory.path(), &["why", "--admin", "no-such-name:9090"], &[]);
    assert!(code == Some(2) && told.starts_with("no-such-name:9090 cannot be found: "), "{told}");
}
