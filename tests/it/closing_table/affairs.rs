//! What is the client's own affair passes as Azure said it: status, phrase, headers, body.

use azure_emulator::Plane;
use http::Method;
use serde_json::{Value, json};

use super::answer::Expected;
use super::row::{Ask, Row, hold};
use crate::world::World;

#[tokio::test]
async fn what_is_the_clients_affair_passes_untouched() {
    let world = World::start().await;
    let keys = world.emulator.keys();
    let openai = [
        ("AOAI no deployment", "A1.6"),
        ("AOAI no deployment, as until 2024", "A1.6-2024"),
        ("AOAI no path; unsupported api-version, legacy", "A1.7"),
        ("AOAI unsupported api-version, v1", "A1.8"),
        ("AOAI no such resource", "A1.10"),
        ("AOAI 429", "A1.12"),
        ("AOAI 429, Foundry", "A1.12-foundry"),
        ("AOAI content filter", "A1.13"),
        ("AOAI On Your Data: a search service refuses the model", "A1.14"),
        ("AOAI 408", "408"),
        ("AOAI 413", "413"),
        ("AOAI 500", "500"),
        ("AOAI 503", "503"),
        ("AOAI 503 that is no JSON", "503-html"),
    ];
    let search = [
        ("AIS no index", "B1.9"),
        ("AIS no index, as before", "B1.9-old"),
        ("AIS 400", "B1.10"),
        ("AIS api-version", "B1.11"),
        ("AIS query source", "B1.12"),
        ("AIS 412", "B1.13"),
        ("AIS 503", "B1.14"),
        ("AIS 429", "B1.14-429"),
        ("AIS quota", "B1.15"),
        ("AIS disabled", "B1.16"),
        ("AIS 413", "413"),
        ("AIS 500", "500"),
        ("AIS 502 that is no JSON", "502"),
    ];
    let row = |ask: Ask| {
        move |(condition, azure)| Row { condition, ask: ask.clone(), azure: Some(azure), answer: Expected::Passed }
    };
    hold(&world, openai.map(row(Ask::chat().key(&keys.openai)))).await;
    // The service calls the request as the client does.
    let query = Ask::search().key(&keys.search_query).header("x-ms-client-request-id", "my-id");
    hold(&world, search.map(row(query))).await;

    let upload = json!({"value": [{"@search.action": "merge", "HotelId": "nobody", "HotelName": "x"}]});
    let upload = Ask::new(Plane::Search, Method::POST, "/indexes/hotels/docs/index?api-version=2024-07-01", upload);
    let document = "/indexes/hotels/docs/nobody?api-version=2024-07-01";
    let real = [
        ("AIS 207", upload.key(&keys.search_admin).header("accept", "application/json;odata.metadata=none")),
        (
            "AIS no document: 404 without a body",
            Ask::new(Plane::Search, Method::GET, document, Value::Null).key(&keys.search_admin),
        ),
    ];
    hold(&world, real.map(|(condition, ask)| Row { condition, ask, azure: None, answer: Expected::Passed })).await;
}
