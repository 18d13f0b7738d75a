//! Entra, App Service and IMDS.

use std::time::Duration;

use azure_emulator::{Fault, Options, Plane};
use serde_json::Value;

use crate::bench::{Bench, CHAT, HALLO, OPENAI_SCOPE};

#[tokio::test]
async fn entra_answers_a_secret() {
    let bench =
        Bench::with(Options { token_life: Duration::from_secs(6), refresh_in: true, ..Options::default() }).await;
    let app = bench.emulator.app();
    let body = bench.ask_token(&app, &app.secret, OPENAI_SCOPE).send().await.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!((&body["expires_in"], &body["refresh_in"]), (&Value::from(6), &Value::from(3)));
    assert_eq!(body["access_token"].as_str().map(|token| token.split('.').count()), Some(3));

    bench.emulator.set_token_life(Duration::from_secs(60));
    let body = bench.ask_token(&app, &app.secret, OPENAI_SCOPE).send().await.json();
    assert_eq!(body["expires_in"], 60);
}

#[tokio::test]
async fn msal_finds_the_token_endpoint() {
    let bench = Bench::start().await;
    let authority = format!("{}/{}", bench.emulator.entra(), bench.emulator.app().tenant);
    let target = format!("/{}/v2.0/.well-known/openid-configuration", bench.emulator.app().tenant);
    let body = bench.ask("GET", &bench.emulator.entra(), &target).send().await.json();
    assert_eq!(body["token_endpoint"], format!("{authority}/oauth2/v2.0/token"));
}

#[tokio::test]
async fn entra_refuses_in_its_own_words() {
    let bench = Bench::start().await;
    let app = bench.emulator.app();
    let mut stranger = app.clone();
    stranger.client_id = "nobody".to_owned();
    let mut elsewhere = app.clone();
    elsewhere.tenant = "elsewhere".to_owned();
    for (ask, status, error, code) in [
        (bench.ask_token(&app, "wrong", OPENAI_SCOPE), 401, "invalid_client", 7_000_215),
        (bench.ask_token(&stranger, "x", OPENAI_SCOPE), 400, "unauthorized_client", 700_016),
        (bench.ask_token(&elsewhere, "x", OPENAI_SCOPE), 400, "invalid_request", 90_002),
        (bench.ask_token(&app, &app.secret, "https://example.com/.default"), 400, "invalid_resource", 500_011),
        (bench.ask_token(&app, &app.secret, "https://search.azure.com"), 400, "invalid_scope", 1_002_012),
    ] {
        let reply = ask.send().await;
        assert_eq!(reply.status, status);
        let body = reply.json();
        assert_eq!((&body["error"], &body["error_codes"][0]), (&error.into(), &code.into()));
        let description = body["error_description"].as_str().expect("a text");
        assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
        assert!(description.contains("\r\nTrace ID: "), "{description}");
        assert_eq!(body["error_uri"], format!("https://login.microsoftonline.com/error?code={code}"));
    }
}

#[tokio::test]
async fn entra_fails_on_demand() {
    let bench = Bench::start().await;
    let app = bench.emulator.app();
    let rows = [
        ("wrong-secret", 401, "AADSTS7000215"),
        ("expired-secret", 401, "AADSTS7000222"),
        ("unknown-app", 400, "AADSTS700016"),
        ("disabled-app", 400, "AADSTS7000112"),
        ("unknown-resource", 400, "AADSTS500011"),
        ("unknown-tenant", 400, "AADSTS90002"),
        ("invalid-scope", 400, "AADSTS70011"),
        ("expired-assertion", 401, "AADSTS700024"),
        ("unknown-assertion", 401, "AADSTS70021"),
        ("429", 429, "Too Many Requests"),
        ("500", 500, "AADSTS90033"),
        ("503", 503, "AADSTS90033"),
        ("html", 503, "<html>"),
        ("html-200", 200, "<html>"),
        ("empty-token", 200, "{}"),
        ("blank-token", 200, r#""access_token":"""#),
        ("opaque-token", 200, r#""expires_in":3599"#),
        ("string-expiry", 200, r#""expires_in":"3599""#),
        ("absurd-expiry", 200, r#""expires_in":9223372036854775807"#),
        ("wrong-audience", 200, "access_token"),
        ("expired-token", 200, "access_token"),
        ("refresh-in", 200, r#""refresh_in":1799"#),
    ];
    for (name, ..) in rows {
        bench.emulator.next(Plane::Entra, Fault::named(name), 1).expect(name);
    }
    for (name, status, part) in rows {
        let reply = bench.ask_token(&app, &app.secret, OPENAI_SCOPE).send().await;
        assert_eq!(reply.status, status, "{name}");
        assert!(reply.text().contains(part), "{name}: {}", reply.text());
        if name == "429" {
            assert_eq!(reply.text(), "Too Many Requests");
            assert_eq!(reply.header("content-type"), Some("text/plain"));
            assert_eq!(reply.header("retry-after"), Some("60"));
        }
    }
    let tested: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let own = azure_emulator::fault_names(Plane::Entra);
    assert_eq!(own[..tested.len()], tested);
}

#[tokio::test]
async fn app_service_writes_its_date_as_a_string() {
    let bench = Bench::start().await;
    let endpoint = bench.emulator.identity_endpoint();
    let (base, path) = endpoint.url.split_at(endpoint.url.len() - "/msi/token".len());
    let target = format!("{path}?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com");
    let refused = bench.ask("GET", base, &target).send().await;
    assert_eq!(refused.status, 401);
    let ask = bench.ask("GET", base, &target).header("x-identity-header", &endpoint.header);
    let body = ask.send().await.json();
    assert!(body["expires_on"].is_string());
    assert_eq!(body.get("expires_in"), None);
    assert_eq!(body["resource"], "https://cognitiveservices.azure.com");
    assert_eq!(body["client_id"], bench.emulator.system_identity().client_id);

    let token = body["access_token"].as_str().expect("a token");
    let reply = bench.openai("POST", CHAT).bearer(token).body(HALLO).send().await;
    assert_eq!(reply.status, 200);

    // A user-assigned identity, by its client id.
    let reader = bench.emulator.reader_app();
    let named = format!("{target}&client_id={}", reader.client_id);
    let ask = bench.ask("GET", base, &named).header("x-identity-header", &endpoint.header);
    assert_eq!(ask.send().await.json()["client_id"], reader.client_id);
    let entry = bench.entry(|entry| entry.principal.as_ref() == Some(&reader.object_id)).await;
    assert_eq!(entry.plane, Plane::Identity);
}

#[tokio::test]
async fn imds_writes_every_number_as_a_string() {
    let bench = Bench::start().await;
    let base = bench.emulator.imds();
    let target = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://search.azure.com";
    let reply = bench.ask("GET", &base, target).send().await;
    assert_eq!(
        (reply.status.as_u16(), reply.text()),
        (400, r#"{"error":"invalid_request","error_description":"Required metadata header not specified"}"#)
    );
    let ask = || bench.ask("GET", &base, target).header("metadata", "true").send();
    let body = ask().await.json();
    for name in ["expires_in", "expires_on", "not_before"] {
        assert!(body[name].is_string(), "{name}");
    }
    assert_eq!(body["expires_in"], "3599");
}

#[tokio::test]
async fn both_identity_endpoints_fail_on_demand() {
    let bench = Bench::start().await;
    let rows = [
        ("400", 400, "Identity not found"),
        ("404", 404, "Not Found"),
        ("410", 410, "Gone"),
        ("429", 429, "too_many_requests"),
        ("500", 500, "Internal Server Error"),
        ("503", 503, "Service Unavailable"),
        ("invalid-resource", 400, "AADSTS500011"),
        ("html", 502, "<html>"),
        ("empty-token", 200, "{}"),
        ("blank-token", 200, r#""access_token":"""#),
        ("number-expiry", 200, r#""expires_on":1"#),
        ("textual-expiry", 200, r#" +00:00""#),
        ("wrong-audience", 200, "access_token"),
        ("expired-token", 200, "access_token"),
        ("anothers-token", 200, "access_token"),
    ];
    for plane in [Plane::Identity, Plane::Imds] {
        for (name, status, part) in rows {
            bench.emulator.next(plane, Fault::named(name), 1).expect(name);
            let reply = bench.ask_identity(plane).send().await;
            assert_eq!(reply.status, status, "{name}");
            assert!(reply.text().contains(part), "{name}: {}", reply.text());
        }
        let tested: Vec<&str> = rows.iter().map(|row| row.0).collect();
        assert_eq!(azure_emulator::fault_names(plane)[..tested.len()], tested);
    }
}

/// E6: a machine whose metadata service starts up.
#[tokio::test]
async fn a_sequence_of_failures_ends_in_a_token() {
    let bench = Bench::start().await;
    for (name, times) in [("404", 1), ("410", 2), ("500", 1)] {
        bench.emulator.next(Plane::Imds, Fault::named(name), times).expect(name);
    }
    bench.emulator.next(Plane::Imds, Fault::named("429").retry_after(1), 1).expect("known");
    let mut seen = Vec::new();
    loop {
        let reply = bench.ask_identity(Plane::Imds).send().await;
        seen.push(reply.status.as_u16());
        if reply.status == 429 {
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
        if reply.status == 200 {
            break;
        }
    }
    assert_eq!(seen, [404, 410, 410, 500, 429, 200]);
}
