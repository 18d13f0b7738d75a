//! The objects that are only stored: each [`Kind`] is a declaration, and these five operations are all of them.

pub(super) mod aliases;
pub(super) mod data_sources;
pub(super) mod indexers;
pub(super) mod knowledge_bases;
pub(super) mod knowledge_sources;
pub(super) mod skillsets;
pub(super) mod synonym_maps;

use hyper::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::search::entity::{self, Object, Words};
use crate::search::service::{Memory, OBJECTS, SERVICE_NAME};
use crate::search::{Request, refusal, reply};

/// A kind of stored objects.
pub(super) struct Kind {
    pub(super) words: Words,
    /// As the text of a quota names it: `Skillset`.
    pub(super) title: &'static str,
    /// What GET says of one that is not there, and what DELETE says: `{}` is its name, and then the service's (H14).
    pub(super) missing: [&'static str; 2],
    /// The answer to a creation has a `Location`.
    pub(super) located: bool,
    /// The members of a definition behind its name, in the service's order, with what stands for a missing one.
    pub(super) members: &'static [(&'static str, Unset)],
    /// Completes a definition, or says in the service's own words why it cannot be.
    pub(super) complete: fn(&mut Map<String, Value>, &Memory) -> Result<(), String>,
}

/// What stands for a member that a definition lacks.
#[derive(Clone, Copy)]
pub(super) enum Unset {
    Null,
    List,
}

impl Kind {
    /// The object in the path.
    pub(super) fn named<'m>(&self, request: &Request<'_>, memory: &'m Memory) -> Result<&'m Object, Answer> {
        memory.of(self).get(request.name()).ok_or_else(|| self.not_found(request))
    }

    pub(super) fn not_found(&self, request: &Request<'_>) -> Answer {
        let [get, delete] = self.missing;
        let text = if request.method == Method::DELETE { delete } else { get };
        let names = [request.name(), SERVICE_NAME, ""];
        let text: String = text.split("{}").zip(names).flat_map(|(text, name)| [text, name]).collect();
        refusal::error(request.call, StatusCode::NOT_FOUND, &text)
    }

    fn define(
        &self,
        request: &Request<'_>,
        name: &str,
        mut given: Map<String, Value>,
        memory: &Memory,
    ) -> Result<Object, Answer> {
        let mut definition = Map::new();
        definition.insert("name".to_owned(), Value::from(name));
        for (member, unset) in self.members {
            let unset = match unset {
                Unset::Null => Value::Null,
                Unset::List => Value::Array(Vec::new()),
            };
            let value = given.remove(*member).filter(|value| !value.is_null());
            definition.insert((*member).to_owned(), value.unwrap_or(unset));
        }
        (self.complete)(&mut definition, memory).map_err(|text| refusal::bad_request(request.call, &text))?;
        entity::hide_secrets(&mut definition);
        Ok(Object::new(definition))
    }

    fn answer_created(&self, request: &Request<'_>, name: &str, object: &Object) -> Answer {
        if self.located {
            entity::created(request, &self.words, name, object)
        } else {
            entity::shown(request, &self.words, StatusCode::CREATED, object)
        }
    }

    fn check_quota(&self, request: &Request<'_>, memory: &Memory) -> Result<(), Answer> {
        if memory.of(self).len() < OBJECTS {
            Ok(())
        } else {
            Err(refusal::quota(request.call, self.title, self.words.collection, OBJECTS))
        }
    }
}

pub(super) fn list(request: &Request<'_>, kind: &Kind) -> Result<Answer, Answer> {
    Ok(entity::listed(request, &kind.words, request.azure.search.memory().of(kind).values()))
}

pub(super) fn create(request: &Request<'_>, kind: &Kind) -> Result<Answer, Answer> {
    let definition = request.json()?;
    let name = entity::name_in(request, &kind.words, &definition)?;
    let mut memory = request.azure.search.memory();
    if memory.of(kind).contains_key(&name) {
        return Err(entity::already_there(request, &kind.words, &name));
    }
    kind.check_quota(request, &memory)?;
    let object = kind.define(request, &name, definition, &memory)?;
    let answer = kind.answer_created(request, &name, &object);
    memory.of_mut(kind).insert(name, object);
    Ok(answer)
}

pub(super) fn get(request: &Request<'_>, kind: &Kind) -> Result<Answer, Answer> {
    let memory = request.azure.search.memory();
    Ok(entity::shown(request, &kind.words, StatusCode::OK, kind.named(request, &memory)?))
}

/// Creates or replaces; what has happened to an object stays with it.
pub(super) fn put(request: &Request<'_>, kind: &Kind) -> Result<Answer, Answer> {
    let definition = request.json()?;
    let name = entity::name_in(request, &kind.words, &definition)?;
    let mut memory = request.azure.search.memory();
    let old = memory.of(kind).get(&name);
    entity::check_preconditions(request, old)?;
    let history = old.map(|old| old.history.clone());
    if history.is_none() {
        kind.check_quota(request, &memory)?;
    }
    let mut object = kind.define(request, &name, definition, &memory)?;
    let answer = match history {
        None => kind.answer_created(request, &name, &object),
        Some(history) => {
            object.history = history;
            entity::replaced(request, &kind.words, &object)
        }
    };
    memory.of_mut(kind).insert(name, object);
    Ok(answer)
}

pub(super) fn delete(request: &Request<'_>, kind: &Kind) -> Result<Answer, Answer> {
    let mut memory = request.azure.search.memory();
    entity::check_preconditions(request, memory.of(kind).get(request.name()))?;
    match memory.of_mut(kind).remove(request.name()) {
        Some(_) => Ok(reply::no_content(request.call)),
        None => Err(kind.not_found(request)),
    }
}
