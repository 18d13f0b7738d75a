//! The table of all operations, by their paths (B3). `{}` stands for one name, as a segment or in `('…')`.

use hyper::Method;

use super::stored::aliases::ALIASES;
use super::stored::data_sources::DATA_SOURCES;
use super::stored::indexers::INDEXERS;
use super::stored::knowledge_bases::KNOWLEDGE_BASES;
use super::stored::knowledge_sources::KNOWLEDGE_SOURCES;
use super::stored::skillsets::SKILLSETS;
use super::stored::synonym_maps::SYNONYM_MAPS;
use super::stored::{indexers, knowledge_bases, knowledge_sources, skillsets};
use super::{Request, analysis, documents, indexes, query, statistics, stored, suggestions};
use crate::answer::Answer;
use crate::directory::Role;

/// One line of the table.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) method: Method,
    pub(super) paths: &'static [&'static str],
    pub(super) access: Access,
    pub(super) run: Run,
}

type Run = fn(&Request<'_>) -> Result<Answer, Answer>;

/// What an operation does, hence which key or role it takes (B2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    ReadDocuments,
    /// Reads documents, too, but whether a query key may is not known: it may not.
    Retrieve,
    WriteDocuments,
    Manage,
}

impl Access {
    /// One of these is enough.
    pub(super) fn roles(self) -> &'static [Role] {
        match self {
            Self::ReadDocuments | Self::Retrieve => &[Role::SearchIndexDataReader, Role::SearchIndexDataContributor],
            Self::WriteDocuments => &[Role::SearchIndexDataContributor],
            Self::Manage => &[Role::SearchServiceContributor],
        }
    }
}

/// All operations. To add one, add a line; the first path that fits counts.
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    const TABLES: [&[Operation]; 3] = [DOCUMENTS, OBJECTS, EXTRAS];
    TABLES.into_iter().flatten().chain(STORED.iter().copied().flatten())
}

const DOCUMENTS: &[Operation] = &[
    reads("docs-search", Method::GET, &["indexes/{}/docs"], query::by_get),
    reads(
        "docs-search",
        Method::POST,
        &["indexes/{}/docs/search.post.search", "indexes/{}/docs/search"],
        query::by_post,
    ),
    reads(
        "docs-suggest",
        Method::GET,
        &["indexes/{}/docs/search.suggest", "indexes/{}/docs/suggest"],
        suggestions::suggest,
    ),
    reads(
        "docs-suggest",
        Method::POST,
        &["indexes/{}/docs/search.post.suggest", "indexes/{}/docs/suggest"],
        suggestions::suggest,
    ),
    reads(
        "docs-autocomplete",
        Method::GET,
        &["indexes/{}/docs/search.autocomplete", "indexes/{}/docs/autocomplete"],
        suggestions::autocomplete,
    ),
    reads(
        "docs-autocomplete",
        Method::POST,
        &["indexes/{}/docs/search.post.autocomplete", "indexes/{}/docs/autocomplete"],
        suggestions::autocomplete,
    ),
    reads("docs-count", Method::GET, &["indexes/{}/docs/$count"], documents::count),
    reads("docs-lookup", Method::GET, &["indexes/{}/docs/{}"], documents::lookup),
    Operation {
        name: "docs-index",
        method: Method::POST,
        paths: &["indexes/{}/docs/search.index", "indexes/{}/docs/index"],
        access: Access::WriteDocuments,
        run: documents::index,
    },
];

const OBJECTS: &[Operation] = &[
    manages("index-list", Method::GET, &["indexes"], indexes::list),
    manages("index-create", Method::POST, &["indexes"], indexes::create),
    manages("index-get", Method::GET, &["indexes/{}"], indexes::get),
    manages("index-put", Method::PUT, &["indexes/{}"], indexes::put),
    manages("index-delete", Method::DELETE, &["indexes/{}"], indexes::delete),
    manages("index-stats", Method::GET, &["indexes/{}/search.stats", "indexes/{}/stats"], statistics::of_index),
    manages("index-analyze", Method::POST, &["indexes/{}/search.analyze", "indexes/{}/analyze"], analysis::analyze),
    manages("servicestats", Method::GET, &["servicestats"], statistics::of_service),
    manages("indexstats", Method::GET, &["indexstats"], statistics::of_all_indexes),
];

/// What can be done to stored objects beside storing them.
const EXTRAS: &[Operation] = &[
    manages("indexers-run", Method::POST, &["indexers/{}/search.run", "indexers/{}/run"], indexers::run),
    manages("indexers-reset", Method::POST, &["indexers/{}/search.reset", "indexers/{}/reset"], indexers::reset),
    manages("indexers-status", Method::GET, &["indexers/{}/search.status", "indexers/{}/status"], indexers::status),
    manages(
        "indexers-resetdocs",
        Method::POST,
        &["indexers/{}/search.resetdocs", "indexers/{}/resetdocs"],
        indexers::reset_part,
    ),
    manages(
        "indexers-resync",
        Method::POST,
        &["indexers/{}/search.resync", "indexers/{}/resync"],
        indexers::reset_part,
    ),
    manages(
        "skillsets-resetskills",
        Method::POST,
        &["skillsets/{}/search.resetskills", "skillsets/{}/resetskills"],
        skillsets::reset_skills,
    ),
    manages("knowledgesources-status", Method::GET, &["knowledgesources/{}/status"], knowledge_sources::status),
    Operation {
        name: "knowledgebases-retrieve",
        method: Method::POST,
        paths: &["knowledgebases/{}/retrieve"],
        access: Access::Retrieve,
        run: knowledge_bases::retrieve,
    },
];

/// List, create, get, put and delete of a kind of stored objects.
macro_rules! stored {
    ($collection:literal, $kind:ident) => {
        &[
            manages(concat!($collection, "-list"), Method::GET, &[$collection], |request| {
                stored::list(request, &$kind)
            }),
            manages(concat!($collection, "-create"), Method::POST, &[$collection], |request| {
                stored::create(request, &$kind)
            }),
            manages(concat!($collection, "-get"), Method::GET, &[concat!($collection, "/{}")], |request| {
                stored::get(request, &$kind)
            }),
            manages(concat!($collection, "-put"), Method::PUT, &[concat!($collection, "/{}")], |request| {
                stored::put(request, &$kind)
            }),
            manages(concat!($collection, "-delete"), Method::DELETE, &[concat!($collection, "/{}")], |request| {
                stored::delete(request, &$kind)
            }),
        ]
    };
}

const STORED: &[&[Operation]] = &[
    stored!("indexers", INDEXERS),
    stored!("datasources", DATA_SOURCES),
    stored!("skillsets", SKILLSETS),
    stored!("synonymmaps", SYNONYM_MAPS),
    stored!("aliases", ALIASES),
    stored!("knowledgebases", KNOWLEDGE_BASES),
    stored!("knowledgesources", KNOWLEDGE_SOURCES),
];

const fn reads(name: &'static str, method: Method, paths: &'static [&'static str], run: Run) -> Operation {
    Operation { name, method, paths, access: Access::ReadDocuments, run }
}

pub(super) const fn manages(name: &'static str, method: Method, paths: &'static [&'static str], run: Run) -> Operation {
    Operation { name, method, paths, access: Access::Manage, run }
}
