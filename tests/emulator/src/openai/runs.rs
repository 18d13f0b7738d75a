//! Runs: an assistant works on a thread. A run moves on when somebody asks for it (queued, in progress, completed; or, if it
//! has functions, first waits for what they say), and all at once where it is streamed. What happens then is in `progress`.

mod progress;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::assistants::{check_model, show};
use crate::openai::page::Page;
use crate::openai::store::{Collection, Object};
use crate::openai::threads::Thread;
use crate::openai::{Request, refusal, reply};
use crate::{clock, entropy};

use progress::Event;

/// In these states nothing comes any more.
const OVER: [&str; 4] = ["cancelled", "completed", "expired", "failed"];

/// How long a run may take, in seconds.
const LIFE: i64 = 600;

/// A run, and the steps that it has taken.
pub(crate) struct Run {
    /// As it is shown.
    shown: Value,
    steps: Collection<Value>,
}

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let assistant = assistant(request, body)?;
    let mut objects = request.objects();
    let thread = objects.thread(request)?;
    if let Some(run) = thread.active_run() {
        let message = format!("Thread {} already has an active run {run}.", thread.id());
        return Err(refusal::refuse(request.call, &message));
    }
    thread.hear(request, &body["additional_messages"])?;
    Ok(begin(request, thread, body, &assistant, Vec::new()))
}

/// `POST /threads/runs`: a new thread, and a run on it.
pub(super) fn create_with_thread(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let assistant = assistant(request, body)?;
    let mut thread = Thread::of(request, &body["thread"])?;
    let made = vec![("thread.created", thread.shown().clone())];
    let answer = begin(request, &mut thread, body, &assistant, made);
    request.objects().threads.insert(thread);
    Ok(answer)
}

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let runs = objects.thread(request)?.runs.iter().map(|run| &run.shown);
    Ok(show(request, &Page::of(request.call, runs)?.list()))
}

pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let thread = objects.thread(request)?;
    progress::advance(thread, request.name(1));
    Ok(show(request, &run(request, thread)?.shown))
}

pub(super) fn update(request: &Request<'_>) -> Result<Answer, Answer> {
    let metadata = request.json()?["metadata"].clone();
    let mut objects = request.objects();
    let run = run(request, objects.thread(request)?)?;
    run.shown["metadata"] = metadata;
    Ok(show(request, &run.shown))
}

pub(super) fn cancel(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let run = run(request, objects.thread(request)?)?;
    if run.is_over() {
        let message = format!("Cannot cancel run with status '{}'.", run.status());
        return Err(refusal::refuse(request.call, &message));
    }
    run.shown["status"] = "cancelling".into();
    run.shown["required_action"] = Value::Null;
    Ok(show(request, &run.shown))
}

/// What the functions have said that the run waits for.
pub(super) fn submit(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let outputs = body["tool_outputs"].as_array().ok_or_else(|| refusal::missing(request.call, "tool_outputs"))?;
    let mut objects = request.objects();
    let thread = objects.thread(request)?;
    let run = run(request, thread)?;
    if run.status() != "requires_action" {
        let message = format!("Runs in status \"{}\" do not accept tool outputs.", run.status());
        return Err(refusal::refuse(request.call, &message));
    }
    let wanted = &run.shown["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"];
    if !outputs.iter().any(|output| output["tool_call_id"] == *wanted) {
        let given: Vec<&Value> = outputs.iter().map(|output| &output["tool_call_id"]).collect();
        let message = format!("Expected tool outputs for call_ids [{wanted}], got {}", json!(given));
        return Err(refusal::refuse(request.call, &message));
    }
    let happened = run.resume(outputs);
    let shown = run.shown.clone();
    let id = request.name(1);
    Ok(if body["stream"] == true { stream(request, thread, id, happened) } else { show(request, &shown) })
}

pub(super) fn steps(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let run = run(request, objects.thread(request)?)?;
    Ok(show(request, &Page::of(request.call, run.steps.iter())?.list()))
}

pub(super) fn step(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let id = request.name(2);
    let step = run(request, objects.thread(request)?)?.steps.get(id);
    let unknown = || refusal::no_such(request.call, &format!("No run step found with id '{id}'."));
    Ok(show(request, step.ok_or_else(unknown)?))
}

/// A new run on `thread`: told of, or streamed to where it ends or waits.
fn begin(request: &Request<'_>, thread: &mut Thread, body: &Value, assistant: &Value, mut made: Vec<Event>) -> Answer {
    let run = Run::new(thread.id(), body, assistant);
    let (id, shown) = (run.id().to_owned(), run.shown.clone());
    thread.runs.insert(run);
    if body["stream"] != true {
        return show(request, &shown);
    }
    made.extend(["thread.run.created", "thread.run.queued"].map(|name| (name, shown.clone())));
    stream(request, thread, &id, made)
}

/// What has happened, and what happens until the run ends or waits; `event:` and `data:` in each frame.
fn stream(request: &Request<'_>, thread: &mut Thread, run: &str, mut happened: Vec<Event>) -> Answer {
    loop {
        let events = progress::advance(thread, run);
        if events.is_empty() {
            break;
        }
        happened.extend(events);
    }
    let frames = happened.iter().map(|(name, data)| reply::frame(name, data));
    let done = [Bytes::from_static(b"event: done\ndata: [DONE]\n\n")];
    reply::middleware(request.call, StatusCode::OK)
        .header("content-type", "text/event-stream; charset=utf-8")
        .events(frames.chain(done).collect())
}

/// The assistant that `body` names, with what the run has otherwise.
fn assistant(request: &Request<'_>, body: &Value) -> Result<Value, Answer> {
    let id = body["assistant_id"].as_str().ok_or_else(|| refusal::missing(request.call, "assistant_id"))?;
    let mut assistant = request.objects().assistant(request, id)?.clone();
    for member in ["model", "instructions", "tools", "temperature", "top_p", "response_format"] {
        if !body[member].is_null() {
            assistant[member] = body[member].clone();
        }
    }
    check_model(request, assistant["model"].as_str().unwrap_or_default())?;
    Ok(assistant)
}

/// The run that the path names, or 404.
fn run<'t>(request: &Request<'_>, thread: &'t mut Thread) -> Result<&'t mut Run, Answer> {
    let unknown = || refusal::no_such(request.call, &format!("No run found with id '{}'.", request.name(1)));
    thread.runs.get_mut(request.name(1)).ok_or_else(unknown)
}

// === impl Run ===

impl Run {
    fn new(thread: &str, body: &Value, assistant: &Value) -> Self {
        let or = |member: &str, default: Value| if body[member].is_null() { default } else { body[member].clone() };
        let now = clock::unix_seconds();
        let shown = json!({
            "id": format!("run_{}", entropy::key(24)),
            "object": "thread.run",
            "created_at": now,
            "assistant_id": assistant["id"],
            "thread_id": thread,
            "status": "queued",
            "started_at": null,
            "expires_at": now + LIFE,
            "cancelled_at": null,
            "failed_at": null,
            "completed_at": null,
            "required_action": null,
            "last_error": null,
            "model": assistant["model"],
            "instructions": assistant["instructions"].as_str().unwrap_or_default(),
            "tools": assistant["tools"],
            "tool_resources": {},
            "metadata": or("metadata", json!({})),
            "temperature": assistant["temperature"],
            "top_p": assistant["top_p"],
            "max_completion_tokens": body["max_completion_tokens"],
            "max_prompt_tokens": body["max_prompt_tokens"],
            "truncation_strategy": or("truncation_strategy", json!({"type": "auto", "last_messages": null})),
            "incomplete_details": null,
            "usage": null,
            "response_format": assistant["response_format"],
            "tool_choice": or("tool_choice", json!("auto")),
            "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        });
        Self { shown, steps: Collection::default() }
    }

    fn status(&self) -> &str {
        self.shown["status"].as_str().unwrap_or_default()
    }

    fn is_over(&self) -> bool {
        OVER.contains(&self.status())
    }
}

impl Object for Run {
    fn shown(&self) -> &Value {
        &self.shown
    }
}

// === impl Thread ===

impl Thread {
    /// The run that nobody may talk into.
    pub(super) fn active_run(&self) -> Option<&str> {
        self.runs.iter().find(|run| !run.is_over()).map(Object::id)
    }
}
