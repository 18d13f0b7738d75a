//! What a legacy client sees, step by step.

use std::error::Error;

use azure_emulator::Door;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::stage::Stage;

const CHAT: &str = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
const SEARCH: &str = "/indexes/hotels/docs/search?api-version=2024-07-01";
const UPLOAD: &str = "/indexes/hotels/docs/index?api-version=2024-07-01";

/// An answer, read to its end.
struct Answer {
    status: u16,
    pieces: Vec<Bytes>,
}

/// Counts the steps and whether each did what it should.
#[derive(Default)]
struct Tour {
    steps: usize,
    failures: usize,
}

/// Makes the tour; true if every step did what it should.
pub(crate) async fn make(stage: &Stage) -> Result<bool, Box<dyn Error>> {
    let keys = stage.emulator.keys();
    let azure = stage.emulator.openai(Door::Direct);
    let azure_with_keys = stage.emulator.openai(Door::KeysEnabled);
    let gateway = &stage.https;
    let mut tour = Tour::default();
    println!("An Azure OpenAI and an Azure AI Search resource whose keys are switched off, and keyswap in front.\n");

    let hello = json!({"messages": [{"role": "user", "content": "Hello from 2023"}]});
    let answer = post(stage, &azure, CHAT, &keys.openai, &hello).await?;
    let refused = answer.status == 403 && answer.error_code() == "AuthenticationTypeDisabled";
    tour.step("The key, sent straight to the resource", &answer, &answer.error_message(), refused);

    let answer = post(stage, gateway, CHAT, &keys.openai, &hello).await?;
    let said = answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    tour.step(
        "The same key, the same request, through keyswap",
        &answer,
        &said,
        answer.status == 200 && !said.is_empty(),
    );

    let mut streamed = hello.clone();
    streamed["stream"] = true.into();
    let answer = post(stage, gateway, CHAT, &keys.openai, &streamed).await?;
    let whole = answer.status == 200 && answer.text().ends_with("data: [DONE]\n\n") && answer.pieces.len() > 1;
    let pieces = format!("{} pieces, the last one [DONE]", answer.pieces.len());
    tour.step("A stream", &answer, &pieces, whole);

    let answer =
        post(stage, gateway, SEARCH, &keys.search_query, &json!({"search": "*", "count": true, "top": 3})).await?;
    let found = answer.json()["@odata.count"].as_u64().unwrap_or_default();
    tour.step("A search, with a query key", &answer, &format!("{found} hotels"), answer.status == 200 && found == 120);

    let wrong = "0123456789abcdef0123456789abcdef";
    let ours = post(stage, gateway, CHAT, wrong, &hello).await?;
    let azures = post(stage, &azure_with_keys, CHAT, wrong, &hello).await?;
    let same = ours.status == 401 && (ours.status, ours.text()) == (azures.status, azures.text());
    tour.step("A wrong key: byte for byte what Azure used to say", &ours, &ours.text(), same);

    let document = json!({"value": [{"@search.action": "upload", "HotelId": "intruder"}]});
    let answer = post(stage, gateway, UPLOAD, &keys.search_query, &document).await?;
    let entries = stage.emulator.journal().entries();
    let written = entries.iter().any(|entry| entry.operation == Some("docs-index"));
    tour.step("A query key that wants to write", &answer, &answer.error_message(), answer.status == 403 && !written);

    let leaks = stage.emulator.journal().violations().len();
    tour.failures += usize::from(leaks > 0);
    println!("{leaks} client credentials arrived behind keyswap.");
    println!("{}", if tour.failures == 0 { "\nEvery step did what it should." } else { "\nSOMETHING WENT WRONG." });
    Ok(tour.failures == 0)
}

/// Lines to paste while the demo stays up.
pub(crate) fn invite(stage: &Stage) {
    let keys = stage.emulator.keys();
    let (gateway, ca) = (&stage.https, stage.ca.display());
    println!(
        "
It stays up until Ctrl-C. To try it yourself:

curl --cacert {ca} '{gateway}{CHAT}' \\
  -H 'api-key: {openai}' \\
  -H 'content-type: application/json' \\
  -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'

curl --cacert {ca} '{gateway}/indexes/hotels/docs?search=*&$top=3&api-version=2024-07-01' \\
  -H 'api-key: {query}'

SSL_CERT_FILE={ca} python3 -c '
from openai import AzureOpenAI
client = AzureOpenAI(azure_endpoint=\"{gateway}\", api_version=\"2024-10-21\", api_key=\"{openai}\")
print(client.chat.completions.create(model=\"gpt-4o\", messages=[{{\"role\": \"user\", \"content\": \"Hello\"}}]))'
",
        openai = keys.openai,
        query = keys.search_query,
    );
}

async fn post(stage: &Stage, base: &str, path: &str, key: &str, body: &Value) -> Result<Answer, Box<dyn Error>> {
    let request = Request::post(format!("{base}{path}"))
        .header("api-key", key)
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))?;
    let answer = stage.send(request).await?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        pieces.extend(frame?.into_data());
    }
    Ok(Answer { status, pieces })
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.pieces.concat()).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.pieces.concat()).unwrap_or_default()
    }

    fn error_code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    fn error_message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Tour {
    fn step(&mut self, what: &str, answer: &Answer, said: &str, well: bool) {
        self.steps += 1;
        self.failures += usize::from(!well);
        let mark = if well { "ok" } else { "WRONG" };
        println!("{}. {what}\n   [{mark}] {}: {said}\n", self.steps, answer.status);
    }
}
