"""azure-search-documents 11.3.0: one index from its creation to its deletion, and who may not do what."""

from functools import partial

from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.search.documents import SearchClient
from azure.search.documents.indexes import SearchIndexClient
from azure.search.documents.indexes.models import (
    SearchableField,
    SearchFieldDataType,
    SearchIndex,
    SearchSuggester,
    SimpleField,
)
from recorder import WRONG_KEY, azure_answers, case, door, refused_key, request_sent, run

INDEX = f"sdk-{door.run}"
ADMIN, QUERY = door.search_admin_key, door.search_query_key
NO_SUCH = "no-such-index"
DOCUMENTS = [{"id": f"{n:03}", "name": f"Harbour view {n:03}", "rating": n % 5} for n in range(120)]


class CountEachTry(SansIOHTTPPolicy):
    """Stands behind the SDK's retry policy, so that it sees what is really sent."""

    def on_request(self, request):
        request_sent()


def indexes(key=ADMIN):
    return SearchIndexClient(door.search, AzureKeyCredential(key), per_retry_policies=[CountEachTry()])


def documents(key=QUERY, index=INDEX, service=door.search):
    return SearchClient(service, index, AzureKeyCredential(key), per_retry_policies=[CountEachTry()])


def definition(name=INDEX):
    return SearchIndex(
        name=name,
        fields=[
            SimpleField(name="id", type=SearchFieldDataType.String, key=True, sortable=True),
            SearchableField(name="name", type=SearchFieldDataType.String),
            SimpleField(name="rating", type=SearchFieldDataType.Int32, filterable=True, sortable=True),
        ],
        suggesters=[SearchSuggester(name="sg", source_fields=["name"])],
    )


def written(results):
    return [(result.key, result.succeeded, result.status_code) for result in results]


@case("create index", requests=1)
def _():
    created = indexes().create_index(definition())
    return {"name": created.name, "fields": [field.name for field in created.fields]}


@case("create index again", refused="ResourceExistsError", requests=1)
def _():
    indexes().create_index(definition())


@case("get index", requests=1)
def _():
    return [(field.name, field.type, field.key) for field in indexes().get_index(INDEX).fields]


@case("list indexes", requests=1)
def _():
    return INDEX in list(indexes().list_index_names())


@case("upload documents", requests=1)
def _():
    return written(documents(ADMIN).upload_documents(DOCUMENTS))


@case("merge and delete documents", requests=2)
def _():
    merged = documents(ADMIN).merge_documents([{"id": "001", "rating": 9}])
    deleted = documents(ADMIN).delete_documents([{"id": "119"}])
    return written(merged + deleted)


@case("count", requests=1)
def _():
    return documents().get_document_count()


@case("count, plain http", requests=1)
def _():
    return documents(service=door.search_plain).get_document_count()


@case("lookup", requests=1)
def _():
    return documents().get_document("001")


@case("search with paging")
def _():
    results = documents().search("harbour", order_by="id", include_total_count=True)
    pages = [[found["id"] for found in page] for page in results.by_page()]
    assert len(pages) > 1, "the service answered in one page"
    assert len(set(sum(pages, []))) == len(DOCUMENTS) - 1, "documents are missing or doubled"
    return {"count": results.get_count(), "pages": pages}


@case("search, resumed by a continuation token", requests=2)
def _():
    results = documents().search("harbour", order_by="id")
    first = results.by_page()
    next(first)
    resumed = results.by_page(continuation_token=first.continuation_token)
    return [found["id"] for found in next(resumed)]


@case("search with filter, top and skip", requests=1)
def _():
    found = documents().search("*", filter="rating eq 3", order_by="id desc", select=["id"], top=5, skip=2)
    return [document["id"] for document in found]


@case("search the sample index", requests=1)
def _():
    found = documents(index="hotels").search("*", top=5, order_by="HotelId")
    return [document["HotelId"] for document in found]


@case("suggest", requests=1)
def _():
    return [(suggestion["text"], suggestion["id"]) for suggestion in documents().suggest("harb", "sg", top=3)]


@case("autocomplete", requests=1)
def _():
    return [completion["text"] for completion in documents().autocomplete("harb", "sg")]


@case("service statistics", requests=1)
def _():
    return sorted(indexes().get_service_statistics()["counters"])


@case("index statistics", requests=1)
def _():
    return indexes().get_index_statistics(INDEX)["document_count"]


READS = {
    "search": lambda key: list(documents(key).search("*")),
    "suggest": lambda key: documents(key).suggest("harb", "sg"),
    "autocomplete": lambda key: documents(key).autocomplete("harb", "sg"),
    "lookup": lambda key: documents(key).get_document("001"),
    "count": lambda key: documents(key).get_document_count(),
    "count, plain http": lambda key: documents(key, service=door.search_plain).get_document_count(),
    "count in an unknown index": lambda key: documents(key, NO_SUCH).get_document_count(),
}
FOR_ADMINS = {
    "create index": lambda key: indexes(key).create_index(definition(INDEX + "-refused")),
    "create or update index": lambda key: indexes(key).create_or_update_index(definition()),
    "get index": lambda key: indexes(key).get_index(INDEX),
    "list indexes": lambda key: list(indexes(key).list_index_names()),
    "delete index": lambda key: indexes(key).delete_index(INDEX),
    "upload documents": lambda key: documents(key).upload_documents(DOCUMENTS[:1]),
    "delete documents": lambda key: documents(key).delete_documents([{"id": "002"}]),
    "index statistics": lambda key: indexes(key).get_index_statistics(INDEX),
    "service statistics": lambda key: indexes(key).get_service_statistics(),
}
REFUSALS = {
    "wrong key": (WRONG_KEY, READS | FOR_ADMINS),
    "Azure OpenAI's key": (door.openai_key, READS | FOR_ADMINS),
    "query key": (QUERY, FOR_ADMINS),
    "empty key": ("", READS | FOR_ADMINS),
}

for key_name, (key, operations) in REFUSALS.items():
    for operation_name, operation in operations.items():
        refused_key(f"{key_name}: {operation_name}", "HttpResponseError")(partial(operation, key))


@case("nothing was written by those who may not")
def _():
    assert documents().get_document_count() == len(DOCUMENTS) - 1
    assert INDEX + "-refused" not in list(indexes().list_index_names())


@case("unknown index: search", refused="ResourceNotFoundError", requests=1)
def _():
    list(documents(index=NO_SUCH).search("*"))


@case("unknown index: get index", refused="ResourceNotFoundError", requests=1)
def _():
    indexes().get_index(NO_SUCH)


@case("missing document", refused="ResourceNotFoundError", requests=1)
def _():
    documents().get_document("no-such-key")


@case("malformed filter", refused="HttpResponseError", requests=1)
def _():
    list(documents().search("*", filter="rating is good"))


@case("throttled, then an answer", requests=2)
def _():
    azure_answers("B1.14", plane="search")
    return len(list(documents().search("*", top=3)))


@case("throttled for too long", refused="HttpResponseError", requests=4)
def _():
    azure_answers("B1.14", plane="search", times=4, retry_after=0)
    list(documents().search("*", top=3))


@case("delete index", requests=1)
def _():
    return indexes().delete_index(INDEX)


@case("the index is gone", refused="ResourceNotFoundError", requests=1)
def _():
    indexes().get_index(INDEX)


def describe(error):
    detail = getattr(error, "error", None)
    return {
        "status": getattr(error, "status_code", None),
        "reason": getattr(error, "reason", None),
        "code": getattr(detail, "code", None),
        "message": str(error),
    }


run(describe)
