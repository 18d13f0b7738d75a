//! What happens in a run: each state leads to the next, and what happens on the way is what a stream tells.

use serde_json::{Value, json};

use super::Run;
use crate::openai::threads::Thread;
use crate::openai::{chat, messages, schema};
use crate::{clock, entropy};

/// A name and an object.
pub(super) type Event = (&'static str, Value);

/// Moves a run on by one state. Nothing happens to one that is over or waits, or that there is not.
pub(super) fn advance(thread: &mut Thread, id: &str) -> Vec<Event> {
    let Some(run) = thread.runs.get_mut(id) else {
        return Vec::new();
    };
    let now = Value::from(clock::unix_seconds());
    match run.status() {
        "queued" => {
            run.shown["status"] = "in_progress".into();
            run.shown["started_at"] = now;
            vec![("thread.run.in_progress", run.shown.clone())]
        }
        "cancelling" => {
            run.shown["status"] = "cancelled".into();
            run.shown["cancelled_at"] = now;
            vec![("thread.run.cancelled", run.shown.clone())]
        }
        "in_progress" => match run.function() {
            Some(function) => run.call(&function),
            None => {
                let asked: Vec<&Value> = thread.messages.iter().filter(|message| message["role"] == "user").collect();
                let read: usize = asked.iter().map(|message| chat::words(&messages::text(message))).sum();
                let said = run.told().or_else(|| asked.last().map(|message| messages::text(message)));
                let (message, events) = run.say(&said.unwrap_or_default(), read);
                thread.messages.insert(message);
                events
            }
        },
        _ => Vec::new(),
    }
}

// === impl Run ===

impl Run {
    /// The function that the model wants to call: the one that it must, or the first, unless it has called one.
    fn function(&self) -> Option<Value> {
        let choice = &self.shown["tool_choice"];
        if self.told().is_some() || *choice == "none" {
            return None;
        }
        let tools = self.shown["tools"].as_array()?;
        let wanted = choice["function"]["name"].as_str();
        let fits = |tool: &&Value| {
            tool["type"] == "function" && wanted.is_none_or(|wanted| tool["function"]["name"] == wanted)
        };
        tools.iter().find(fits).map(|tool| tool["function"].clone())
    }

    /// What the functions have said, once they have.
    fn told(&self) -> Option<String> {
        let calls = self.steps.iter().find(|step| step["type"] == "tool_calls" && step["status"] == "completed")?;
        let calls = calls["step_details"]["tool_calls"].as_array()?;
        let outputs = calls.iter().filter_map(|call| call["function"]["output"].as_str());
        Some(outputs.collect::<Vec<_>>().join(" "))
    }

    /// Asks for a call of `function`, and waits.
    fn call(&mut self, function: &Value) -> Vec<Event> {
        let mut call = json!({
            "id": format!("call_{}", entropy::key(24)),
            "type": "function",
            "function": {
                "name": function["name"],
                "arguments": schema::example(&function["parameters"]).to_string(),
            },
        });
        let mut step = self.step("tool_calls", json!({"tool_calls": []}));
        let mut events = vec![("thread.run.step.created", step.clone()), ("thread.run.step.in_progress", step.clone())];
        self.shown["status"] = "requires_action".into();
        self.shown["required_action"] =
            json!({"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}});
        call["function"]["output"] = Value::Null;
        let mut first = call.clone();
        first["index"] = 0.into();
        let details = json!({"step_details": {"type": "tool_calls", "tool_calls": [first]}});
        let delta = json!({"id": step["id"], "object": "thread.run.step.delta", "delta": details});
        step["step_details"]["tool_calls"] = json!([call]);
        self.steps.insert(step.clone());
        events.extend([("thread.run.step.delta", delta), ("thread.run.requires_action", self.shown.clone())]);
        events
    }

    /// Goes on with what the functions have said.
    pub(super) fn resume(&mut self, outputs: &[Value]) -> Vec<Event> {
        self.shown["status"] = "queued".into();
        self.shown["required_action"] = Value::Null;
        let waiting = self.steps.iter().find(|step| step["status"] == "in_progress").map(|step| step["id"].clone());
        let step = waiting.and_then(|id| self.steps.get_mut(id.as_str()?));
        let Some(step) = step else {
            return Vec::new();
        };
        for call in step["step_details"]["tool_calls"].as_array_mut().into_iter().flatten() {
            let output = outputs.iter().find(|output| output["tool_call_id"] == call["id"]);
            call["function"]["output"] = output.map_or(Value::Null, |output| output["output"].clone());
        }
        step["status"] = "completed".into();
        step["completed_at"] = clock::unix_seconds().into();
        vec![("thread.run.step.completed", step.clone()), ("thread.run.queued", self.shown.clone())]
    }

    /// Answers `said`, and is completed. `read` words have been read for it.
    fn say(&mut self, said: &str, read: usize) -> (Value, Vec<Event>) {
        let format = &self.shown["response_format"];
        let text = if format["type"] == "json_schema" {
            schema::example(&format["json_schema"]["schema"]).to_string()
        } else {
            chat::answer_to(said, self.shown["model"].as_str().unwrap_or_default())
        };
        let now = clock::unix_seconds();
        let thread = self.shown["thread_id"].as_str().unwrap_or_default();
        let mut message = messages::said(thread, "assistant", json!([]));
        message["assistant_id"] = self.shown["assistant_id"].clone();
        message["run_id"] = self.shown["id"].clone();
        let mut step = self.step("message_creation", json!({"message_creation": {"message_id": message["id"]}}));
        let mut events = vec![("thread.run.step.created", step.clone()), ("thread.run.step.in_progress", step.clone())];
        events.extend(["thread.message.created", "thread.message.in_progress"].map(|name| (name, message.clone())));
        events.extend(chat::pieces(&text).iter().map(|piece| {
            let content = json!([{"index": 0, "type": "text", "text": {"value": piece}}]);
            let id = &message["id"];
            ("thread.message.delta", json!({"id": id, "object": "thread.message.delta", "delta": {"content": content}}))
        }));
        message["content"] = json!([{"type": "text", "text": {"value": text, "annotations": []}}]);
        let written = chat::words(&text);
        let usage = json!({"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written});
        step["status"] = "completed".into();
        for object in [&mut step, &mut self.shown] {
            object["completed_at"] = now.into();
            object["usage"] = usage.clone();
        }
        self.shown["status"] = "completed".into();
        self.steps.insert(step.clone());
        events.extend([
            ("thread.message.completed", message.clone()),
            ("thread.run.step.completed", step),
            ("thread.run.completed", self.shown.clone()),
        ]);
        (message, events)
    }

    /// A new step of this type, in progress.
    fn step(&self, kind: &str, mut details: Value) -> Value {
        details["type"] = kind.into();
        json!({
            "id": format!("step_{}", entropy::key(24)),
            "object": "thread.run.step",
            "created_at": clock::unix_seconds(),
            "run_id": self.shown["id"],
            "assistant_id": self.shown["assistant_id"],
            "thread_id": self.shown["thread_id"],
            "type": kind,
            "status": "in_progress",
            "cancelled_at": null,
            "completed_at": null,
            "expires_at": self.shown["expires_at"],
            "failed_at": null,
            "last_error": null,
            "step_details": details,
            "usage": null,
        })
    }
}
