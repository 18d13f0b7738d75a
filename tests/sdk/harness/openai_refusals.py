"""What openai 1 and newer makes of refusals and of trouble: keys, section F, what is repeated and how often."""

from functools import partial

import openai_inference as inference
import section_f
from openai._types import Omit
from openai_clients import each
from recorder import AT_KEYSWAP, NEARLY_THE_KEY, WRONG_KEY, azure_answers, door, pauses

CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    429: "RateLimitError",
    408: "APIStatusError",
    413: "APIStatusError",
    "5xx": "InternalServerError",
}
FEW = ["chat", "stream", "embeddings", "transcription", "models"]
REFUSED = {"refused": "AuthenticationError", "requests": 1, "forwarded": False}


def keys(way, operations):
    """Registers what a key that is not good enough costs: one request, whatever it was for."""
    for name, operation in operations.items():
        row = {"row": "F-oai-key"} if name == "chat" else {}
        way.case(f"wrong key: {name}", operation, key=WRONG_KEY, **REFUSED, **row)
    for key_name, key in {"nearly the key": NEARLY_THE_KEY, "the search service's key": door.search_admin_key}.items():
        for name in FEW:
            way.case(f"{key_name}: {name}", inference.OPERATIONS[name], key=key, **REFUSED)
        way.case(f"{key_name}: unknown deployment", unknown(inference.chat), key=key, **REFUSED)


def unknown(operation):
    return partial(operation, model=inference.NO_SUCH)


def rows(way):
    """Registers the rows of section F, and the operations that Azure itself refuses."""

    def register(name, prepare, **expected):
        async def asked(client):
            prepare()
            return await inference.chat(client)

        way.case(name, asked, client={"max_retries": 0}, **expected)

    section_f.on_demand("openai", register, CLASSES)
    for name in ["chat", "stream", "embeddings"]:
        operation = unknown(inference.OPERATIONS[name])
        way.case(f"unknown deployment: {name}", operation, refused="NotFoundError", requests=1)
    way.case("plain http", inference.chat, at=door.openai_plain, requests=1, row="F-oai-plain")
    way.case("plain http: wrong key", inference.chat, key=WRONG_KEY, at=door.openai_plain, **REFUSED)

    both = {"api-key": door.openai_key, "Authorization": f"Bearer {door.openai_key}"}
    way.case("the key twice", with_headers(both), requests=1, row="F-oai-both")
    nothing = {"api-key": Omit(), "Authorization": Omit()}
    differs = "without a key Azure's body is flat, which some SDKs lose; keyswap answers as to a wrong key"
    way.case("no key", with_headers(nothing), **REFUSED, row="F-oai-none", differs=differs)
    bearer(way)
    token(way)
    if door.limited_key:
        limited(way)


def limited(way):
    """A key that is granted inference alone, and is Azure's own at the other door."""
    way.case("limited key: chat", inference.chat, key=door.limited_key, requests=1)
    granted = {"key": door.limited_key, "requests": 1, "forwarded": False}
    granted["refused"] = "PermissionDeniedError" if AT_KEYSWAP else None
    granted["differs"] = "a key of keyswap's may do as much as it was granted, one of Azure's everything"
    way.case("limited key: list of files", files, **granted)


async def files(client):
    return [file.object async for file in each(client.files.list())]


def with_headers(headers):
    return partial(inference.chat, extra_headers=headers)


def bearer(way):
    """The key where tokens are: on /openai/v1 Azure takes it there."""
    in_bearer = with_headers({"api-key": Omit(), "Authorization": f"Bearer {door.openai_key}"})
    expected = {"requests": 1, "row": "F-oai-bearer"}
    if way.is_azure:
        expected["differs"] = "Azure takes a key from Authorization on /openai/v1 alone; keyswap everywhere"
        expected["refused"] = None if AT_KEYSWAP else "AuthenticationError"
    way.case("the key in Authorization alone", in_bearer, **expected)


def token(way):
    """A token of the client's own: it passes where a resource says so."""
    own = {"azure_ad_token": door.openai_token, "api_key": None} if way.is_azure else {"api_key": door.openai_token}
    expected = {"requests": 1, "row": "F-oai-token"}
    if not door.tokens_pass:
        expected["differs"] = "tokens of clients pass only where a resource says so"
        expected |= REFUSED if AT_KEYSWAP else {}
    way.case("a token of my own", inference.chat, client=own, **expected)


def repeats(way):
    """Registers what is repeated, how often, and after which wait."""
    way.case("rate limit, then an answer", waited_for(1.5, retry_after=30, retry_after_ms=1500), requests=2)
    way.case("rate limit, in seconds, then an answer", waited_for(2, retry_after=2, retry_after_ms=2000), requests=2)
    if door.nobody:
        way.case("nobody listens", inference.chat, key=door.stranded_key, at=door.nobody, requests=3, **DEAD, **TOLD)
    for name, fault in {"closed": "close", "reset": "reset"}.items():
        way.case(f"{name} before any answer", lost(fault, times=9), requests=4, **REPLAYED, **TOLD)
        way.case(f"{name} once before any answer", lost(fault), **REPLAYED, differs=CURED)


DEAD = {"alive": False, "row": "F-oai-dead"}
REPLAYED = {"replayed": 1, "row": "F-oai-lost"}
CURED = "what is lost on a kept connection keyswap itself repeats, once and on a new one"
TOLD = {
    "refused": "InternalServerError" if AT_KEYSWAP else "APIConnectionError",
    "differs": "a gateway can say what became of Azure",
}


def waited_for(seconds, **wait):
    async def operation(client):
        azure_answers("A1.12", **wait)
        answer = await inference.chat(client)
        [pause] = pauses()
        assert seconds <= pause < 5 * seconds, pause
        return answer

    return operation


def lost(fault, times=1):
    """On a connection that is kept from a request before."""

    async def operation(client):
        await inference.chat(client)
        azure_answers(fault, times=times)
        return await inference.chat(client)

    return operation
