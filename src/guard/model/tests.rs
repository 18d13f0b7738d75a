use http::Request;
use serde_json::json;

use super::*;

fn reader(content_type: &str) -> Result<ModelReader, Unclear> {
    ModelReader::of(&Request::builder().header(CONTENT_TYPE, content_type).body(()).unwrap().into_parts().0)
}

fn model_of(content_type: &str, body: &str) -> Result<String, Unclear> {
    let whole = read(content_type, &[body.as_bytes()]);
    let bytes: Vec<_> = body.as_bytes().chunks(1).collect();
    assert_eq!(read(content_type, &bytes), whole, "{body}");
    whole
}

fn read(content_type: &str, pieces: &[&[u8]]) -> Result<String, Unclear> {
    let mut reader = reader(content_type)?;
    pieces.iter().try_for_each(|piece| reader.read(piece))?;
    reader.end()
}

const JSON: &str = "application/json";

#[test]
fn the_model_is_found_wherever_it_stands() {
    for body in [
        r#"{"model":"gpt-4o"}"#,
        r#" { "messages" : [ {"model":"other"} ] , "model" : "gpt-4o" } "#,
        r#"{"mod\u0065l":"gpt-4o","tools":[{"model":"other"}]}"#,
        r#"{"model":"gpt\u002d4o"}"#,
        r#"{"models":"other","model_id":1,"mode":"l","model":"gpt-4o"}"#,
    ] {
        assert_eq!(model_of(JSON, body).as_deref(), Ok("gpt-4o"), "{body}");
    }
}

#[test]
fn a_model_that_others_may_read_otherwise_is_refused() {
    for (body, why) in [
        (r#"{"messages":[]}"#, NO_MODEL),
        (r#"{"a":{"model":"gpt-4o"}}"#, NO_MODEL),
        (r#"{"model":"gpt-4o","model":"gpt-4o"}"#, SEVERAL),
        (r#"{"model":"gpt-4o","\u006dodel":"other"}"#, SEVERAL),
        (r#"{"Model":"gpt-4o"}"#, ALMOST),
        (r#"{"model":"gpt-4o","MODEL":"other"}"#, ALMOST),
        (r#"{"model\u0000":"gpt-4o"}"#, ALMOST),
        (r#"{"mod\ufeffel":"gpt-4o"}"#, ALMOST),
        (r#"{"mod\ud800el":"gpt-4o"}"#, ALMOST),
        (r#"{" model":"gpt-4o"}"#, ALMOST),
        (r#"{"model":null}"#, NO_TEXT),
        (r#"{"model":["gpt-4o"]}"#, NO_TEXT),
        (r#"{"model":{"model":"gpt-4o"}}"#, NO_TEXT),
        (r#"{"model":""}"#, NO_NAME),
        (r#"{"model":" gpt-4o"}"#, NO_NAME),
        (r#"{"model":"gpt-4o\u0000"}"#, NO_NAME),
        (r#"{"model":"gpt-４o"}"#, NO_NAME),
        (r#"{"model":"\ud800"}"#, NO_NAME),
        (r#"{"model":"gpt-4o""#, CUT_SHORT),
    ] {
        assert_eq!(model_of(JSON, body), Err(why), "{body}");
    }
    assert_eq!(model_of(JSON, &json!({"model": "x".repeat(LONGEST_MODEL + 1)}).to_string()), Err(NO_NAME));
    assert_eq!(model_of(JSON, &json!({"model": "x".repeat(1_000_000)}).to_string()), Err(NO_NAME));
    assert_eq!(model_of(JSON, &json!({"x".repeat(1_000_000): 1}).to_string()), Err(LONG_NAME));
    assert!(model_of(JSON, &json!({"model": "x".repeat(LONGEST_MODEL)}).to_string()).is_ok());
    assert!(model_of(JSON, r#"{"model":"gpt-4o"}{"model":"other"}"#).is_err());
}

fn form(parts: &[(&str, &str)]) -> String {
    let parts =
        parts.iter().map(|(name, text)| format!("--b\r\nContent-Disposition: form-data; {name}\r\n\r\n{text}\r\n"));
    parts.collect::<String>() + "--b--\r\n"
}

#[test]
fn a_form_names_its_model_in_one_part() {
    const FORM: &str = "multipart/form-data; boundary=b";
    let file = ("name=file; filename=a.wav", "RIFF\r\n\"model\"");
    let model = ("name=\"model\"", "whisper");
    assert_eq!(model_of(FORM, &form(&[file, model])).as_deref(), Ok("whisper"));
    assert_eq!(model_of("Multipart/Form-Data; boundary=\"b\"", &form(&[model, file])).as_deref(), Ok("whisper"));
    for (parts, why) in [
        (vec![], NO_MODEL),
        (vec![file], NO_MODEL),
        (vec![model, file, model], SEVERAL),
        (vec![model, ("name=Model", "other")], ALMOST),
        (vec![("name=\"model[]\"", "whisper")], ALMOST),
        (vec![("name=model; filename=m", "whisper")], NO_TEXT),
        (vec![model, ("name=_charset_", "utf-16")], OTHER_TYPE),
        (vec![("name=model", "")], NO_NAME),
        (vec![("name=model", "whisper\r\n")], NO_NAME),
        (vec![("name=model", "whisper ")], NO_NAME),
    ] {
        assert_eq!(model_of(FORM, &form(&parts)), Err(why), "{parts:?}");
    }
    let long = "x".repeat(1_000_000);
    assert_eq!(model_of(FORM, &form(&[("name=model", &long)])), Err(NO_NAME));
}

#[test]
fn only_json_and_forms_can_be_read() {
    for content_type in ["application/json", "Application/JSON; charset=UTF-8", "application/json ;charset=\"utf-8\""] {
        assert!(reader(content_type).is_ok(), "{content_type}");
    }
    for content_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json, multipart/form-data; boundary=b",
        "application/json; charset",
        "multipart/mixed; boundary=b",
        "multipart/form-data",
        "multipart/form-data; boundary=b; charset=utf-16",
    ] {
        assert!(reader(content_type).is_err(), "{content_type}");
    }
    for (name, value) in [("content-type", JSON), ("content-encoding", "gzip"), ("content-encoding", "identity, gzip")]
    {
        let request = Request::builder().header(CONTENT_TYPE, JSON).header(name, value);
        assert!(ModelReader::of(&request.body(()).unwrap().into_parts().0).is_err(), "{name}: {value}");
    }
    let plain = Request::builder().header(CONTENT_TYPE, JSON).header(CONTENT_ENCODING, "identity");
    assert!(ModelReader::of(&plain.body(()).unwrap().into_parts().0).is_ok());
}
