//! Each kind of identity, with the unmodified `azure_identity`, as the journal saw its token call.

use azure_emulator::{Cloud, Door, Emulator, Options, Plane};
use serde_json::{Value, json};

use crate::gateway::{LIMIT, directory};
use crate::namespace::was_run_inside;
use crate::world::{CHAT, Plan, SEARCH, World, saying};

/// The usual world, with another identity of the same name.
pub(crate) fn with_identity(identity: &'static str) -> Plan {
    Plan {
        settings: Box::new(move |text, _| {
            let (head, rest) = text.split_once("[identities.app]").unwrap();
            let (_, resources) = rest.split_once("[resources.").unwrap();
            format!("{head}[identities.app]\n{identity}\n[resources.{resources}")
        }),
        ..Plan::default()
    }
}

async fn both_planes_answer(world: &World) {
    let keys = world.emulator.keys();
    let answer = world.post(CHAT).key(&keys.openai).json(&saying("hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = world.post(SEARCH).key(&keys.search_query).json(&json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The targets of the token calls, sorted.
fn token_calls(world: &World, plane: Plane) -> Vec<String> {
    let entries = world.emulator.journal().entries();
    let mut calls: Vec<_> =
        entries.into_iter().filter(|entry| entry.plane == plane).map(|entry| entry.target).collect();
    calls.sort();
    calls
}

#[tokio::test]
async fn a_client_secret() {
    let world = World::start().await;
    both_planes_answer(&world).await;
    let path = format!("/{}/oauth2/v2.0/token", world.emulator.app().tenant);
    assert_eq!(token_calls(&world, Plane::Entra), [path.clone(), path]);
}

/// The identity endpoint is asked as App Service wants it, and named by the environment of the process.
#[tokio::test]
async fn a_managed_identity_of_app_service() {
    for (identity, named) in
        [("kind = \"managed-identity\"", false), ("kind = \"managed-identity\"\nclient_id = \"ID\"", true)]
    {
        let emulator = Emulator::start(Options::default()).await.unwrap();
        let endpoint = emulator.identity_endpoint();
        let id = emulator.system_identity().client_id;
        let identity = identity.replace("ID", &id);
        let settings = settings_without_entra(&emulator, &identity);
        let keys = crate::world::client("chat", &emulator.keys().openai, "{ resource = \"ai\" }");
        let files = directory(&[("keyswap.toml", &settings), ("keys.toml", &keys), ("ca.pem", emulator.ca_pem())]);
        let client = crate::client::Client::trusting(&files.path().join("ca.pem"));
        let environment = [("IDENTITY_ENDPOINT", endpoint.url), ("IDENTITY_HEADER", endpoint.header)];
        let arguments = ["--config".to_owned(), "keyswap.toml".to_owned()];
        let gateway = crate::gateway::Gateway::start(files, &arguments, &environment).await;
        let world = World { emulator, gateway, client };
        let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let query = "api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com";
        let chosen = if named { format!("&client_id={id}") } else { String::new() };
        assert_eq!(token_calls(&world, Plane::Identity), [format!("/msi/token?{query}{chosen}")]);
    }
}

/// The scope follows the cloud, and so does the token's audience.
#[tokio::test]
async fn the_cloud_decides_the_audience() {
    let plan = Plan {
        options: Options { cloud: Cloud::Government, ..Options::default() },
        settings: Box::new(|text, _| format!("cloud = \"us-government\"\n{text}")),
        ..Plan::default()
    };
    let world = plan.start().await;
    both_planes_answer(&world).await;
}

/// IMDS at its own address.
#[tokio::test]
async fn a_managed_identity_of_a_machine() {
    let address = "ip addr add 169.254.169.254/32 dev lo";
    if was_run_inside("identities::a_managed_identity_of_a_machine", "", address) {
        return;
    }
    let plan = Plan {
        options: Options { imds: Some(([169, 254, 169, 254], 80).into()), ..Options::default() },
        ..with_identity("kind = \"managed-identity\"")
    };
    let world = plan.start().await;
    both_planes_answer(&world).await;
    assert_eq!(
        token_calls(&world, Plane::Imds),
        [
            "/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com",
            "/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https%3A%2F%2Fsearch.azure.com",
        ]
    );
}

/// A rotated secret is picked up at the next fetch, without a restart.
#[tokio::test]
async fn a_secret_can_be_rotated() {
    let world = Plan {
        settings: Box::new(|text, emulator| {
            // The file does not exist yet.
            assert!(!emulator.app().secret.is_empty());
            text.replace("app.secret", "rotated.secret")
        }),
        ..Plan::default()
    }
    .start()
    .await;
    let missing = |line: &Value| line["why"].as_str().is_some_and(|why| why.contains("rotated.secret cannot be read"));
    world.gateway.logged(missing).await;
    std::fs::write(world.gateway.directory.path().join("rotated.secret"), world.emulator.app().secret).unwrap();
    let fetched = world.gateway.logged(|line| line["message"] == "token fetched");
    tokio::time::timeout(LIMIT, fetched).await.unwrap();
}

fn settings_without_entra(emulator: &Emulator, identity: &str) -> String {
    format!(
        "keys = \"keys.toml\"\n[listen]\nhttp = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[egress]\nca = \"ca.pem\"\n\
         [identities.app]\n{identity}\n[resources.ai]\nplane = \"openai\"\nendpoint = \"{}\"\nidentity = \"app\"\n",
        emulator.openai(Door::Behind)
    )
}
