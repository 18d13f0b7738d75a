//! Vector queries: which documents are near, by the cosine. What has no vector yet is turned into one by a digest.

use aws_lc_rs::digest;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::exchange::Call;
use crate::search::filter::{self, Filter};
use crate::search::hits::Hit;
use crate::search::refusal;
use crate::search::schema::{Document, Index};

/// How many neighbours are wanted when nobody says.
const NEIGHBOURS: usize = 50;

/// One of `vectorQueries`: near this, in these fields, at most so many.
pub(super) struct VectorQuery {
    near: Near,
    fields: Vec<String>,
    neighbours: usize,
}

enum Near {
    Vector(Vec<f64>),
    /// The service would ask a model for its vector, whatever it is: a text, an image, the URL of one.
    Content(String),
}

/// The vector queries of a body: `vectorQueries`, or `vectors` as they were in 2023.
pub(super) fn read(parameters: &Map<String, Value>) -> Vec<VectorQuery> {
    let all = parameters.get("vectorQueries").or_else(|| parameters.get("vectors")).and_then(Value::as_array);
    all.into_iter().flatten().map(VectorQuery::read).collect()
}

impl VectorQuery {
    fn read(query: &Value) -> Self {
        let numbers = query["vector"].as_array().or_else(|| query["value"].as_array());
        let contents = ["text", "url", "base64Image"].iter().filter_map(|member| query[*member].as_str());
        let near = match numbers {
            Some(numbers) => Near::Vector(numbers.iter().filter_map(Value::as_f64).collect()),
            None => Near::Content(contents.collect()),
        };
        let fields = query["fields"].as_str().unwrap_or_default();
        Self {
            near,
            fields: fields.split(',').map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect(),
            neighbours: query["k"].as_u64().and_then(|k| usize::try_from(k).ok()).unwrap_or(NEIGHBOURS),
        }
    }

    /// The nearest documents that pass `filter`, the nearest first.
    pub(super) fn find<'a>(&self, call: &Call<'_>, index: &'a Index, filter: &Filter) -> Result<Vec<Hit<'a>>, Answer> {
        let mut near: Vec<Hit<'a>> = Vec::new();
        for field in &self.fields {
            let wanted = self.vector(call, index, field)?;
            let documents = index.documents.values().filter_map(Value::as_object);
            for document in documents.filter(|document| filter.accepts(document)) {
                let Some(score) = similarity(&wanted, document, field) else {
                    continue;
                };
                match near.iter_mut().find(|hit| std::ptr::eq(hit.document, document)) {
                    Some(hit) => hit.score = hit.score.max(score),
                    None => near.push(Hit { score, document }),
                }
            }
        }
        near.sort_by(|left, right| right.score.total_cmp(&left.score));
        near.truncate(self.neighbours);
        Ok(near)
    }

    fn vector(&self, call: &Call<'_>, index: &Index, field: &str) -> Result<Vec<f64>, Answer> {
        let Some(length) = dimensions(index, field) else {
            // MuleSoft-AI-Chain-Project/mule-vectors-connector#94.
            let text = format!("Unknown field '{field}' in vector field list.");
            return Err(refusal::coded(call, "InvalidRequestParameter", "UnknownField", &text));
        };
        match &self.near {
            Near::Content(content) => Ok(embedding(content, length)),
            Near::Vector(vector) if vector.len() == length => Ok(vector.clone()),
            Near::Vector(vector) => {
                let text = mismatch(field, length, vector.len());
                Err(refusal::coded(call, "InvalidVectorQuery", "MismatchedVectorDimensions", &text))
            }
        }
    }
}

/// How long the vectors of a field are, if it has vectors.
pub(super) fn dimensions(index: &Index, field: &str) -> Option<usize> {
    usize::try_from(index.field(field)?["dimensions"].as_u64()?).ok()
}

/// microsoft/Generative-AI-for-beginners-dotnet#74.
pub(super) fn mismatch(field: &str, expected: usize, given: usize) -> String {
    format!(
        "There's a mismatch in vector dimensions. The vector field '{field}', with dimension of '{expected}', expects a \
         length of '{expected}'. However, the provided vector has a length of '{given}'. Please ensure that the vector \
         length matches the expected length of the vector field. Read the following documentation for more details: \
         https://learn.microsoft.com/en-us/azure/search/vector-search-how-to-configure-compression-storage."
    )
}

/// Numbers between -1 and 1, always the same for the same text.
pub(super) fn embedding(content: &str, length: usize) -> Vec<f64> {
    let block = |number: usize| digest::digest(&digest::SHA256, format!("{number}{content}").as_bytes());
    let bytes = (0..length.div_ceil(32)).flat_map(|number| block(number).as_ref().to_vec());
    bytes.take(length).map(|byte| f64::from(byte) / 127.5 - 1.0).collect()
}

/// Azure's own score for cosines: between a third and one.
fn similarity(wanted: &[f64], document: &Document, field: &str) -> Option<f64> {
    let vector: Vec<f64> = filter::value_at(document, field).as_array()?.iter().filter_map(Value::as_f64).collect();
    let product = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(left, right)| left * right).sum::<f64>();
    let lengths = (product(wanted, wanted) * product(&vector, &vector)).sqrt();
    let cosine = if lengths > 0.0 { product(wanted, &vector) / lengths } else { 0.0 };
    Some(1.0 / (2.0 - cosine))
}

/// Several rankings in one, as hybrid searches have it: what stands high in any of them stands high.
pub(super) fn fuse(rankings: Vec<Vec<Hit<'_>>>) -> Vec<Hit<'_>> {
    let mut fused: Vec<Hit<'_>> = Vec::new();
    for ranking in rankings {
        for (hit, rank) in ranking.into_iter().zip(1_u32..) {
            let score = 1.0 / (60.0 + f64::from(rank));
            match fused.iter_mut().find(|found| std::ptr::eq(found.document, hit.document)) {
                Some(found) => found.score += score,
                None => fused.push(Hit { score, document: hit.document }),
            }
        }
    }
    fused
}
