//! Changes that take effect while requests run: whole or not at all, by every way to change a file, and who had begun is
//! not disturbed.

mod admin_secret;
mod edited;
mod revoked;
mod trust;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use azure_emulator::{Door, Options};
use http::Method;
use serde_json::{Value, json};

use crate::client::{raw, request_text};
use crate::gateway::LIMIT;
use crate::world::{CHAT, Plan, SEARCH, World, client, saying, without_tls};

const MODELS: &str = "/openai/models?api-version=2024-10-21";

/// Keys of our own, of the lengths that Azure's have.
fn key(n: usize) -> String {
    format!("{n:032x}")
}

/// A `keys.toml` with these keys, which may do what the usual one may.
fn keys_of(numbers: impl IntoIterator<Item = usize>) -> String {
    let clients = numbers.into_iter().map(|n| client(&format!("c{n}"), &key(n), "{ resource = \"ai\" }"));
    clients.collect()
}

fn keyed(numbers: impl IntoIterator<Item = usize>) -> Plan {
    let keys = keys_of(numbers);
    Plan { keys: Box::new(move |_, _| keys), ..Plan::default() }
}

impl World {
    async fn status_with(&self, key: &str) -> u16 {
        self.get(MODELS).key(key).send().await.status.as_u16()
    }
}

#[tokio::test]
async fn a_key_that_is_added_works_and_one_that_is_taken_away_does_not() {
    let options = Options { stream_pause: Duration::from_millis(400), ..Options::default() };
    let world = Plan { options, ..keyed([1, 2]) }.start().await;
    assert_eq!((world.status_with(&key(1)).await, world.status_with(&key(3)).await), (200, 401));
    let mut streamed = saying("a long story");
    streamed["stream"] = json!(true);
    let stream = tokio::spawn(world.post(CHAT).key(&key(1)).json(&streamed));
    world.emulator.journal().wait_for(|entry| entry.target == CHAT && entry.status == Some(200), LIMIT).await.unwrap();

    world.write("keys.toml", &keys_of([2, 3]));
    assert_eq!(world.generation(2).await["keys"], 2);

    for (n, status) in [(1, 401), (2, 200), (3, 200)] {
        assert_eq!(world.status_with(&key(n)).await, status, "{n}");
    }
    // What had begun with it ends as it would have.
    let answer = stream.await.unwrap();
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let (_, metrics) = world.admin("/metrics").await;
    assert!(metrics.contains("\nkeyswap_generation 2\n"), "{metrics}");
    // Other keys are no reason to ask Entra, or to connect anew.
    assert_eq!(world.token_calls(), 1);
    let of_models = world.arrived().into_iter().filter(|entry| entry.target == MODELS);
    let connections: std::collections::BTreeSet<_> = of_models.map(|entry| entry.connection).collect();
    assert!(connections.len() <= 2, "one a worker: {connections:?}");
}

#[tokio::test]
async fn what_is_broken_changes_nothing_and_is_shouted_about_until_it_is_mended() {
    let world = keyed([1]).start().await;
    assert_eq!(world.status_with(&key(1)).await, 200);
    let settings = fs::read_to_string(world.path("keyswap.toml")).unwrap();
    let cases = [
        ("keys.toml", format!("{}\nbroken", keys_of([2])), "keys.toml:5:7: not TOML"),
        ("keyswap.toml", settings.replace("workers", "worker"), "keyswap.toml:2:1: worker: unknown key"),
        ("cert.pem", "no certificate".to_owned(), "cert.pem: holds no certificate"),
        ("ca.pem", String::new(), "ca.pem: holds no certificate"),
    ];
    let mut generation = 1;
    for (n, (file, broken, told)) in cases.into_iter().enumerate() {
        let good = fs::read_to_string(world.path(file)).unwrap();
        world.write(file, &broken);
        let refused = |line: &Value| {
            line["level"] == "ERROR"
                && line["message"] == "new settings are refused, those before stay in effect"
                && line["mistake"].as_str().unwrap().contains(told)
        };
        world.gateway.logged(refused).await;
        assert_eq!((world.status_with(&key(1)).await, world.status_with(&key(2)).await), (200, 401), "{file}");
        let (status, page) = world.admin("/health/ready").await;
        assert_eq!(status, 200, "{page}");
        let last = format!("\nsettings: generation {generation}\nsettings: newer ones are refused, the log says why\n");
        assert!(page.ends_with(&last), "{page}");
        let (_, metrics) = world.admin("/metrics").await;
        assert!(metrics.contains("\nkeyswap_settings_stale 1\n"), "{metrics}");
        assert!(metrics.contains(&format!("\nkeyswap_settings_refused_total {}\n", n + 1)), "{metrics}");
        assert!(metrics.contains(&format!("\nkeyswap_generation {generation}\n")), "{metrics}");

        world.write(file, &good);
        generation += 1;
        world.generation(generation).await;
        assert_eq!(world.status_with(&key(1)).await, 200);
        let (_, metrics) = world.admin("/metrics").await;
        assert!(metrics.contains("\nkeyswap_settings_stale 0\n"), "{metrics}");
    }
}

/// Editors write in place or rename; Kubernetes swaps a link two steps away.
#[tokio::test]
async fn however_a_file_is_changed_it_is_seen() {
    let world = keyed([1]).start().await;
    let replace = |text: &str| {
        world.write("keys.new", text);
        fs::rename(world.path("keys.new"), world.path("keys.toml")).unwrap();
    };
    let volume = |name: &str, text: &str| {
        fs::create_dir(world.path(name)).unwrap();
        world.write(&format!("{name}/keys.toml"), text);
        symlink(name, world.path("..data.new")).unwrap();
        fs::rename(world.path("..data.new"), world.path("..data")).unwrap();
    };
    let steps: [&dyn Fn(&str); 5] = [
        &|text| world.write("keys.toml", text),
        &replace,
        &|text| {
            fs::remove_file(world.path("keys.toml")).unwrap();
            world.write("keys.toml", text);
        },
        &|text| {
            volume("..v1", text);
            symlink("..data/keys.toml", world.path("keys.new")).unwrap();
            fs::rename(world.path("keys.new"), world.path("keys.toml")).unwrap();
        },
        &|text| volume("..v2", text),
    ];
    for (n, step) in steps.into_iter().enumerate() {
        step(&keys_of([n + 2]));
        world.generation(n as u64 + 2).await;
        assert_eq!((world.status_with(&key(n + 2)).await, world.status_with(&key(n + 1)).await), (200, 401), "{n}");
    }
    // Told to, it takes what is there, changed or not.
    world.gateway.signal("HUP");
    world.generation(7).await;
    assert_eq!(world.status_with(&key(6)).await, 200);
}

/// Half of a file is no file: what is being written is left alone until it is whole.
#[tokio::test]
async fn a_file_that_grows_is_read_when_it_is_whole() {
    let world = keyed([1]).start().await;
    let whole = keys_of(1..=40);
    // Whoever pauses for long between two parts has a file that stands still: if the machine did that, once more.
    let told_before = loop {
        let (told, mut longest, mut last) = (world.gateway.log().len(), Duration::ZERO, Instant::now());
        for part in 1..=40 {
            world.write("keys.toml", &whole[..whole.len() * part / 40]);
            longest = longest.max(last.elapsed());
            last = Instant::now();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if longest < Duration::from_millis(400) {
            break told;
        }
    };
    world.gateway.logged(|line| line["message"] == "new settings are in effect" && line["keys"] == 40).await;
    let log = world.gateway.log();
    let refused: Vec<_> = log[told_before..].iter().filter(|line| line["level"] == "ERROR").collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[tokio::test]
async fn what_must_wait_for_the_next_start_is_named_and_the_rest_takes_effect() {
    let world = keyed([1]).start().await;
    world.change("keyswap.toml", |text| {
        text.replace("workers = 2", "workers = 3").replace("http = \"127.0.0.1:0\"", "http = \"127.0.0.2:0\"").replace(
            "[admin]\naddress = \"127.0.0.1:0\"",
            "[cors]\norigins = [\"https://app.example\"]\n[admin]\naddress = \"127.0.0.2:0\"",
        )
    });
    let line = world.gateway.logged(|line| line["message"] == "these change at the next start only").await;
    assert_eq!(line["settings"], "listen.http, admin.address, workers");
    world.generation(2).await;
    let (_, page) = world.admin("/health/ready").await;
    assert!(page.ends_with("\nsettings: at the next start only: listen.http, admin.address, workers\n"), "{page}");
    let preflight = world.call(Method::OPTIONS, CHAT).header("origin", "https://app.example");
    let answer = preflight.header("access-control-request-method", "POST").send().await;
    assert_eq!(answer.status, 204, "the rest is in effect");
    // As it was, there is nothing to say any more.
    world.change("keyswap.toml", |text| {
        text.replace("127.0.0.2:0", "127.0.0.1:0").replace("workers = 3", "workers = 2")
    });
    world.generation(3).await;
    let (_, page) = world.admin("/health/ready").await;
    assert!(page.ends_with("\nsettings: generation 3\n"), "{page}");
}

/// Who is believed may change, too, also where nothing is shown to anybody.
#[tokio::test]
async fn a_proxy_is_believed_from_the_next_connection_on() {
    let settings = Box::new(|text: String, _: &azure_emulator::Emulator| without_tls(&text));
    let world = Plan { settings, ..keyed([1]) }.start().await;
    let request = request_text("GET", MODELS, &[("api-key", &key(1)), ("x-forwarded-for", "192.0.2.7")]);
    raw(world.gateway.http, &request).await;
    let line = world.gateway.told(|line| line["path"] == "/openai/models").await;
    assert!(line["from"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    world.change("keyswap.toml", |text| text.replace("[listen]\n", "[listen]\ntrusted_proxies = [\"127.0.0.1\"]\n"));
    world.generation(2).await;
    raw(world.gateway.http, &request).await;
    world.gateway.told(|line| line["from"] == "192.0.2.7").await;
}

/// A resource that has moved is asked where it is now, and not over connections that are kept to where it was.
#[tokio::test]
async fn a_resource_that_moves_is_followed() {
    let world = keyed([1]).start().await;
    assert_eq!(world.status_with(&key(1)).await, 200);
    let (here, there) = (world.emulator.openai(Door::Behind), world.emulator.openai(Door::Direct));
    world.change("keyswap.toml", |text| text.replace(&here, &there));
    world.generation(2).await;
    assert_eq!(world.status_with(&key(1)).await, 200);
    let doors: Vec<_> = world.arrived().into_iter().map(|entry| entry.door).collect();
    assert_eq!(doors, [Some(Door::Behind), Some(Door::Direct)]);
    // One more resource, and who may use it: all of it in one change of two files, whichever is seen first.
    let search = format!(
        "[resources.second]\nplane = \"search\"\nendpoint = \"{}\"\nidentity = \"app\"\n",
        world.emulator.search(Door::Behind)
    );
    world.write("keys.toml", &(keys_of([1]) + &client("s", &key(9), "{ resource = \"second\" }")));
    world.change("keyswap.toml", |text| text + &search);
    world.gateway.logged(|line| line["message"] == "new settings are in effect" && line["keys"] == 2).await;
    assert_eq!(world.post(SEARCH).key(&key(9)).json(&json!({"search": "*"})).await.status, 200);
}

/// No request fails that comes while settings change, whichever connection it comes on.
#[tokio::test]
async fn changes_cost_no_request_anything() {
    let world = keyed([1]).start().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let clients: Vec<_> = (0..4)
        .map(|n| {
            let (stop, address) = (stop.clone(), world.gateway.http);
            let (client, url, key) = (world.client.clone(), format!("http://{address}{MODELS}"), key(1));
            tokio::spawn(async move {
                let (mut sent, text) = (0, request_text("GET", MODELS, &[("api-key", &key)]));
                while !stop.is_cancelled() {
                    // Half of them on connections that are kept, half on new ones.
                    if n % 2 == 0 {
                        assert_eq!(client.call(Method::GET, &url).key(&key).send().await.status, 200);
                    } else {
                        let answer = raw(address, &text).await;
                        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                    }
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    for generation in 2..12 {
        world.write("keys.toml", &keys_of([1, usize::try_from(generation).unwrap()]));
        if generation % 3 == 0 {
            // Another way out: connections and tokens begin anew.
            world.change("keyswap.toml", |text| {
                text.replace("[egress]\n", &format!("[timeouts]\nconnect = \"{generation}s\"\n[egress]\n"))
            });
        } else {
            world.change("keyswap.toml", |text| {
                let end = text.find("[timeouts]").map(|begin| (begin, text[begin..].find("[egress]").unwrap() + begin));
                end.map_or(text.clone(), |(begin, end)| format!("{}{}", &text[..begin], &text[end..]))
            });
        }
        world.gateway.signal("HUP");
        world.generation(generation).await;
    }
    stop.cancel();
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

/// Whoever is meant by a name may change: then no token of the one before is used any more.
#[tokio::test]
async fn an_identity_that_becomes_another_rides_no_token_of_the_one_before() {
    let world = World::start().await;
    let query = world.emulator.keys().search_query;
    let principal = async || {
        assert_eq!(world.post(SEARCH).key(&query).json(&json!({"search": "*"})).await.status, 200);
        world.arrived().pop().unwrap().principal.unwrap()
    };
    assert_eq!(principal().await, world.emulator.app().object_id);
    let (app, reader) = (world.emulator.app(), world.emulator.reader_app());
    world.write("reader.secret", &reader.secret);
    let change = |text: String| text.replace(&app.client_id, &reader.client_id).replace("app.secret", "reader.secret");
    world.change("keyswap.toml", change);
    world.generation(2).await;
    assert_eq!(principal().await, reader.object_id);
}
