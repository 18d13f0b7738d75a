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
CLASSES = dict.fromkeys([400, 403, 412, 413, 429, "5xx"], "HttpResponseError")
CLASSES |= {401: "ClientAuthenticationError", 404: "ResourceNotFoundError"}
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
    for key_name, (key, refused) in refusals.items():
        for name, operation in refused.items():
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

    def register(name, prepare, options, **expected):
        async def asked(way):
            prepare()
            await ask(way, **options)

        way.case(name, asked, **expected)

    section_f.on_demand("search", partial(register, options={"retry_total": 0}), CLASSES)
    section_f.own_faults("search", partial(register, options=QUICK), CLASSES)
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


def waits(way):
    """Registers that a wait which is asked for is kept."""
    way.case("throttled, then an answer", waited_for("B1.14", retry_after=1), requests=2)
    way.case("too many requests, then an answer", waited_for("B1.14-429", retry_after=1), requests=2)
    way.case("throttled for too long", throttled, refused="HttpResponseError", requests=4)


TOLD = "a gateway can say what became of Azure"


def dead(way):
    """Registers what it costs that nobody is there. By itself the SDK repeats a GET, and no POST."""
    if not door.nobody:
        return
    nobody = {"key": door.stranded_key, "at": door.nobody, **QUICK}
    told = {"refused": "HttpResponseError" if AT_KEYSWAP else "ServiceRequestError"}
    told |= {"alive": False, "row": "F-ais-dead"}
    way.case("nobody listens: count", partial(look, **nobody), **told, requests=4, differs=TOLD)
    told["differs"] = "a search that was not sent keyswap lets be sent again; the SDK repeats no POST that finds nobody"
    way.case("nobody listens: search", partial(ask, **nobody), **told, requests=4 if AT_KEYSWAP else 1)


def losses(way):
    """Registers what it costs that the connection is lost."""
    told = {"refused": "HttpResponseError" if AT_KEYSWAP else "ServiceResponseError", "differs": TOLD}
    told |= {"replayed": 1, "row": "F-ais-lost"}
    for fault in ("close", "reset"):
        way.case(f"{fault} before any answer: count", after_fault(look, fault), **told, requests=1 + 4)
        way.case(f"{fault} before any answer: search", after_fault(ask, fault), **told, requests=1 + 1)
    broken = {"refused": "HttpResponseError"}
    way.case("cut in its answer: count", after_fault(look, "cut"), **broken, requests=1 + 4)
    way.case("cut in its answer: search", after_fault(ask, "cut"), **broken, requests=1 + 1)


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
