"""What azure-search-documents does with one index: from its definition over documents and queries to its end."""

from functools import partial

from azure.core import MatchConditions
from azure.search.documents import models
from azure.search.documents.indexes import models as definitions
from azure.search.documents.indexes.models import (
    AnalyzeTextOptions,
    SearchableField,
    SearchField,
    SearchFieldDataType,
    SearchIndex,
    SearchSuggester,
    SimpleField,
)
from either import each, settled
from recorder import door, request_sent
from search_clients import ADMIN, shown

NO_SUCH = "no-such-index"
HAS_VECTORS = hasattr(models, "VectorizedQuery")
DOCUMENTS = [{"id": f"{n:03}", "name": f"Harbour view {n:03} ✓", "rating": n % 5} for n in range(120)]
if HAS_VECTORS:
    DOCUMENTS = [document | {"place": [n / 120, 1 - n / 120, 0.5]} for n, document in enumerate(DOCUMENTS)]


def definition(name):
    fields = [
        SimpleField(name="id", type=SearchFieldDataType.String, key=True, sortable=True),
        SearchableField(name="name", type=SearchFieldDataType.String),
        SimpleField(name="rating", type=SearchFieldDataType.Int32, filterable=True, sortable=True, facetable=True),
    ]
    more = {}
    if HAS_VECTORS:
        vectors = {"vector_search_dimensions": 3, "vector_search_profile_name": "near"}
        kind = SearchFieldDataType.Collection(SearchFieldDataType.Single)
        fields.append(SearchField(name="place", type=kind, searchable=True, **vectors))
        more["vector_search"] = definitions.VectorSearch(
            profiles=[definitions.VectorSearchProfile(name="near", algorithm_configuration_name="hnsw")],
            algorithms=[definitions.HnswAlgorithmConfiguration(name="hnsw")],
        )
        named = definitions.SemanticPrioritizedFields(title_field=definitions.SemanticField(field_name="name"))
        configuration = definitions.SemanticConfiguration(name="meaning", prioritized_fields=named)
        more["semantic_search"] = definitions.SemanticSearch(configurations=[configuration])
    suggesters = [SearchSuggester(name="sg", source_fields=["name"])]
    return SearchIndex(name=name, fields=fields, suggesters=suggesters, **more)


async def create_index(way, key=ADMIN, suffix=""):
    async with way.indexes(key) as client:
        return shown(await settled(client.create_index(definition(way.index + suffix))))


async def get_index(way, key=ADMIN, name=None):
    async with way.indexes(key) as client:
        return shown(await settled(client.get_index(name or way.index)))


async def list_indexes(way, key=ADMIN):
    async with way.indexes(key) as client:
        return way.index in [name async for name in each(client.list_index_names())]


async def update_index(way, key=ADMIN):
    async with way.indexes(key) as client:
        return shown(await settled(client.create_or_update_index(definition(way.index))))


async def update_index_that_changed(way):
    async with way.indexes() as client:
        seen = await settled(client.get_index(way.index))
        seen.e_tag = '"0x8D0000000000000"'
        unless = {"match_condition": MatchConditions.IfNotModified}
        await settled(client.create_or_update_index(seen, **unless))


async def delete_index(way, key=ADMIN):
    async with way.indexes(key) as client:
        return await settled(client.delete_index(way.index))


async def index_statistics(way, key=ADMIN):
    async with way.indexes(key) as client:
        statistics = shown(await settled(client.get_index_statistics(way.index)))
        return statistics.get("document_count", statistics.get("documentCount"))


async def service_statistics(way, key=ADMIN):
    async with way.indexes(key) as client:
        return sorted((await settled(client.get_service_statistics()))["counters"])


async def analyze(way, key=ADMIN):
    async with way.indexes(key) as client:
        options = AnalyzeTextOptions(text="The harbour of Zürich", analyzer_name="standard.lucene")
        return [token.token for token in (await settled(client.analyze_text(way.index, options))).tokens]


def written(results):
    return [(result.key, result.succeeded, result.status_code) for result in results]


async def upload(way, key=ADMIN, documents=DOCUMENTS):
    async with way.documents(key) as client:
        return written(await settled(client.upload_documents(documents)))


async def change(way, action="merge_documents", document=None, key=ADMIN):
    async with way.documents(key) as client:
        return written(await settled(getattr(client, action)([document or {"id": "001", "rating": 9}])))


async def every_action(way):
    """One batch that has all of them; not each succeeds."""
    from azure.search.documents import IndexDocumentsBatch

    batch = IndexDocumentsBatch()
    batch.add_upload_actions([{"id": "200", "name": "Quay", "rating": 1}])
    batch.add_merge_actions([{"id": "no-such-document", "rating": 1}])
    batch.add_merge_or_upload_actions([{"id": "201", "name": "Pier", "rating": 2}])
    batch.add_delete_actions([{"id": "200"}, {"id": "201"}])
    async with way.documents(ADMIN) as client:
        return written(await settled(client.index_documents(batch)))


async def buffered(way):
    """Gathered, sent together, and a look at the index for its key field."""
    async with way.sender(auto_flush=False) as sender:
        request_sent()  # that look is taken by a client of its own, which knows nothing of our policies
        await settled(sender.upload_documents([{"id": "300", "name": "Mole", "rating": 1}]))
        await settled(sender.merge_documents([{"id": "300", "rating": 2}]))
        await settled(sender.delete_documents([{"id": "300"}]))
        return await settled(sender.flush())


async def count(way, key=None, **where):
    async with way.documents(**({"key": key} if key is not None else {}), **where) as client:
        return await settled(client.get_document_count())


async def lookup(way, key=None, document="001"):
    async with way.documents(**({"key": key} if key is not None else {})) as client:
        found = await settled(client.get_document(document))
        return {name: found[name] for name in ("id", "name", "rating")}


async def search(way, key=None, text="harbour", index=None, **query):
    options = {"key": key} if key is not None else {}
    async with way.documents(index=index, **options) as client:
        return [dict(found) async for found in each(client.search(text, **query))]


async def pages(way):
    async with way.documents() as client:
        results = await settled(client.search("harbour", order_by="id", include_total_count=True))
        found = [[document["id"] async for document in each(page)] async for page in each(results.by_page())]
        assert len(found) > 1, "the service answered in one page"
        assert len(set(sum(found, []))) == len(DOCUMENTS) - 1, "documents are missing or doubled"
        return {"count": await settled(results.get_count()), "pages": found}


async def resumed(way):
    async with way.documents() as client:
        results = await settled(client.search("harbour", order_by="id"))
        by_page = results.by_page()
        await _next(by_page)
        again = results.by_page(continuation_token=by_page.continuation_token)
        return [document["id"] async for document in each(await _next(again))]


async def _next(iterator):
    return await anext(iterator) if hasattr(iterator, "__anext__") else next(iterator)


async def facets(way):
    async with way.documents() as client:
        results = await settled(client.search("*", facets=["rating"], top=1))
        return shown(await settled(results.get_facets()))


async def suggest(way, key=None):
    async with way.documents(**({"key": key} if key is not None else {})) as client:
        found = await settled(client.suggest("harb", "sg", top=3))
        return [(getattr(one, "text", None) or one["text"], one["id"]) for one in found]


async def autocomplete(way, key=None):
    async with way.documents(**({"key": key} if key is not None else {})) as client:
        return [found["text"] for found in await settled(client.autocomplete("harb", "sg"))]


def near(place):
    return models.VectorizedQuery(vector=place, k_nearest_neighbors=3, fields="place")


QUERIES = {
    "everything, filtered": {"text": "*", "filter": "rating eq 3", "order_by": "id desc", "select": ["id"], "top": 5},
    "skipped": {"order_by": "id", "select": ["id"], "top": 5, "skip": 2},
    "of Lucene": {"text": "name:harbour AND 00*", "query_type": "full", "order_by": "id", "select": ["id"], "top": 5},
    "of all words": {"text": "harbour view", "search_mode": "all", "order_by": "id", "top": 2},
    "highlighted": {"highlight_fields": "name", "order_by": "id", "top": 2},
    "of fields": {"search_fields": ["name"], "order_by": "id", "top": 2, "minimum_coverage": 80},
    "the sample index": {"text": "*", "index": "hotels", "top": 2, "order_by": "HotelId"},
}
if HAS_VECTORS:
    meaning = {"query_type": "semantic", "semantic_configuration_name": "meaning"}
    extractive = {"query_caption": "extractive", "query_answer": "extractive"}
    QUERIES |= {
        "by vector": {"text": None, "vector_queries": [near([0.1, 0.9, 0.5])], "select": ["id"]},
        "by words and vector": {"vector_queries": [near([0.1, 0.9, 0.5])], "select": ["id"], "top": 3},
        "by meaning": {**meaning, **extractive, "select": ["id"], "top": 3},
    }

READS = {
    "search": search,
    "suggest": suggest,
    "autocomplete": autocomplete,
    "lookup": lookup,
    "count": count,
}
FOR_ADMINS = {
    "create index": partial(create_index, suffix="-refused"),
    "create or update index": update_index,
    "get index": get_index,
    "list indexes": list_indexes,
    "delete index": delete_index,
    "upload": partial(upload, documents=DOCUMENTS[:1]),
    "delete a document": partial(change, action="delete_documents", document={"id": "002"}),
    "index statistics": index_statistics,
    "service statistics": service_statistics,
    "analyze": analyze,
}


def begin(way):
    """Registers the definition of the index and what is written into it."""
    way.case("create index", create_index, requests=1)
    way.case("create index again", create_index, refused="ResourceExistsError", requests=1)
    way.case("get index", get_index, requests=1)
    way.case("list indexes", list_indexes, requests=1)
    way.case("update index", update_index, requests=1)
    changed = {"refused": "ResourceModifiedError", "requests": 2}
    way.case("update index that somebody changed", update_index_that_changed, **changed)
    way.case("analyze", analyze, requests=1)
    way.case("upload", upload, requests=1)
    way.case("merge", change, requests=1)
    new = {"id": "119", "name": "Harbour of old", "rating": 1}
    way.case("merge or upload", partial(change, action="merge_or_upload_documents", document=new), requests=1)
    way.case("delete", partial(change, action="delete_documents", document={"id": "119"}), requests=1)
    way.case("every action in a batch", every_action, requests=1, row="B1.17")
    way.case("buffered", buffered)


def read(way):
    """Registers all ways to read it."""
    way.case("count", count, requests=1)
    plain = {"at": door.search_plain}
    way.case("count, plain http", partial(count, **plain), requests=1, row="F-ais-plain")
    way.case("lookup", lookup, requests=1)
    for name, query in QUERIES.items():
        way.case(f"search: {name}", partial(search, **query), requests=1)
    way.case("search with paging", pages)
    way.case("search, resumed by a continuation token", resumed, requests=2)
    way.case("search with facets", facets, requests=1)
    way.case("suggest", suggest, requests=1)
    way.case("autocomplete", autocomplete, requests=1)
    way.case("index statistics", index_statistics, requests=1)
    way.case("service statistics", service_statistics, requests=1)


def end(way):
    way.case("delete index", delete_index, requests=1)
    way.case("the index is gone", get_index, refused="ResourceNotFoundError", requests=1)
