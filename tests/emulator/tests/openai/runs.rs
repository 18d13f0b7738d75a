//! Runs of assistants.

use serde_json::{Value, json};

use super::world::{World, id, ids};

/// A thread that says Hallo, and an assistant that has a function or not.
async fn begun(world: &World, tools: Value) -> (String, String) {
    let assistant = id(&world.post("assistants", json!({"model": "gpt-4o", "tools": tools})).await);
    let thread = world.post("threads", json!({"messages": [{"role": "user", "content": "Hallo"}]})).await;
    (assistant, format!("threads/{}/runs", id(&thread)))
}

fn weather() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}])
}

/// The events of a stream, by name and object.
fn events(text: &str) -> Vec<(&str, Value)> {
    let text = text.strip_suffix("\n\nevent: done\ndata: [DONE]\n\n").expect("the end of a stream");
    let frames = text.split("\n\n").map(|frame| {
        let (event, data) = frame.split_once('\n').expect("two lines");
        let data = data.strip_prefix("data: ").expect("data");
        (event.strip_prefix("event: ").expect("an event"), serde_json::from_str(data).expect("JSON"))
    });
    frames.collect()
}

fn names<'a>(events: &[(&'a str, Value)]) -> Vec<&'a str> {
    let mut names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    names.dedup();
    names
}

#[tokio::test]
async fn a_run_moves_on_with_each_poll() {
    let world = World::start().await;
    let (assistant, runs) = begun(&world, json!([])).await;
    let run = world.post(&runs, json!({"assistant_id": assistant, "metadata": {"a": "b"}})).await;
    assert_eq!(
        (&run["status"], &run["object"], &run["model"]),
        (&json!("queued"), &json!("thread.run"), &json!("gpt-4o"))
    );
    let path = format!("{runs}/{}", id(&run));

    // Nobody talks into it, or runs beside it.
    let messages = runs.replace("runs", "messages");
    let thread = run["thread_id"].as_str().expect("a thread");
    let refused = world.call("POST", &messages, json!({"role": "user", "content": "x"}), 400).await;
    let text = format!("Can't add messages to {thread} while a run {} is active.", id(&run));
    assert_eq!(refused["error"]["message"], text);
    let refused = world.call("POST", &runs, json!({"assistant_id": assistant}), 400).await;
    assert_eq!(refused["error"]["message"], format!("Thread {thread} already has an active run {}.", id(&run)));

    assert_eq!(world.get(&path).await["status"], "in_progress");
    let done = world.get(&path).await;
    assert_eq!((&done["status"], &done["usage"]["prompt_tokens"]), (&json!("completed"), &json!(1)));
    let said = world.get(&format!("{messages}?run_id={}", id(&run))).await;
    let said = &said["data"][0];
    assert_eq!(said["content"][0]["text"]["value"], "You said “Hallo” to gpt-4o. ✓ Zürich");
    assert_eq!((&said["role"], &said["assistant_id"]), (&json!("assistant"), &json!(assistant)));
    let steps = world.get(&format!("{path}/steps")).await;
    let step = &steps["data"][0];
    assert_eq!(step["step_details"]["message_creation"]["message_id"], said["id"]);
    assert_eq!(world.get(&format!("{path}/steps/{}", id(step))).await, *step);

    assert_eq!(ids(&world.get(&runs).await), [id(&run)]);
    let changed = world.post(&path, json!({"metadata": {"c": "d"}})).await;
    assert_eq!(changed["metadata"], json!({"c": "d"}));
    let refused = world.call("POST", &format!("{path}/cancel"), Value::Null, 400).await;
    assert_eq!(refused["error"]["message"], "Cannot cancel run with status 'completed'.");
    for unknown in [format!("{runs}/run_1"), format!("{path}/steps/step_1"), "threads/thread_1/runs".to_owned()] {
        world.call("GET", &unknown, Value::Null, 404).await;
    }
}

#[tokio::test]
async fn a_run_waits_for_its_functions() {
    let world = World::start().await;
    let (assistant, runs) = begun(&world, weather()).await;
    let run = world.post(&runs, json!({"assistant_id": assistant})).await;
    let path = format!("{runs}/{}", id(&run));
    world.get(&path).await;
    let waiting = world.get(&path).await;
    assert_eq!(waiting["status"], "requires_action");
    let call = &waiting["required_action"]["submit_tool_outputs"]["tool_calls"][0];
    assert_eq!(call["function"], json!({"name": "weather", "arguments": r#"{"city":"Zürich"}"#}));
    assert_eq!(world.get(&path).await, waiting);

    let submit = format!("{path}/submit_tool_outputs");
    let wrong = json!({"tool_outputs": [{"tool_call_id": "call_1", "output": "x"}]});
    world.call("POST", &submit, wrong, 400).await;
    let output = json!({"tool_outputs": [{"tool_call_id": call["id"], "output": "sunny"}]});
    assert_eq!(world.post(&submit, output.clone()).await["status"], "queued");
    let refused = world.call("POST", &submit, output, 400).await;
    assert_eq!(refused["error"]["message"], "Runs in status \"queued\" do not accept tool outputs.");
    world.get(&path).await;
    assert_eq!(world.get(&path).await["status"], "completed");
    let messages = world.get(&runs.replace("runs", "messages")).await;
    assert_eq!(messages["data"][0]["content"][0]["text"]["value"], "You said “sunny” to gpt-4o. ✓ Zürich");
    let steps = world.get(&format!("{path}/steps?order=asc")).await;
    assert_eq!(steps["data"][0]["step_details"]["tool_calls"][0]["function"]["output"], "sunny");
    assert_eq!(
        (&steps["data"][0]["type"], &steps["data"][1]["type"]),
        (&json!("tool_calls"), &json!("message_creation"))
    );
}

#[tokio::test]
async fn a_streamed_run_tells_all_that_happens() {
    let world = World::start().await;
    let assistant = id(&world.post("assistants", json!({"model": "gpt-4o"})).await);
    let thread = json!({"messages": [{"role": "user", "content": "Hallo"}]});
    let body = json!({"assistant_id": assistant, "thread": thread, "stream": true}).to_string();
    let target = "/openai/threads/runs?api-version=2024-05-01-preview";
    let reply = world.ask("POST", target).body(body).send().await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = events(reply.text());
    assert_eq!(
        names(&events),
        [
            "thread.created",
            "thread.run.created",
            "thread.run.queued",
            "thread.run.in_progress",
            "thread.run.step.created",
            "thread.run.step.in_progress",
            "thread.message.created",
            "thread.message.in_progress",
            "thread.message.delta",
            "thread.message.completed",
            "thread.run.step.completed",
            "thread.run.completed"
        ]
    );
    let pieces = events.iter().filter_map(|(_, data)| data["delta"]["content"][0]["text"]["value"].as_str());
    assert_eq!(pieces.collect::<String>(), "You said “Hallo” to gpt-4o. ✓ Zürich");
    let run = &events.last().expect("events").1;
    let path = format!("threads/{}/runs/{}", run["thread_id"].as_str().expect("a thread"), id(run));
    assert_eq!(world.get(&path).await, *run);
}

#[tokio::test]
async fn a_streamed_run_stops_where_it_waits_and_goes_on_in_another_stream() {
    let world = World::start().await;
    let (assistant, runs) = begun(&world, weather()).await;
    let stream = |path: String, body: Value| {
        let ask = world.ask("POST", &format!("/openai/v1/{path}")).body(body.to_string());
        async move { ask.send().await }
    };
    let reply = stream(runs.clone(), json!({"assistant_id": assistant, "stream": true})).await;
    let first = events(reply.text());
    let (last, waiting) = first.last().expect("events");
    assert_eq!(*last, "thread.run.requires_action");
    let calls = &first.iter().find(|(name, _)| *name == "thread.run.step.delta").expect("a call").1;
    let call = &calls["delta"]["step_details"]["tool_calls"][0];
    let output = json!({"stream": true, "tool_outputs": [{"tool_call_id": call["id"], "output": "sunny"}]});
    let reply = stream(format!("{runs}/{}/submit_tool_outputs", id(waiting)), output).await;
    let second = names(&events(reply.text())).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(second[..3], ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]);
    assert_eq!(second.last().map(String::as_str), Some("thread.run.completed"));
}

#[tokio::test]
async fn a_run_is_cancelled_and_needs_an_assistant() {
    let world = World::start().await;
    let (assistant, runs) = begun(&world, json!([])).await;
    let run = world.post(&runs, json!({"assistant_id": assistant})).await;
    let path = format!("{runs}/{}", id(&run));
    assert_eq!(world.post(&format!("{path}/cancel"), Value::Null).await["status"], "cancelling");
    assert_eq!(world.get(&path).await["status"], "cancelled");
    assert_eq!(world.get(&path).await["status"], "cancelled");
    let nobody = world.call("POST", &runs, json!({}), 400).await;
    assert_eq!(nobody["error"]["param"], "assistant_id");
    world.call("POST", &runs, json!({"assistant_id": "asst_1"}), 404).await;
    let wrong = world.call("POST", &runs, json!({"assistant_id": assistant, "model": "gpt-9"}), 400).await;
    assert_eq!(wrong["error"]["code"], "model_not_found");
}
