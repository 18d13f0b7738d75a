//! What is kept, how long, and what is said where something is not.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{exchange, request_text};
use crate::gateway::run;
use crate::world::{CHAT, Plan, World, saying};

const MODELS: &str = "/openai/models?api-version=2024-10-21";

/// How many are kept.
const MOST: usize = 1000;

/// What is said in place of a request that is not kept.
fn not_kept(kept: usize, since: &str) -> String {
    format!(
        "No such request is kept. Kept are the newest 1000 that keyswap has refused, or that failed or broke off for its own \
         or Azure's fault ({kept} at the moment), since it was started ({since}); those that went well are not, nor what \
         Azure alone has refused, which has no x-keyswap-reason. Another replica may have had it. Every request has its \
         line on standard output, with its id in the field request."
    )
}

impl World {
    async fn refused(&self, target: &str, key: &str) -> String {
        let answer = self.get(target).key(key).send().await;
        let id = answer.header("x-keyswap-request-id").unwrap().to_owned();
        assert!(answer.header("x-keyswap-reason").is_some(), "{target}");
        self.gateway.told(|line| line["request"] == *id).await;
        id
    }

    async fn page(&self, path: &str) -> (u16, Value) {
        let (status, page) = self.admin(path).await;
        (status, serde_json::from_str(&page).unwrap_or_else(|error| panic!("{error}: {page}")))
    }
}

#[tokio::test]
async fn the_account_has_the_request_line_in_it() {
    let world = World::start().await;
    let id = world.refused("/openai/files?api-version=2024-10-21", &world.emulator.keys().openai).await;
    let line = world.gateway.told(|line| line["request"] == *id).await;
    let account = world.account(&id);
    let cure = "Add to the grants of [clients.chat] in the file of keys: { resource = \"ai\", allow = [\"files\"] }. For a \
                sidecar: add --allow files to what it allows already.";
    let expected = json!({
        "request": id, "step": "authorize", "reason": "family-not-granted", "why": "files is not granted", "cure": cure,
        "client": "chat", "key": "chat", "resource": "ai", "line": line,
    });
    assert_eq!(account, expected);
    // As its header stands in a client's log.
    for header in [format!("x-keyswap-request-id: {id}"), format!("'X-Keyswap-Request-Id': '{id}',"), id.to_uppercase()]
    {
        assert_eq!(world.account(&header)["request"], id);
    }
    assert_eq!(world.why(&["x-keyswap-request-id:", &id]), world.why(&[&id]), "pasted without quotes");
    for bad in ["x-keyswap-request-id:", "../metrics", "none of them"] {
        let told = "that is no request's id: give what x-keyswap-request-id says in the answer\n";
        assert_eq!(world.why(&[bad]), (Some(2), String::new(), told.to_owned()));
    }
}

#[tokio::test]
async fn the_newest_are_a_table() {
    let world = World::start().await;
    assert_eq!(
        world.why(&[]),
        (Some(0), "no request was refused, or has failed, since keyswap was started\n".to_owned(), String::new())
    );
    let first = world.refused("/nowhere", "wrong").await;
    let second = world.refused("/openai/files?api-version=2024-10-21", &world.emulator.keys().openai).await;
    let time = async |id: &str| {
        let line = world.gateway.told(|line| line["request"] == id).await;
        line["time"].as_str().unwrap().to_owned()
    };
    let times = [time(&first).await, time(&second).await];
    let expected = format!(
        "\
TIME                      REQUEST                               STATUS  STEP       REASON              CLIENT  RESOURCE  ASKED FOR
{}  {second}  403     authorize  family-not-granted  chat    ai        GET /openai/files
{}  {first}  404     route      no-plane            -       -         GET /nowhere
",
        times[1], times[0]
    );
    assert_eq!(world.why(&[]), (Some(0), expected, String::new()));
    let (_, page) = world.page("/why").await;
    assert_eq!(page["kept"], 2);
    let ids: Vec<_> = page["newest"].as_array().unwrap().iter().map(|told| &told["request"]).collect();
    assert_eq!(ids, [&second, &first]);
}

#[tokio::test]
async fn what_is_not_kept_is_said_to_be_so() {
    let world = World::start().await;
    world.refused("/nowhere", "wrong").await;
    let id = "00000000-0000-4000-8000-000000000000";
    let (status, page) = world.page(&format!("/why/{id}")).await;
    let text = not_kept(1, page["since"].as_str().unwrap());
    assert_eq!((status, &page), (404, &json!({"since": page["since"], "kept": 1, "error": text})));
    assert_eq!(world.why(&[id]), (Some(1), String::new(), format!("{text}\n")));
    let (code, told, _) = world.why(&["--json", id]);
    assert_eq!((code, serde_json::from_str::<Value>(&told).unwrap()), (Some(1), page));
}

#[tokio::test]
async fn it_is_said_why_nobody_can_be_asked() {
    let settings = |text: String, _: &_| text.replace("[admin]\n", "[admin]\nsecret_env = \"ADMIN_SECRET\"\n");
    let environment = vec![("ADMIN_SECRET", "an-admin-secret-of-a-test".to_owned())];
    let world = Plan { settings: Box::new(settings), environment, ..Plan::default() }.start().await;
    world.refused("/nowhere", "wrong").await;
    let directory = world.gateway.directory.path();
    std::fs::write(directory.join("right"), "an-admin-secret-of-a-test\n").unwrap();
    std::fs::write(directory.join("wrong"), "another-secret-of-a-test\n").unwrap();
    let admin = world.gateway.admin;
    let clients = world.gateway.http.to_string();
    let denied = format!("{admin} does not let us ask: ");
    for (arguments, environment, told) in [
        (
            vec![],
            vec![],
            format!(
                "{denied}This page needs the secret that admin.secret_file (or secret_env) holds. Send it as Authorization: \
                 Bearer SECRET; keyswap's own commands take it with --admin-secret-file.\n"
            ),
        ),
        (
            vec!["--admin-secret-file", "wrong"],
            vec![],
            format!("{denied}This is not the secret that admin.secret_file (or secret_env) holds.\n"),
        ),
        (
            vec!["--admin-secret-file", "none"],
            vec![],
            "the secret file none cannot be read: No such file or directory (os error 2)\n".to_owned(),
        ),
        (
            vec!["--admin", "127.0.0.1:1"],
            vec![],
            "127.0.0.1:1 does not answer: Connection refused (os error 111)\n".to_owned(),
        ),
        (
            vec!["--admin", &clients],
            vec![],
            format!("{clients} answers 404 Not Found, and not as keyswap does: is it its admin address?\n"),
        ),
        (vec!["--admin-secret-file", "right"], vec![], "ok".to_owned()),
        (vec![], vec![("KEYSWAP_ADMIN_SECRET", "an-admin-secret-of-a-test".to_owned())], "ok".to_owned()),
        (vec![], vec![("KEYSWAP_ADMIN_SECRET_FILE", "right".to_owned())], "ok".to_owned()),
    ] {
        let mut environment = environment;
        environment.push(("KEYSWAP_ADMIN", admin.to_string()));
        let (code, out, err) = run(directory, &[&["why"], &*arguments].concat(), &environment);
        match &*told {
            "ok" => assert!(code == Some(0) && out.contains("no-plane"), "{arguments:?}: {out}{err}"),
            _ => assert_eq!((code, &*out, &*err), (Some(2), "", &*told), "{arguments:?}"),
        }
    }
}

/// Whoever tries keys pushes out what others have tried, and no more.
#[tokio::test]
async fn a_flood_pushes_out_nothing_but_itself() {
    let world = World::start().await;
    let key = world.emulator.keys().openai;
    let honest = world.refused("/openai/files?api-version=2024-10-21", &key).await;
    let lost = world.refused("/nowhere", &key).await;
    let first_guess = world.refused(MODELS, "wrong").await;
    let mut flood = JoinSet::new();
    for n in 0..20 {
        let address = world.gateway.http;
        flood.spawn(async move {
            // As large as their path and their agent may be, and longer.
            let (agent, path) = ("x".repeat(5000), format!("/openai/{}?api-version=2024-10-21", "y".repeat(5000)));
            let (key, close) = (format!("guess-{n}"), ("connection", "close"));
            let headers = [("api-key", &*key), ("user-agent", &*agent)];
            let once = String::from_utf8(request_text("GET", &path, &headers)).unwrap();
            let again = once.replace(&format!("{}: {}\r\n", close.0, close.1), "");
            let all = again.repeat(79) + &once;
            let answers = exchange(tokio::net::TcpStream::connect(address).await.unwrap(), all.as_bytes()).await;
            assert_eq!(answers.matches("x-keyswap-reason: unknown-key").count(), 80);
        });
    }
    flood.join_all().await;
    world.gateway.all_told(3 + 20 * 80).await;
    let (_, page) = world.page("/why").await;
    assert!(page["kept"].as_u64() <= Some(MOST as u64), "{}", page["kept"]);
    let newest = page["newest"].as_array().unwrap();
    let reasons: Vec<_> = newest.iter().map(|told| told["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, [&["unknown-key"; 10][..], &["no-plane", "family-not-granted"]].concat());
    let longest = newest.iter().map(|told| told.to_string().len()).max().unwrap();
    assert!(longest < 3000, "{longest} bytes of what clients choose");
    let kept: BTreeMap<_, _> =
        [&honest, &lost, &first_guess].into_iter().map(|id| (id, world.why(&[id]).0.unwrap())).collect();
    assert_eq!(kept, BTreeMap::from([(&honest, 0), (&lost, 0), (&first_guess, 1)]));
}

#[tokio::test]
async fn it_goes_on_after_a_change_of_settings() {
    let world = World::start().await;
    let before = world.refused("/nowhere", "wrong").await;
    let file = world.gateway.directory.path().join("keys.toml");
    let keys = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, keys + "# changed\n").unwrap();
    world.gateway.logged(|line| line["message"] == "new settings are in effect").await;
    let after = world.refused("/openai/files?api-version=2024-10-21", &world.emulator.keys().openai).await;
    for id in [before, after] {
        assert_eq!(world.account(&id)["request"], id);
    }
    let answer = world.post(CHAT).key("wrong").json(&saying("hello")).await;
    assert_eq!(world.account(answer.header("x-keyswap-request-id").unwrap())["step"], "authenticate");
}
