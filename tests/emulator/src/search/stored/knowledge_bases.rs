//! Knowledge bases, and `retrieve`: what their sources know of what is asked (H18).

use serde_json::{Map, Value, json};

use super::knowledge_sources::{self, KNOWLEDGE_SOURCES};
use super::{Kind, Unset};
use crate::answer::Answer;
use crate::clock;
use crate::search::entity::{Object, Words};
use crate::search::filter::Filter;
use crate::search::hits::{self, Hit, Terms};
use crate::search::schema::Index;
use crate::search::service::Memory;
use crate::search::{Request, reply};

pub(in crate::search) static KNOWLEDGE_BASES: Kind = Kind {
    words: Words { collection: "knowledgebases", noun: "knowledge base" },
    title: "Knowledge base",
    // Azure-Samples/azure-search-openai-demo#3125.
    missing: ["No Knowledge Base with the name '{}' was found in service '{}'."; 2],
    located: false,
    members: &[
        ("description", Unset::Null),
        ("knowledgeSources", Unset::List),
        ("models", Unset::List),
        ("encryptionKey", Unset::Null),
    ],
    complete,
};

/// How many documents of one source a question brings.
const REFERENCES: usize = 5;

/// What one request has brought so far.
#[derive(Default)]
struct Retrieval {
    found: Vec<Value>,
    activity: Vec<Value>,
    references: Vec<Value>,
}

/// `POST …/retrieve`: every source is asked every question.
pub(in crate::search) fn retrieve(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let memory = request.azure.search.memory();
    let base = KNOWLEDGE_BASES.named(request, &memory)?;
    let questions = questions(&body);
    let mut retrieval = Retrieval::default();
    let sources = base.definition.get("knowledgeSources").and_then(Value::as_array).into_iter().flatten();
    for source in sources.filter_map(|source| memory.of(&KNOWLEDGE_SOURCES).get(source["name"].as_str()?)) {
        let index = knowledge_sources::index_of(&source.definition).and_then(|index| memory.indexes.get(index));
        for question in &questions {
            retrieval.ask(source, index, question);
        }
    }
    let with_activity = body.get("includeActivity") != Some(&Value::Bool(false));
    let kind = reply::core_type(request.call, "Agents.AgentRetrievalResponse");
    Ok(reply::of_type(request.call, &kind, retrieval.answer(with_activity)))
}

impl Retrieval {
    fn ask(&mut self, source: &Object, index: Option<&Index>, question: &str) {
        let place = self.activity.len();
        let hits = index.map(|index| best(index, question)).unwrap_or_default();
        let parameters = knowledge_sources::parameters(&source.definition);
        self.activity.push(json!({
            "type": source.text("kind"),
            "id": place,
            "knowledgeSourceName": source.text("name"),
            "queryTime": clock::timestamp(),
            "count": hits.len(),
            "elapsedMs": 71,
            "searchIndexArguments": {
                "search": question,
                "filter": null,
                "semanticConfigurationName": parameters["semanticConfigurationName"],
                "sourceDataFields": parameters["sourceDataFields"],
                "searchFields": parameters["searchFields"],
            },
        }));
        for (index, hit) in index.into_iter().flat_map(|index| hits.iter().map(move |hit| (index, hit))) {
            let id = self.references.len().to_string();
            self.found.push(json!({"ref_id": id, "content": hits::whole_text(index, hit.document)}));
            self.references.push(json!({
                "type": "searchIndex",
                "id": id,
                "activitySource": place,
                "sourceData": null,
                "rerankerScore": hit.score.min(4.0),
                "docKey": hit.document.get(&index.key),
            }));
        }
    }

    /// What was found is a text of JSON within the JSON.
    fn answer(mut self, with_activity: bool) -> Value {
        let text = Value::Array(self.found).to_string();
        let mut answer = json!({"response": [{"content": [{"type": "text", "text": text}]}]});
        if with_activity {
            self.activity.push(json!({"type": "agenticReasoning", "id": self.activity.len(), "reasoningTokens": 0}));
            answer["activity"] = Value::Array(self.activity);
        }
        answer["references"] = Value::Array(self.references);
        answer
    }
}

fn best<'i>(index: &'i Index, question: &str) -> Vec<Hit<'i>> {
    let mut hits = hits::find(index, &Terms::of(question), &Filter::Always);
    hits.sort_by(|left, right| right.score.total_cmp(&left.score));
    hits.truncate(REFERENCES);
    hits
}

/// What is asked: intents (2026), or the texts of messages (before).
fn questions(body: &Map<String, Value>) -> Vec<String> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let intents = list(body.get("intents"));
    let messages = list(body.get("messages"));
    let intents = intents.iter().filter_map(|intent| intent["search"].as_str());
    let contents = messages.iter().flat_map(|message| message["content"].as_array().into_iter().flatten());
    intents.chain(contents.filter_map(|content| content["text"].as_str())).map(str::to_owned).collect()
}

fn complete(definition: &mut Map<String, Value>, memory: &Memory) -> Result<(), String> {
    let sources = definition.get("knowledgeSources").and_then(Value::as_array).into_iter().flatten();
    for name in sources.filter_map(|source| source["name"].as_str()) {
        if !memory.of(&KNOWLEDGE_SOURCES).contains_key(name) {
            return Err(format!("This knowledge base refers to a knowledge source '{name}' that doesn't exist"));
        }
    }
    Ok(())
}
