//! Who may see what the admin address serves besides health and metrics.

use crate::client::{raw, request_text};
use crate::gateway::{command, directory, run};
use crate::world::{Plan, World};

const SECRET: &str = "an-admin-secret-of-a-test";

/// What stands before the rest of `[admin]`, where nothing is served.
const SETTINGS: &str = "keys = \"keys.toml\"\n[identities.m]\nkind = \"managed-identity\"\n[resources.r]\n\
                        endpoint = \"https://contoso.openai.azure.com\"\nidentity = \"m\"\n[admin]\n";

const NO_SECRET_BROUGHT: &str = "This page needs the secret that admin.secret_file (or secret_env) holds. Send it as \
    Authorization: Bearer SECRET; keyswap's own commands take it with --admin-secret-file.\n";
const ANOTHER_SECRET: &str = "This is not the secret that admin.secret_file (or secret_env) holds.\n";
const NOT_FROM_HERE: &str = "This page needs a secret where the admin address is not on loopback, and none is set. Set \
    secret_file in [admin] (--admin-secret-file of a sidecar).\n";
const NOT_FOR_WEB_PAGES: &str = "Without a secret this page is for programs on this machine, and for no web page. Call it \
    as localhost or 127.0.0.1, without Origin; or set secret_file in [admin].\n";

/// A world with this `[admin]`, and the secret in its environment.
async fn with(admin: &'static str) -> World {
    let settings = move |text: String, _: &_| text.replace("address = \"127.0.0.1:0\"\n", admin);
    let environment = vec![("ADMIN_SECRET", format!("{SECRET}\n"))];
    Plan { settings: Box::new(settings), environment, ..Plan::default() }.start().await
}

/// Asks for a page with these headers, `Host` among them; the status and the page.
async fn ask(world: &World, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let request = String::from_utf8(request_text("GET", path, headers)).unwrap().replace("host: gateway\r\n", "");
    let answer = raw(world.gateway.admin, request.as_bytes()).await;
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), page.to_owned())
}

#[tokio::test]
async fn without_a_secret_programs_on_this_machine_may_ask_and_no_web_page() {
    let world = with("address = \"127.0.0.1:0\"\n").await;
    world.becomes_ready().await;
    for host in ["127.0.0.1:9090", "localhost", "LOCALHOST:1", "localhost.", "[::1]:9090", "127.8.8.8"] {
        assert_eq!(ask(&world, "/nothing", &[("host", host)]).await.0, 404, "{host}");
    }
    let here = ("host", "localhost");
    // Somebody has typed it, or looks at it once more.
    for site in ["none", "same-origin"] {
        assert_eq!(ask(&world, "/nothing", &[here, ("sec-fetch-site", site)]).await.0, 404, "{site}");
    }
    for headers in [
        &[("host", "keyswap.example:9090")][..],
        &[("host", "localhost.example")],
        &[("host", "127.0.0.1.example")],
        &[("host", "10.0.0.1:9090")],
        &[("host", "")],
        &[here, ("origin", "http://localhost:9090")],
        &[here, ("origin", "null")],
        // What a page loads without a script, and where a link on it leads.
        &[here, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        &[here, ("sec-fetch-site", "same-site")],
        &[here, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(ask(&world, "/nothing", headers).await, (403, NOT_FOR_WEB_PAGES.to_owned()), "{headers:?}");
        for open in ["/health/live", "/health/ready", "/metrics"] {
            assert_eq!(ask(&world, open, headers).await.0, 200, "{open} {headers:?}");
        }
    }
    let unnamed = raw(world.gateway.admin, b"GET /nothing HTTP/1.0\r\n\r\n").await;
    assert!(unnamed.starts_with("HTTP/1.0 403 "), "{unnamed}");
}

#[tokio::test]
async fn a_secret_is_needed_wherever_one_is_set() {
    for address in ["127.0.0.1", "0.0.0.0"] {
        let admin = if address == "127.0.0.1" {
            "address = \"127.0.0.1:0\"\nsecret_env = \"ADMIN_SECRET\"\n"
        } else {
            "address = \"0.0.0.0:0\"\nsecret_env = \"ADMIN_SECRET\"\n"
        };
        let world = with(admin).await;
        world.becomes_ready().await;
        let here = ("host", "localhost");
        let bearer = format!("Bearer {SECRET}");
        for good in [&bearer, &format!("bearer   {SECRET} ")] {
            // Whoever knows it may call by any name.
            for host in ["localhost", "keyswap.example"] {
                let headers = [("host", host), ("authorization", good), ("origin", "http://a.example")];
                assert_eq!(ask(&world, "/nothing", &headers).await.0, 404);
            }
        }
        assert_eq!(ask(&world, "/nothing", &[here]).await, (403, NO_SECRET_BROUGHT.to_owned()));
        let basic = format!("Basic {SECRET}");
        for none in [&basic, "Bearer", SECRET] {
            let answer = ask(&world, "/nothing", &[here, ("authorization", none)]).await;
            assert_eq!(answer, (403, NO_SECRET_BROUGHT.to_owned()), "{none}");
        }
        for wrong in ["Bearer an-admin-secret-of-a-tes", "Bearer an-admin-secret-of-a-testt", "Bearer \u{ff}"] {
            let answer = ask(&world, "/nothing", &[here, ("authorization", wrong)]).await;
            assert_eq!(answer, (403, ANOTHER_SECRET.to_owned()), "{wrong}");
        }
        for open in ["/health/live", "/health/ready", "/metrics"] {
            assert_eq!(ask(&world, open, &[here]).await.0, 200, "{open}");
        }
    }
}

#[tokio::test]
async fn elsewhere_than_on_loopback_nobody_may_ask_without_one() {
    let world = with("address = \"0.0.0.0:0\"\n").await;
    let bearer = format!("Bearer {SECRET}");
    for headers in [&[("host", "localhost")][..], &[("host", "localhost"), ("authorization", &bearer)]] {
        assert_eq!(ask(&world, "/nothing", headers).await, (403, NOT_FROM_HERE.to_owned()));
    }
    assert_eq!(ask(&world, "/health/live", &[("host", "keyswap.example")]).await.0, 200);
}

#[test]
fn check_says_so_of_an_address_elsewhere() {
    for (admin, says_so) in [
        ("address = \"0.0.0.0:9090\"", true),
        ("address = \"0.0.0.0:9090\"\nsecret_file = \"secret\"", false),
        ("address = \"[::1]:9090\"", false),
    ] {
        let settings = format!("{SETTINGS}{admin}\n");
        let directory = directory(&[("keyswap.toml", &settings), ("keys.toml", ""), ("secret", SECRET)]);
        let (code, told, _) = run(directory.path(), &["check"], &[]);
        let line = "\nadmin 0.0.0.0:9090: health and metrics alone; for more, set secret_file in [admin]\n";
        assert_eq!((code, told.contains(line)), (Some(0), says_so), "{told}");
    }
}

#[tokio::test]
async fn its_health_is_asked_by_whatever_name_it_has() {
    let world = with("address = \"127.0.0.1:0\"\nsecret_env = \"ADMIN_SECRET\"\n").await;
    world.gateway.logged(|line| line["message"] == "token fetched").await;
    let port = world.gateway.admin.port();
    for url in [format!("localhost:{port}"), format!("http://localhost:{port}/"), format!("127.0.0.1:{port}")] {
        let by_flag = command(world.gateway.directory.path(), &[]).args(["health", "--live", "--admin", &url]).output();
        assert_eq!(by_flag.unwrap().stdout, b"alive\n", "{url}");
        let by_variable = run(world.gateway.directory.path(), &["health", "--live"], &[("KEYSWAP_ADMIN", url)]);
        assert_eq!(by_variable, (Some(0), "alive\n".to_owned(), String::new()));
    }
}

#[test]
fn a_secret_that_is_none_ends_the_start() {
    let short = "has fewer than 16 characters: make a random one, like openssl rand -hex 32";
    for (admin, environment, told) in [
        ("secret_file = \"short\"", &[][..], format!("short: admin.secret_file: {short}\n")),
        (
            "secret_env = \"SHORT\"",
            &[("SHORT", "fifteen-letters".to_owned())],
            format!("$SHORT: admin.secret_env: {short}\n"),
        ),
        (
            "secret_file = \"none\"",
            &[],
            "none: admin.secret_file: the secret file none cannot be read: No such file or directory (os error 2)\n"
                .to_owned(),
        ),
        (
            "secret_env = \"NONE\"",
            &[],
            "$NONE: admin.secret_env: the environment has no NONE to hold the secret\n".to_owned(),
        ),
        (
            "secret_file = \"short\"\nsecret_env = \"SHORT\"",
            &[],
            "keyswap.toml:9:14: admin.secret_env: cannot be combined with a file: keep the secret in one place\n"
                .to_owned(),
        ),
    ] {
        let settings = format!("{SETTINGS}{admin}\n");
        let directory = directory(&[
            ("keyswap.toml", &settings),
            ("keys.toml", ""),
            ("short", "fifteen-letters\nand a second line\n"),
        ]);
        for subcommand in ["check", "serve"] {
            assert_eq!(run(directory.path(), &[subcommand], environment), (Some(2), String::new(), told.clone()));
        }
    }
}
