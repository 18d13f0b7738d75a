//! The index that is there at the start: 120 hotels, after Azure's own sample.

use serde_json::{Map, Value, json};

use crate::search::schema::Index;
use crate::search::vectors;

/// How long its vectors are.
const DIMENSIONS: usize = 8;

const NAMES: [&str; 12] = [
    "Secret Point",
    "Twin Dome",
    "Triple Landscape",
    "Sublime Cliff",
    "Silver Lake",
    "Gastronomic",
    "Harbor Light",
    "Old Mill",
    "Hot Springs",
    "Northern Star",
    "Café Zürich",
    "Lakeside",
];
const HOUSES: [&str; 5] = ["Hotel", "Motel", "Inn", "Resort", "Lodge"];
const CATEGORIES: [&str; 5] = ["Boutique", "Budget", "Luxury", "Resort and Spa", "Suite"];
const TAGS: [&str; 6] = ["pool", "view", "wifi", "concierge", "free parking", "coffee in lobby"];
const CITIES: [(&str, &str, &str); 6] = [
    ("New York", "NY", "10022"),
    ("Seattle", "WA", "98104"),
    ("Sarasota", "FL", "34243"),
    ("San Antonio", "TX", "78205"),
    ("Chicago", "IL", "60611"),
    ("Portland", "OR", "97205"),
];

/// The index and its documents.
///
/// # Errors
///
/// None: its definition is one.
pub(super) fn index() -> Result<Index, String> {
    let mut index = Index::define("hotels", &definition())?;
    for number in 0..120_usize {
        index.put(object(hotel(number)));
    }
    Ok(index)
}

/// The definition, as a client would send it.
fn definition() -> Map<String, Value> {
    let definition = json!({
        "name": "hotels",
        "fields": [
            {"name": "HotelId", "type": "Edm.String", "key": true, "searchable": false},
            {"name": "HotelName", "type": "Edm.String", "facetable": false},
            {"name": "Description", "type": "Edm.String", "filterable": false, "sortable": false,
             "facetable": false, "analyzer": "en.lucene"},
            {"name": "Category", "type": "Edm.String"},
            {"name": "Tags", "type": "Collection(Edm.String)"},
            {"name": "ParkingIncluded", "type": "Edm.Boolean"},
            {"name": "LastRenovationDate", "type": "Edm.DateTimeOffset"},
            {"name": "Rating", "type": "Edm.Double"},
            {"name": "Address", "type": "Edm.ComplexType", "fields": [
                {"name": "StreetAddress", "type": "Edm.String", "filterable": false,
                 "sortable": false, "facetable": false},
                {"name": "City", "type": "Edm.String"},
                {"name": "StateProvince", "type": "Edm.String"},
                {"name": "PostalCode", "type": "Edm.String"},
                {"name": "Country", "type": "Edm.String"},
            ]},
            {"name": "DescriptionVector", "type": "Collection(Edm.Single)", "retrievable": false,
             "filterable": false, "sortable": false, "facetable": false,
             "dimensions": DIMENSIONS, "vectorSearchProfile": "near"},
        ],
        "suggesters": [{
            "name": "sg",
            "searchMode": "analyzingInfixMatching",
            "sourceFields": ["HotelName", "Category"],
        }],
        "scoringProfiles": [{"name": "by-name", "text": {"weights": {"HotelName": 2}}}],
        "semantic": {"defaultConfiguration": "default", "configurations": [{
            "name": "default",
            "prioritizedFields": {
                "titleField": {"fieldName": "HotelName"},
                "prioritizedContentFields": [{"fieldName": "Description"}],
                "prioritizedKeywordsFields": [{"fieldName": "Tags"}],
            },
        }]},
        "vectorSearch": {
            "profiles": [{"name": "near", "algorithm": "hnsw"}],
            "algorithms": [{"name": "hnsw", "kind": "hnsw"}],
        },
    });
    object(definition)
}

fn hotel(number: usize) -> Value {
    let name = format!("{} {}", NAMES[number % NAMES.len()], HOUSES[number / NAMES.len() % HOUSES.len()]);
    let category = CATEGORIES[number * 7 % CATEGORIES.len()];
    let (city, state, postal_code) = CITIES[number / 2 % CITIES.len()];
    let (first, second) = (TAGS[(number + number / 12) % TAGS.len()], TAGS[(number / 2 + 1) % TAGS.len()]);
    let tags = if first == second { vec![first] } else { vec![first, second] };
    let description = format!(
        "{name} is a {} place in {city}, with {first} and {second}, close to everything.",
        category.to_lowercase()
    );
    json!({
        "HotelId": (number + 1).to_string(),
        "HotelName": name,
        "Description": description,
        "DescriptionVector": vectors::embedding(&description, DIMENSIONS),
        "Category": category,
        "Tags": tags,
        "ParkingIncluded": number.is_multiple_of(3),
        "LastRenovationDate": format!("{}-{:02}-18T00:00:00Z", 1970 + number % 50, 1 + number % 12),
        "Rating": f64::from(u8::try_from(10 + number * 11 % 41).unwrap_or(10)) / 10.0,
        "Address": {
            "StreetAddress": format!("{} Main Street", 100 + number),
            "City": city,
            "StateProvince": state,
            "PostalCode": postal_code,
            "Country": "USA",
        },
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
