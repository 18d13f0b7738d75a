//! Fine-tuning jobs.

use serde_json::{Value, json};

use super::world::{World, id, ids};

#[tokio::test]
async fn a_job_moves_on_with_each_poll_to_a_model() {
    let world = World::start().await;
    let file = world.file("fine-tune", "one two three").await;
    let body = json!({"model": "gpt-4o-mini-2024-07-18", "training_file": file, "suffix": "mine"});
    let ask = world.ask("POST", "/openai/fine_tuning/jobs?api-version=2024-10-21");
    let reply = ask.body(body.to_string()).send().await;
    let (job, created) = (id(&reply.json()), reply.json()["created_at"].to_string());
    let location = format!("{}/openai/fine_tuning/jobs/{job}?api-version=2024-10-21", world.origin());
    assert_eq!((reply.status.as_u16(), reply.header("location")), (201, Some(location.as_str())));
    assert_eq!(
        reply.text(),
        format!(
            r#"{{"hyperparameters":{{"n_epochs":-1}},"status":"pending","model":"gpt-4o-mini-2024-07-18","training_file":"{file}","suffix":"mine","id":"{job}","created_at":{created},"object":"fine_tuning.job"}}"#
        )
    );
    let path = format!("fine_tuning/jobs/{job}");
    assert_eq!(world.get(&path).await["status"], "running");
    let done = world.get(&path).await;
    assert_eq!((&done["status"], &done["trained_tokens"]), (&json!("succeeded"), &json!(3)));
    let model = format!("gpt-4o-mini-2024-07-18.ft-{}", &job["ftjob-".len()..]);
    assert_eq!(done["fine_tuned_model"], model);
    assert_eq!(world.get(&path).await, done);

    assert_eq!(ids(&world.get("models").await).last(), Some(&model));
    assert_eq!(world.get(&format!("models/{model}")).await["model"], "gpt-4o-mini-2024-07-18");
    let deleted = world.delete(&format!("models/{model}")).await;
    assert_eq!(deleted, json!({"id": model, "object": "model", "deleted": true}));
    world.call("DELETE", &format!("models/{model}"), Value::Null, 404).await;
    world.call("DELETE", "models/gpt-4o", Value::Null, 404).await;

    let results = done["result_files"][0].as_str().expect("a file");
    assert_eq!(world.get(&format!("files/{results}")).await["purpose"], "fine-tune-results");
    let events = world.get(&format!("{path}/events?order=asc")).await;
    let told: Vec<&Value> = (0..3).map(|place| &events["data"][place]["message"]).collect();
    assert_eq!(told, ["Job enqueued. Waiting for jobs ahead to complete.", "Job started.", "Job succeeded."]);
    let checkpoints = world.get(&format!("{path}/checkpoints?limit=1")).await;
    assert_eq!(checkpoints["data"][0]["fine_tuned_model_checkpoint"], format!("{model}:ckpt-step-30"));
    assert_eq!(checkpoints["has_more"], true);
    assert_eq!(ids(&world.get("fine_tuning/jobs").await), [job.as_str()]);
    world.call("POST", &format!("{path}/cancel"), Value::Null, 400).await;
}

#[tokio::test]
async fn a_job_is_cancelled_and_needs_a_file() {
    let world = World::start().await;
    let file = world.file("fine-tune", "x").await;
    let body = json!({"model": "gpt-4o", "training_file": file});
    let job = world.call("POST", "fine_tuning/jobs", body, 201).await;
    let path = format!("fine_tuning/jobs/{}", id(&job));
    assert_eq!(world.post(&format!("{path}/cancel"), Value::Null).await["status"], "cancelled");
    assert_eq!(world.get(&path).await["status"], "cancelled");
    for (body, status) in [
        (json!({"model": "gpt-4o"}), 400),
        (json!({"training_file": file}), 400),
        (json!({"model": "gpt-4o", "training_file": "file-1"}), 404),
    ] {
        world.call("POST", "fine_tuning/jobs", body, status).await;
    }
    let unknown = world.call("GET", "fine_tuning/jobs/ftjob-1", Value::Null, 404).await;
    assert_eq!(unknown["error"]["code"], "fine_tune_not_found");
}
