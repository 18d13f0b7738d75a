//! Fine-tuning jobs. A job moves on when somebody asks for it: pending, running, succeeded. What comes of it is
//! the name of a model, which can be deleted.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::openai::files::File;
use crate::openai::page::Page;
use crate::openai::store::{Collection, Object, Objects};
use crate::openai::{Request, chat, models, refusal, reply};
use crate::{clock, entropy};

/// Where checkpoints are made, and what was lost there.
const CHECKPOINTS: [(u32, f64, f64); 3] = [(10, 0.478, 0.924), (20, 0.355, 0.947), (30, 0.155, 0.975)];

/// A job, and what it tells.
pub(crate) struct Job {
    /// As it is shown.
    shown: Value,
    events: Collection<Value>,
    checkpoints: Collection<Value>,
}

/// `POST /fine_tuning/jobs`: 201 and its own URL.
pub(super) fn create(request: &Request<'_>) -> Result<Answer, Answer> {
    let body = request.json()?;
    let text = |member: &str| body[member].as_str().ok_or_else(|| refusal::missing(request.call, member));
    let (model, file) = (text("model")?, text("training_file")?);
    let mut objects = request.objects();
    objects.file(request, file)?;
    let mut shown = json!({
        "hyperparameters": {"n_epochs": -1},
        "status": "pending",
        "model": model,
        "training_file": file,
    });
    for member in ["hyperparameters", "validation_file", "suffix", "seed", "method", "metadata"] {
        if !body[member].is_null() {
            shown[member] = body[member].clone();
        }
    }
    shown["id"] = format!("ftjob-{}", entropy::hexadecimal(32)).into();
    shown["created_at"] = clock::unix_seconds().into();
    shown["object"] = "fine_tuning.job".into();
    let mut job = Job { shown: shown.clone(), events: Collection::default(), checkpoints: Collection::default() };
    job.tell("Job enqueued. Waiting for jobs ahead to complete.");
    objects.jobs.insert(job);
    Ok(reply::authoring(request.call, StatusCode::CREATED, &shown).header("location", request.location(shown.id())))
}

pub(super) fn list(request: &Request<'_>) -> Result<Answer, Answer> {
    page(request, request.objects().jobs.iter().map(Object::shown))
}

/// Moves the job on by one state.
pub(super) fn get(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let job = objects.job(request)?;
    match job.shown["status"].as_str().unwrap_or_default() {
        "pending" => {
            job.shown["status"] = "running".into();
            job.tell("Job started.");
        }
        "running" => {
            let file = job.shown["training_file"].as_str().unwrap_or_default().to_owned();
            let content = objects.files.get(&file).map(|file| file.content.clone()).unwrap_or_default();
            let results = objects.job(request)?.succeed(chat::words(&String::from_utf8_lossy(&content)));
            objects.keep(results);
            let job = &objects.job(request)?.shown;
            let text = |member: &str| job[member].as_str().unwrap_or_default();
            let model = models::fine_tuned(text("fine_tuned_model"), text("model"));
            objects.models.insert(model);
        }
        _ => {}
    }
    Ok(reply::authoring(request.call, StatusCode::OK, &objects.job(request)?.shown))
}

pub(super) fn cancel(request: &Request<'_>) -> Result<Answer, Answer> {
    let mut objects = request.objects();
    let job = objects.job(request)?;
    if !["pending", "running"].contains(&job.shown["status"].as_str().unwrap_or_default()) {
        let message = format!("Job has already completed: {}", job.id());
        return Err(refusal::refuse(request.call, &message));
    }
    job.shown["status"] = "cancelled".into();
    job.shown["finished_at"] = clock::unix_seconds().into();
    job.tell("Job cancelled.");
    Ok(reply::authoring(request.call, StatusCode::OK, &job.shown))
}

pub(super) fn events(request: &Request<'_>) -> Result<Answer, Answer> {
    page(request, request.objects().job(request)?.events.iter())
}

pub(super) fn checkpoints(request: &Request<'_>) -> Result<Answer, Answer> {
    page(request, request.objects().job(request)?.checkpoints.iter())
}

/// A list as this layer has it.
fn page<'o>(request: &Request<'_>, objects: impl Iterator<Item = &'o Value>) -> Result<Answer, Answer> {
    let Page { data, has_more } = Page::of(request.call, objects)?;
    let list = json!({"has_more": has_more, "data": data, "object": "list"});
    Ok(reply::authoring(request.call, StatusCode::OK, &list))
}

// === impl Job ===

impl Job {
    fn tell(&mut self, message: &str) {
        self.events.insert(json!({
            "id": format!("ftevent-{}", entropy::hexadecimal(32)),
            "created_at": clock::unix_seconds(),
            "level": "info",
            "message": message,
            "type": "message",
            "object": "fine_tuning.job.event",
        }));
    }

    /// Of so many tokens there comes a model, with its checkpoints, and a file that tells how it learned.
    fn succeed(&mut self, tokens: usize) -> File {
        let now = clock::unix_seconds();
        let key = self.id().trim_start_matches("ftjob-").to_owned();
        let model = format!("{}.ft-{key}", self.shown["model"].as_str().unwrap_or_default());
        let mut rows = "step,train_loss,train_accuracy\n".to_owned();
        for (step, loss, accuracy) in CHECKPOINTS {
            rows += &format!("{step},{loss},{accuracy}\n");
            self.checkpoints.insert(json!({
                "id": format!("ftckpt_{}", entropy::key(24)),
                "created_at": now,
                "fine_tuned_model_checkpoint": format!("{model}:ckpt-step-{step}"),
                "step_number": step,
                "metrics": {"step": step, "train_loss": loss, "train_mean_token_accuracy": accuracy},
                "fine_tuning_job_id": self.id(),
                "object": "fine_tuning.job.checkpoint",
            }));
        }
        let results = File::new("fine-tune-results", "results.csv", rows.into());
        self.shown["status"] = "succeeded".into();
        self.shown["fine_tuned_model"] = model.into();
        self.shown["result_files"] = json!([results.shown["id"]]);
        self.shown["finished_at"] = now.into();
        self.shown["trained_tokens"] = tokens.into();
        self.tell("Job succeeded.");
        results
    }
}

impl Object for Job {
    fn shown(&self) -> &Value {
        &self.shown
    }
}

// === impl Objects ===

impl Objects {
    /// The job that the path names, or 404.
    fn job(&mut self, request: &Request<'_>) -> Result<&mut Job, Answer> {
        let id = request.name(0);
        let unknown = || {
            let (param, code) = (json!("fine_tune_id"), json!("fine_tune_not_found"));
            let message = format!("Could not find fine tune: {id}");
            refusal::openai(request.call, StatusCode::NOT_FOUND, &message, &param, &code)
        };
        self.jobs.get_mut(id).ok_or_else(unknown)
    }
}
