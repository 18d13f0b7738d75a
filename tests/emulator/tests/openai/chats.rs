//! Chats that call functions, or answer in a form.

use serde_json::{Value, json};

use super::world::World;

fn ask(extra: &Value) -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let mut body = json!({
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hallo"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": parameters}}],
    });
    for (member, value) in extra.as_object().expect("an object") {
        body[member] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_function_is_called_whole_or_bit_by_bit() {
    let world = World::start().await;
    let whole = world.post("chat/completions", ask(&json!({}))).await;
    let choice = &whole["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({"arguments": r#"{"city":"Zürich"}"#, "name": "weather"}));

    let body = ask(&json!({"stream": true})).to_string();
    let reply = world.ask("POST", "/openai/v1/chat/completions").body(body).send().await;
    let frames: Vec<Value> = reply.events().iter().filter_map(|frame| serde_json::from_str(frame).ok()).collect();
    let calls: Vec<&Value> = frames
        .iter()
        .map(|frame| &frame["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!((&calls[0]["function"]["name"], &calls[0]["type"]), (&json!("weather"), &json!("function")));
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, r#"{"city":"Zürich"}"#);
    assert_eq!(frames.last().expect("frames")["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn what_a_function_said_is_repeated_and_nobody_has_to_call_one() {
    let world = World::start().await;
    let messages =
        json!([{"role": "user", "content": "Hallo"}, {"role": "tool", "tool_call_id": "c", "content": "sunny"}]);
    for (extra, said) in [(json!({"messages": messages}), "sunny"), (json!({"tool_choice": "none"}), "Hallo")] {
        let whole = world.post("chat/completions", ask(&extra)).await;
        let content = &whole["choices"][0]["message"]["content"];
        assert_eq!(*content, format!("You said “{said}” to gpt-4o. ✓ Zürich"));
    }
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let whole = world.post("chat/completions", ask(&json!({"tools": [], "response_format": format}))).await;
    assert_eq!(whole["choices"][0]["message"]["content"], r#"{"n":42}"#);
}
