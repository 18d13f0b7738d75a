//! An upstream, or some proxy near it, that answers with what it was sent: nothing of it is a credential of ours when it
//! reaches the client.

use azure_emulator::{FixedTokens, Options};

use crate::upstream::Upstream;
use crate::world::{CHAT, Plan, saying};

/// Of the form of a real one.
const TOKEN: &str = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJrZXlzd2FwIn0.c2lnbmF0dXJl";

/// The plan of an upstream that answers everybody with this, and of whose tokens one is known.
fn plan(upstream: &Upstream) -> Plan {
    let fixed_tokens = Some(FixedTokens { openai: TOKEN.to_owned(), search: "x".repeat(40) });
    Plan { options: Options { fixed_tokens, ..Options::default() }, ..upstream.plan() }
}

#[tokio::test]
async fn no_header_of_an_answer_has_a_credential_of_ours() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nAuthorization: Bearer {TOKEN}\r\nauthorization: other\r\n\
         Api-Key: k\r\nOcp-Apim-Subscription-Key: k\r\nx-api-key: k\r\nProxy-Authorization: Basic dTpw\r\n\
         x-request: GET / authorization=Bearer {TOKEN};\r\nx-token: {TOKEN}\r\nset-cookie: a=b\r\nset-cookie: t={TOKEN}\r\n\
         x-kept: Bearer\r\nx-long: {}\r\n\r\n{{}}",
        "y".repeat(2 * TOKEN.len()),
    );
    let upstream = Upstream::answering(answer.as_bytes()).await;
    let world = plan(&upstream).start().await;
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!(upstream.only_asked().header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    let mut names = answer.header_names();
    names.retain(|name| !["date", "x-keyswap-request-id"].contains(name));
    assert_eq!(names, ["x-kept", "x-long"]);
    assert_eq!(answer.text(), "{}");
}

/// What Azure says of our credentials is quoted in our own text and in the log, and may quote them itself.
#[tokio::test]
async fn no_text_that_is_quoted_has_a_token_of_ours() {
    let body = format!("{{\"error\":{{\"code\":\"401\",\"message\":\"No: Bearer {TOKEN} is not mine.\"}}}}");
    let answer = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nwww-authenticate: Bearer {TOKEN}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let upstream = Upstream::answering(answer.as_bytes()).await;
    let world = plan(&upstream).start().await;
    let answer = world.post(CHAT).key(&world.emulator.keys().openai).json(&saying("hello")).await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("No: Bearer (a token) is not mine."), "{}", answer.text());
    let line = world.gateway.told(|line| line["reason"] == "upstream-authentication").await;
    let logged = world.gateway.logged(|line| line["reason"] == "upstream-authentication").await;
    for told in [line.to_string(), logged.to_string(), format!("{:?}{}", answer.headers, answer.text())] {
        assert!(TOKEN.split('.').all(|part| !told.contains(part)), "{told}");
    }
}
