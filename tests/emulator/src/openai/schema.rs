//! A value that fits a JSON schema: what a model makes up that calls a function, or has to answer in a given form.

use serde_json::{Map, Value, json};

/// A predictable value. References lead to `$defs` of the same schema; a schema that contains itself ends in `null`.
pub(super) fn example(schema: &Value) -> Value {
    of(schema, schema, 8)
}

fn of(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    let below = |schema: &Value| of(schema, root, depth - 1);
    if let Some(path) = schema["$ref"].as_str() {
        return root.pointer(path.trim_start_matches('#')).map_or(Value::Null, below);
    }
    if let Some(fixed) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return fixed.clone();
    }
    if let Some(first) = schema["anyOf"].get(0).or_else(|| schema["allOf"].get(0)) {
        return below(first);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
    match kind {
        Some("string") => json!("Zürich"),
        Some("integer" | "number") => json!(42),
        Some("boolean") => json!(true),
        Some("array") => json!([below(&schema["items"])]),
        Some("null") => Value::Null,
        _ => {
            let properties = schema["properties"].as_object();
            let members = properties.into_iter().flatten().map(|(name, schema)| (name.clone(), below(schema)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_every_property() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "kelvin"]},
                "days": {"type": ["integer", "null"]},
                "next": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
            },
            "$defs": {"Place": {"type": "object", "properties": {"tags": {"type": "array", "items": {"type": "boolean"}}}}},
        });
        let example = example(&schema);
        assert_eq!(example, json!({"city": "Zürich", "unit": "celsius", "days": 42, "next": {"tags": [true]}}));
    }

    #[test]
    fn a_schema_without_an_end_ends() {
        let schema = json!({"type": "object", "properties": {"self": {"$ref": "#"}}});
        assert!(example(&schema)["self"]["self"].is_object());
    }
}
