//! Errors by name.

use azure_emulator::{Fault, Plane};

use crate::bench::{Bench, CHAT, HALLO};

#[tokio::test]
async fn rows_of_a1_on_demand() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    // Name, status, length where the page knows it, part of the body.
    let rows = [
        ("A1.1", 401, Some(224), "Access denied"),
        ("A1.2", 401, Some(161), "\"statusCode\": 401"),
        ("A1.3", 401, Some(161), "missing"),
        ("A1.4", 403, Some(116), "AuthenticationTypeDisabled"),
        ("A1.5", 401, Some(99), "Principal does not have access"),
        ("A1.5b", 401, None, "lacks the required data action"),
        ("A1.6", 404, Some(254), "DeploymentNotFound"),
        ("A1.6-2024", 404, Some(198), "DeploymentNotFound"),
        ("A1.7", 404, Some(56), "Resource not found"),
        ("A1.8", 400, None, "API version not supported"),
        ("A1.9", 400, None, "custom subdomain"),
        ("A1.9-old", 400, Some(82), "authentication key"),
        ("A1.10", 404, None, "Subdomain does not map"),
        ("A1.11", 403, Some(90), "Firewall"),
        ("A1.11b", 403, None, "Public access is disabled"),
        ("A1.11c", 403, None, "cogsvc-vnet"),
        ("A1.12", 429, None, "exceeded token rate limit"),
        ("A1.12-foundry", 429, None, "RateLimitReached"),
        ("A1.13", 400, None, "ResponsibleAIPolicyViolation"),
        ("A1.14", 400, None, "Invalid AzureCognitiveSearch configuration"),
        ("408", 408, Some(220), "upstream request timeout"),
        ("413", 413, Some(252), "Failed to buffer"),
        ("500", 500, None, "An error occurred"),
        ("503", 503, None, "unavailable"),
        ("503-html", 503, None, "<html>"),
    ];
    for (name, ..) in rows {
        bench.emulator.next(Plane::OpenAi, Fault::named(name), 1).expect(name);
    }
    for (name, status, length, part) in rows {
        let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
        assert_eq!(reply.status, status, "{name}");
        assert!(reply.text().contains(part), "{name}: {}", reply.text());
        if let Some(length) = length {
            assert_eq!(reply.body.len(), length, "{name}");
        }
        assert_eq!(reply.header("www-authenticate"), None);
    }
    // All used up.
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.status, 200);
    let tested: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let own = azure_emulator::fault_names(Plane::OpenAi);
    assert_eq!(own[..tested.len()], tested);
}

#[tokio::test]
async fn a_rate_limit_has_all_its_headers() {
    let bench = Bench::start().await;
    let token = bench.openai_token().await;
    let fault = Fault::named("A1.12").retry_after(7);
    bench.emulator.next(Plane::OpenAi, fault, 1).expect("known");
    let reply = bench.openai("POST", CHAT).bearer(&token).body(HALLO).send().await;
    assert_eq!(reply.header("retry-after"), Some("7"));
    for name in ["retry-after-ms", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests"] {
        assert!(reply.header(name).is_some(), "{name}");
    }
}
