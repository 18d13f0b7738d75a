//! Skillsets: what an indexer does to a document on its way. Nobody runs them here.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::{Kind, Unset};
use crate::answer::Answer;
use crate::search::entity::Words;
use crate::search::service::Memory;
use crate::search::{Request, reply};

pub(in crate::search) static SKILLSETS: Kind = Kind {
    words: Words { collection: "skillsets", noun: "skillset" },
    title: "Skillset",
    missing: [
        "No skillset with the name '{}' was found in service '{}'.",
        "No skillset with the name '{}' was found in a service named '{}'.",
    ],
    located: true,
    members: &[
        ("description", Unset::Null),
        ("skills", Unset::List),
        ("cognitiveServices", Unset::Null),
        ("knowledgeStore", Unset::Null),
        ("indexProjections", Unset::Null),
        ("encryptionKey", Unset::Null),
    ],
    complete,
};

/// What a skill has of its own, whether or not it was given: of those that were recorded.
const OWN: [(&str, &[&str]); 2] = [
    ("#Microsoft.Skills.Text.LanguageDetectionSkill", &["defaultCountryHint", "modelVersion"]),
    (
        "#Microsoft.Skills.Vision.OcrSkill",
        &["textExtractionAlgorithm", "lineEnding", "defaultLanguageCode", "detectOrientation"],
    ),
];

/// A skill that should run again for some documents: 204.
pub(in crate::search) fn reset_skills(request: &Request<'_>) -> Result<Answer, Answer> {
    SKILLSETS.named(request, &request.azure.search.memory())?;
    Ok(reply::bare(request.call, StatusCode::NO_CONTENT))
}

fn complete(definition: &mut Map<String, Value>, _: &Memory) -> Result<(), String> {
    let Some(Value::Array(skills)) = definition.get_mut("skills") else {
        return Ok(());
    };
    for (place, skill) in skills.iter_mut().enumerate() {
        let Value::Object(given) = skill else {
            return Err("The request is invalid. Details: skillset : A skill must be an object.\r\n".to_owned());
        };
        *given = complete_skill(std::mem::take(given), place);
    }
    Ok(())
}

/// In the service's order: what all skills have, what this one has of its own, its inputs and its outputs.
fn complete_skill(mut given: Map<String, Value>, place: usize) -> Map<String, Value> {
    let mut take = |member: &str, unset: Value| given.shift_remove(member).unwrap_or(unset);
    let mut skill = Map::new();
    skill.insert("@odata.type".to_owned(), take("@odata.type", Value::Null));
    skill.insert("name".to_owned(), take("name", json!(format!("#{}", place + 1))));
    skill.insert("description".to_owned(), take("description", Value::Null));
    skill.insert("context".to_owned(), take("context", Value::Null));
    let (inputs, outputs) = (take("inputs", json!([])), take("outputs", json!([])));
    let inputs = inputs.as_array().into_iter().flatten().map(|input| {
        let inner = if input["inputs"].is_null() { json!([]) } else { input["inputs"].clone() };
        json!({
            "name": input["name"], "source": input["source"], "sourceContext": input["sourceContext"], "inputs": inner,
        })
    });
    let inputs = inputs.collect();
    let own = OWN.iter().find(|(kind, _)| skill["@odata.type"] == *kind).map_or(&[][..], |(_, members)| members);
    for member in own {
        skill.insert((*member).to_owned(), given.shift_remove(*member).unwrap_or(Value::Null));
    }
    skill.extend(given);
    skill.insert("inputs".to_owned(), inputs);
    skill.insert("outputs".to_owned(), outputs);
    skill
}
