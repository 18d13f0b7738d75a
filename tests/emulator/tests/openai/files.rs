//! Files.

use serde_json::Value;

use super::world::{FORM, World, form, id, ids};

const VERSIONED: &str = "/openai/files?api-version=2024-12-01-preview";

#[tokio::test]
async fn an_upload_has_its_own_url_unless_an_assistant_gets_it() {
    let world = World::start().await;
    let reply = world.upload(VERSIONED, "batch", "lines.jsonl", b"{}\n").await;
    assert_eq!(reply.status, 201);
    let file = id(&reply.json());
    let created = reply.json()["created_at"].to_string();
    assert_eq!((&file[..5], file.len()), ("file-", 37));
    assert_eq!(
        reply.text(),
        format!(
            r#"{{"status":"processed","bytes":3,"purpose":"batch","filename":"lines.jsonl","id":"{file}","created_at":{created},"object":"file"}}"#
        )
    );
    let location = format!("{}/openai/files/{file}?api-version=2024-12-01-preview", world.origin());
    assert_eq!(reply.header("location"), Some(location.as_str()));
    assert_eq!(
        reply.names(),
        [
            "api-supported-versions",
            "apim-request-id",
            "content-type",
            "date",
            "location",
            "strict-transport-security",
            "transfer-encoding",
            "x-content-type-options",
            "x-ms-middleware-request-id",
            "x-ms-region"
        ]
    );
    assert_eq!(reply.header("api-supported-versions").map(|versions| versions.split(',').count()), Some(26));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));

    let reply = world.upload("/openai/v1/files", "assistants", "a.txt", b"Hello").await;
    assert_eq!((reply.status.as_u16(), reply.header("location")), (200, None));
    let (file, created) = (id(&reply.json()), reply.json()["created_at"].to_string());
    assert_eq!((&file[..10], file.len()), ("assistant-", 34));
    assert_eq!(
        reply.text(),
        format!(
            "{{\n  \"object\": \"file\",\n  \"id\": \"{file}\",\n  \"purpose\": \"assistants\",\n  \"filename\": \"a.txt\",\n  \
             \"bytes\": 5,\n  \"created_at\": {created},\n  \"status\": \"processed\",\n  \"status_details\": null\n}}\n"
        )
    );
    assert_eq!(
        reply.names(),
        [
            "access-control-allow-origin",
            "apim-request-id",
            "content-length",
            "content-type",
            "date",
            "strict-transport-security",
            "x-content-type-options",
            "x-ms-middleware-request-id",
            "x-ms-region",
            "x-request-id"
        ]
    );
}

#[tokio::test]
async fn a_file_is_listed_read_and_deleted_on_both_surfaces() {
    let world = World::start().await;
    let reply = world.upload("/openai/v1/files", "batch", "a.jsonl", "{\"a\":\"Zürich\"}".as_bytes()).await;
    let batch = id(&reply.json());
    let location = format!("{}/openai/v1/files/{batch}", world.origin());
    assert_eq!(reply.header("location"), Some(location.as_str()));
    let assistant = world.file("assistants", "for an assistant").await;
    let tuning = world.file("fine-tune", "{}").await;

    assert_eq!(ids(&world.get("files").await), [tuning.as_str(), &assistant, &batch]);
    assert_eq!(ids(&world.get("files?order=asc&limit=2").await), [batch.as_str(), &assistant]);
    assert_eq!(world.get("files?limit=2").await["has_more"], true);
    assert_eq!(ids(&world.get(&format!("files?after={assistant}")).await), [batch.as_str()]);
    let wanted = world.ask("GET", "/openai/files?purpose=fine-tune&api-version=2024-10-21").send().await;
    assert_eq!(ids(&wanted.json()), [tuning.as_str()]);
    assert_eq!(world.get(&format!("files/{batch}")).await, reply.json());

    let content = world.ask("GET", &format!("/openai/files/{batch}/content?api-version=2024-10-21")).send().await;
    assert_eq!(content.text(), "{\"a\":\"Zürich\"}");
    assert_eq!(content.header("content-type"), Some("application/octet-stream"));
    assert_eq!(content.header("content-disposition"), Some("attachment; filename=\"a.jsonl\""));
    let refused = world.call("GET", &format!("files/{assistant}/content"), Value::Null, 400).await;
    assert_eq!(refused["error"]["message"], "Not allowed to download files of purpose: assistants");

    let path = format!("/openai/v1/files/{batch}");
    let deleted = world.ask("DELETE", &path).send().await;
    assert_eq!(deleted.text(), format!(r#"{{"object":"file","deleted":true,"id":"{batch}"}}"#));
    // Azure's layer says so twice, OpenAI's does not (H3).
    let again = world.ask("DELETE", &path).send().await;
    assert_eq!(again.text(), format!(r#"{{"object":"file","deleted":false,"id":"{batch}"}}"#));
    world.delete(&format!("files/{assistant}")).await;
    let again = world.ask("DELETE", &format!("/openai/v1/files/{assistant}")).send().await;
    assert_eq!(again.status, 404);
    assert_eq!(
        again.text(),
        format!(
            "{{\n  \"error\": {{\n    \"message\": \"No such File object: {assistant}\",\n    \
             \"type\": \"invalid_request_error\",\n    \"param\": \"id\",\n    \"code\": null\n  }}\n}}\n"
        )
    );
    assert_eq!(ids(&world.get("files").await), [tuning]);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let world = World::start().await;
    for (fields, param) in [
        (vec![("purpose", None, b"batch".as_slice())], "file"),
        (vec![("file", Some("a"), b"x".as_slice())], "purpose"),
        (vec![("file", Some("a"), b"x".as_slice()), ("purpose", None, b"fun")], "purpose"),
    ] {
        let ask = world.ask("POST", VERSIONED).header("content-type", FORM);
        let reply = ask.body(form(&fields)).send().await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (400, &param.into()), "{}", reply.text());
    }
    for (query, code) in
        [("0", "integer_below_min_value"), ("101", "integer_above_max_value"), ("many", "invalid_type")]
    {
        let refused = world.call("GET", &format!("files?limit={query}"), Value::Null, 400).await;
        assert_eq!(refused["error"]["code"], code);
    }
}
