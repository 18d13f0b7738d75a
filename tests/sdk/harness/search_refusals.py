"""What azure-search-documents makes of refusals and of trouble: keys, section F, what is repeated and how often."""

from functools import partial

import search_documents
import section_f
from azure.core.pipeline.policies import SansIOHTTPPolicy
from either import each, settled
from recorder import AT_KEYSWAP, WRONG_KEY, azure_answers, door, nearly, pauses
from search_clients import QUERY
from search_documents import FOR_ADMINS, NO_SUCH, READS

REFUSED = {"refused": "HttpResponseError", "requests": 1, "forwarded": False}
CLASSES = {404: "ResourceNotFoundError", 400: "HttpResponseError", 412: "HttpResponseError", 413: "HttpResponseError"}
CLASSES |= {401: "ClientAuthenticationError", 403: "HttpResponseError", 429: "HttpResponseError", "5xx": "HttpResponseError"}
QUICK = {"retry_backoff_factor": 0.05}


class WithoutKey(SansIOHTTPPolicy):
    """Takes the key away again."""

    def on_request(self, request):
        request.http_request.headers.pop("api-key", None)


def keys(way, operations):
    """Registers what a key that is not good enough costs: one request, whatever it was for."""
    refusals = {
        "wrong key": (WRONG_KEY, operations),
        "nearly the key": (nearly(door.search_admin_key), READS),
        "Azure OpenAI's key": (door.openai_key, operations),
        "query key": (QUERY, {name: run for name, run in operations.items() if name in FOR_ADMINS}),
        "empty key": ("", READS),
    }
    for key_name, (key, operations) in refusals.items():
        for name, operation in operations.items():
            row = {("wrong key", "search"): "F-ais-key", ("query key", "upload"): "F-ais-query"}.get((key_name, name))
            way.case(f"{key_name}: {name}", partial(operation, key=key), **REFUSED, row=row)


def nothing_written(way):
    way.case("nothing was written by those who may not", nothing, requests=2)


async def nothing(way):
    assert await search_documents.count(way) == len(search_documents.DOCUMENTS) - 1
    async with way.indexes() as client:
        assert way.index + "-refused" not in [name async for name in each(client.list_index_names())]


def rows(way):
    """Registers the rows of section F, and the operations that Azure itself refuses."""

    def register(name, prepare, **expected):
        async def asked(way):
            prepare()
            await ask(way, retry_total=0)

        way.case(name, asked, **expected)

    section_f.on_demand("search", register, CLASSES)
    section_f.own_faults("search", register, CLASSES)
    missing = {"refused": "ResourceNotFoundError", "requests": 1}
    way.case("unknown index: search", partial(search_documents.search, index=NO_SUCH), **missing)
    way.case("unknown index: get index", partial(search_documents.get_index, name=NO_SUCH), **missing)
    way.case("missing document", partial(search_documents.lookup, document="no-such-key"), **missing, row="H15")
    malformed = partial(search_documents.search, filter="rating is good")
    way.case("malformed filter", malformed, refused="HttpResponseError", requests=1)
    way.case("wrong key: plain http", partial(search_documents.count, key=WRONG_KEY, at=door.search_plain), **REFUSED)
    # in one release of the SDK a header, in another a policy
    no_key = partial(ask, policies=[WithoutKey()], authentication_policy=SansIOHTTPPolicy())
    differs = "without a key Azure's answer has no body, which breaks some SDKs; keyswap's is that to a wrong key"
    way.case("no key", no_key, **REFUSED, row="F-ais-none", differs=differs)


async def ask(way, text="harbour", **options):
    """One search, which is a POST."""
    async with way.documents(**options) as client:
        return [found["id"] async for found in each(client.search(text, top=3))]


async def look(way, **options):
    """One GET."""
    async with way.documents(**options) as client:
        return await settled(client.get_document_count())


def repeats(way):
    """Registers what is repeated, how often, and after which wait: a POST less than a GET."""
    way.case("throttled, then an answer", waited_for("B1.14", retry_after=1), requests=2)
    way.case("too many requests, then an answer", waited_for("B1.14-429", retry_after=1), requests=2)
    way.case("throttled for too long", throttled, refused="HttpResponseError", requests=4)
    for name, (operation, tries) in {"search": (ask, 1), "count": (look, 4)}.items():
        told = {"refused": "HttpResponseError" if AT_KEYSWAP else "ServiceRequestError", "alive": False}
        dead = partial(operation, key=door.stranded_key, at=door.nobody, **QUICK)
        if door.nobody and operation is ask:
            differs = "a search that was not sent keyswap lets be sent again; the SDK repeats no POST whose connection fails"
            way.case("nobody listens: search", dead, **told, requests=4 if AT_KEYSWAP else 1, row="F-ais-dead", differs=differs)
        elif door.nobody:
            way.case(f"nobody listens: {name}", dead, **told, requests=tries, row="F-ais-dead", differs=TOLD)
        for fault in ("close", "reset"):
            lost = {"refused": "HttpResponseError" if AT_KEYSWAP else "ServiceResponseError", "differs": TOLD}
            after = after_fault(operation, fault)
            way.case(f"{fault} before any answer: {name}", after, **lost, requests=1 + tries, replayed=1, row="F-ais-lost")


TOLD = "a gateway can say what became of Azure"


def after_fault(operation, fault):
    """On a connection that is kept from a request before."""

    async def operation_after(way):
        await look(way)
        azure_answers(fault, plane="search", times=99)
        return await operation(way, **QUICK)

    return operation_after


def waited_for(answer, retry_after):
    async def operation(way):
        azure_answers(answer, plane="search", retry_after=retry_after)
        found = await ask(way, **QUICK)
        assert retry_after <= pauses()[0] < 10, pauses()
        return found

    return operation


async def throttled(way):
    azure_answers("B1.14", plane="search", times=4)
    await ask(way, **QUICK)
