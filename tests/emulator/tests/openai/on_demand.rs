//! Errors by name: each in its own bytes, with its own headers.

use azure_emulator::{Fault, Plane};

use super::world::World;
use crate::bench::{CHAT, HALLO};

/// What every answer of the layer before the models has besides its own.
const BARE: &[&str] = &["apim-request-id", "content-length", "content-type", "date"];
const API: &[&str] = &[
    "apim-request-id",
    "content-length",
    "content-type",
    "date",
    "strict-transport-security",
    "x-content-type-options",
    "x-ms-region",
];
const CHUNKED: &[&str] = &[
    "apim-request-id",
    "date",
    "strict-transport-security",
    "transfer-encoding",
    "x-content-type-options",
    "x-ms-region",
];
const TOKEN: &[&str] = &["strict-transport-security", "x-content-type-options", "x-ms-client-request-id"];
const MODEL: &[&str] = &[
    "azureml-model-session",
    "ms-azureml-model-error-reason",
    "ms-azureml-model-error-statuscode",
    "x-ms-rai-invoked",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-request-id",
];
const LIMITED: &[&str] = &[
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];
const FOUNDRY_LIMITED: &[&str] = &[
    "azureai-fe-is-streaming",
    "azureai-fe-offer-type",
    "azureai-processed-tier",
    "azureai-requested-tier",
    "content-type",
    "retry-after",
    "retry-after-ms",
];
const TIMEOUT: &[&str] = &[
    "request-context",
    "skip-error-remapping",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
];
const TOO_LARGE: &[&str] = &[
    "azureai-processed-tier",
    "azureai-requested-tier",
    "azureml-model-session",
    "request-context",
    "skip-error-remapping",
    "x-ms-client-request-id",
    "x-ms-deployment-name",
    "x-ms-is-spilled-over",
    "x-ratelimit-abusepenalty-active",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-renewalperiod-requests",
    "x-ratelimit-renewalperiod-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];
const NO_ANSWER: &[&str] = &[
    "access-control-allow-origin",
    "access-control-expose-headers",
    "azureai-processed-tier",
    "azureai-requested-tier",
    "azureml-model-session",
    "cache-control",
    "content-type",
    "request-context",
    "traceparent",
    "vary",
    "x-ms-client-request-id",
    "x-ms-deployment-name",
    "x-ms-is-spilled-over",
    "x-ms-rai-invoked",
    "x-ratelimit-abusepenalty-active",
    "x-ratelimit-key",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-renewalperiod-requests",
    "x-ratelimit-renewalperiod-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];

/// Name, status, reason phrase, length (or none, where it has a name in it), part of the body, headers.
type Row = (&'static str, u16, &'static str, Option<usize>, &'static str, [&'static [&'static str]; 2]);

const ROWS: &[Row] = &[
    ("A1.1", 401, "PermissionDenied", Some(224), "Access denied", [BARE, &[]]),
    ("A1.1-unauthorized", 401, "PermissionDenied", Some(234), r#""Unauthorized","message": "A"#, [BARE, &[]]),
    ("A1.2", 401, "", Some(161), "(https://cognitiveservices.azure.com)", [BARE, TOKEN]),
    ("A1.2b", 401, "", Some(162), "(https://cognitiveservices.azure.com/)", [BARE, TOKEN]),
    ("A1.2b-foundry", 401, "", Some(147), "(https://ai.azure.com/)", [BARE, TOKEN]),
    ("A1.2b-bing", 401, "", Some(148), "(https://bing.azure.com)", [BARE, TOKEN]),
    ("A1.2b-urn", 401, "", Some(171), "(urn:ms.scopedToken or urn:ms.faceSessionToken)", [BARE, TOKEN]),
    ("A1.2b-none", 401, "", Some(123), "audience is incorrect, or", [BARE, TOKEN]),
    ("A1.3", 401, "", Some(161), "missing", [BARE, TOKEN]),
    ("A1.4", 403, "", Some(116), "AuthenticationTypeDisabled", [BARE, &[]]),
    ("A1.5", 401, "", Some(99), "Principal does not have access", [BARE, TOKEN]),
    ("A1.5b", 401, "", None, "/chat/completions/action` to perform `POST /openai/deployments/{", [BARE, TOKEN]),
    ("A1.6", 404, "", Some(254), "DeploymentNotFound", [CHUNKED, &[]]),
    ("A1.6-2024", 404, "", Some(198), r#""DeploymentNotFound", "message""#, [API, &[]]),
    ("A1.7", 404, "", Some(56), "Resource not found", [BARE, &[]]),
    ("A1.8", 400, "", Some(69), "API version not supported", [API, &[]]),
    ("A1.9", 400, "", Some(191), "custom subdomain", [BARE, &[]]),
    ("A1.9-old", 400, "", Some(82), "authentication key", [BARE, &[]]),
    ("A1.10", 404, "", Some(86), "Subdomain does not map", [BARE, &[]]),
    ("A1.11", 403, "", Some(90), "Firewall", [BARE, &["policy-id"]]),
    ("A1.11b", 403, "", Some(108), r#""AccessDenied""#, [BARE, &[]]),
    ("A1.11b-403", 403, "", Some(99), r#""403","message": "Public"#, [BARE, &[]]),
    ("A1.11c", 403, "", Some(191), "cogsvc-vnet", [BARE, &[]]),
    ("A1.11c-private", 403, "", Some(85), "approved private endpoint", [BARE, &[]]),
    ("A1.12", 429, "", Some(343), "exceeded token rate limit", [API, LIMITED]),
    ("A1.12-short", 429, "", Some(85), "Try again in 2 seconds", [API, LIMITED]),
    ("A1.12-foundry", 429, "", None, "RateLimitReached", [CHUNKED, FOUNDRY_LIMITED]),
    ("A1.13", 400, "model_error", None, "ResponsibleAIPolicyViolation", [API, MODEL]),
    ("A1.14", 400, "", None, r#""code":400,"message":"Invalid AzureCognitiveSearch"#, [API, &[]]),
    ("400-missed-model", 400, "", Some(61), "Missed model deployment", [CHUNKED, &[]]),
    ("400-invalid-prompt", 400, "model_error", Some(245), "repetitive", [API, MODEL]),
    ("408", 408, "", Some(220), "upstream request timeout", [API, TIMEOUT]),
    ("413", 413, "", Some(252), "Failed to buffer", [API, TOO_LARGE]),
    ("500", 500, "", Some(141), "An error occurred", [CHUNKED, NO_ANSWER]),
    ("503", 503, "", None, "unavailable", [API, &[]]),
    ("503-html", 503, "", None, "<html>", [&["content-length", "content-type", "date"], &[]]),
    ("apim-missing-key", 401, "Access Denied", Some(152), "missing subscription key", [APIM, &[]]),
    ("apim-invalid-key", 401, "Access Denied", Some(143), "invalid subscription key", [APIM, &[]]),
    ("apim-ai-gateway", 401, "Access Denied", Some(208), "application token", [APIM, &[]]),
];

const APIM: &[&str] = &["content-length", "content-type", "date", "www-authenticate"];

#[tokio::test]
async fn every_row_has_its_bytes_and_headers() {
    let world = World::start().await;
    for (name, ..) in ROWS {
        world.bench.emulator.next(Plane::OpenAi, Fault::named(name), 1).expect(name);
    }
    for (name, status, reason, length, part, headers) in ROWS {
        let reply = world.ask("POST", CHAT).body(HALLO).send().await;
        assert_eq!(reply.status, *status, "{name}");
        assert_eq!(reply.reason.as_deref().unwrap_or_default(), *reason, "{name}");
        assert!(reply.text().contains(part), "{name}: {}", reply.text());
        if let Some(length) = length {
            assert_eq!(reply.body.len(), *length, "{name}: {}", reply.text());
        }
        let mut wanted = headers.concat();
        if *name == "400-invalid-prompt" {
            wanted.push("access-control-allow-origin");
        }
        wanted.sort_unstable();
        assert_eq!(reply.names(), wanted, "{name}");
    }
    // All used up.
    assert_eq!(world.ask("POST", CHAT).body(HALLO).send().await.status, 200);
    let tested: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
    assert_eq!(azure_emulator::fault_names(Plane::OpenAi)[..tested.len()], tested);
}

#[tokio::test]
async fn what_is_no_json_says_so() {
    let world = World::start().await;
    for (name, content_type) in [
        ("408", Some("text/plain")),
        ("413", Some("text/plain; charset=utf-8")),
        ("503-html", Some("text/html")),
        ("A1.6", None),
        ("A1.12-foundry", Some("application/json; charset=utf-8")),
    ] {
        world.bench.emulator.next(Plane::OpenAi, Fault::named(name), 1).expect(name);
        let reply = world.ask("POST", CHAT).body(HALLO).send().await;
        assert_eq!(reply.header("content-type"), content_type, "{name}");
    }
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() {
    let world = World::start().await;
    for (fault, seconds, milliseconds) in [
        (Fault::named("A1.12"), "2", "2000"),
        (Fault::named("A1.12").retry_after(7), "7", "2000"),
        (Fault::named("A1.12-foundry"), "1", "0"),
    ] {
        world.bench.emulator.next(Plane::OpenAi, fault, 1).expect("known");
        let reply = world.ask("POST", CHAT).body(HALLO).send().await;
        assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), (Some(seconds), Some(milliseconds)));
    }
}
