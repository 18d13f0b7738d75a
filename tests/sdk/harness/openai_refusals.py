"""What openai 1 and newer, and what is built upon it, makes of refusals and of trouble: keys, section F, what is
repeated and how often. `chat` is an operation of one request, however it is asked for.
"""

from functools import partial

import openai_inference as inference
import section_f
from either import each
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


def keys(way, operations, few=FEW):
    """Registers what a key that is not good enough costs: one request, whatever it was for."""
    for name, operation in operations.items():
        row = "F-oai-key" if name == "chat" else None
        way.case(f"wrong key: {name}", operation, key=WRONG_KEY, row=row, **REFUSED)
    for key_name, key in {"nearly the key": NEARLY_THE_KEY, "the search service's key": door.search_admin_key}.items():
        for name in few:
            way.case(f"{key_name}: {name}", operations[name], key=key, **REFUSED)


def rows(way, chat, faults=None):
    """Registers the rows of section F that Azure gives on demand, and plain HTTP.

    `faults` is what the client is told besides where it would repeat even what must not be.
    """

    def register(name, prepare, client, **expected):
        async def asked(client):
            prepare()
            return await chat(client)

        way.case(name, asked, client=client, **expected)

    at_once = {"max_retries": 0}
    section_f.on_demand("openai", partial(register, client=at_once), CLASSES)
    section_f.own_faults("openai", partial(register, client=faults or {}), CLASSES)
    way.case("plain http", chat, at=door.openai_plain, requests=1, row="F-oai-plain")
    way.case("plain http: wrong key", chat, key=WRONG_KEY, at=door.openai_plain, **REFUSED)


def unknown_deployments(way):
    for name in ["chat", "stream", "embeddings"]:
        operation = partial(inference.OPERATIONS[name], model=inference.NO_SUCH)
        way.case(f"unknown deployment: {name}", operation, refused="NotFoundError", requests=1)
        way.case(f"unknown deployment, wrong key: {name}", operation, key=WRONG_KEY, **REFUSED)


def credentials(way, omit):
    """Registers other places of a key, other credentials, and a key of less worth.

    `omit` is how the SDK leaves a header out.
    """

    def with_headers(headers):
        return partial(inference.chat, extra_headers=headers)

    both = with_headers({"api-key": door.openai_key, "Authorization": f"Bearer {door.openai_key}"})
    way.case("the key twice", both, requests=1, row="F-oai-both")

    nothing = with_headers({"api-key": omit, "Authorization": omit})
    differs = "without a key Azure's body is flat, which some SDKs lose; keyswap answers as to a wrong key"
    way.case("no key", nothing, **REFUSED, row="F-oai-none", differs=differs)

    in_bearer = with_headers({"api-key": omit, "Authorization": f"Bearer {door.openai_key}"})
    expected = {"requests": 1, "row": "F-oai-bearer"}
    if way.is_azure:
        expected["differs"] = "Azure takes a key from Authorization on /openai/v1 alone; keyswap everywhere"
        expected["refused"] = None if AT_KEYSWAP else "AuthenticationError"
    way.case("the key in Authorization alone", in_bearer, **expected)

    own = {"azure_ad_token": door.openai_token, "api_key": None} if way.is_azure else {"api_key": door.openai_token}
    expected = {"requests": 1, "row": "F-oai-token"}
    if not door.tokens_pass:
        expected["differs"] = "tokens of clients pass only where a resource says so"
        expected |= REFUSED if AT_KEYSWAP else {}
    way.case("a token of my own", inference.chat, client=own, **expected)
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


def waits(way, chat):
    """Registers that a wait which is asked for is kept, in milliseconds and in seconds."""
    in_milliseconds = waited_for(1.5, chat, retry_after=30, retry_after_ms=1500)
    way.case("rate limit, then an answer", in_milliseconds, requests=2)
    in_seconds = waited_for(2, chat, retry_after=2, retry_after_ms=2000)
    way.case("rate limit, in seconds, then an answer", in_seconds, requests=2)


TOLD = {
    "refused": "InternalServerError" if AT_KEYSWAP else "APIConnectionError",
    "differs": "a gateway can say what became of Azure",
}


def dead(way, chat, tries=3):
    """Registers what it costs that nobody is there: the same as without keyswap."""
    if door.nobody:
        nobody = {"key": door.stranded_key, "at": door.nobody, "alive": False, "row": "F-oai-dead"}
        way.case("nobody listens", chat, requests=tries, **nobody, **TOLD)


def losses(way, chat, tries=3):
    """Registers what it costs that the connection is lost."""
    replayed = {"replayed": 1, "row": "F-oai-lost"}
    for name, fault in {"closed": "close", "reset": "reset"}.items():
        way.case(f"{name} before any answer", lost(fault, chat, times=99), requests=1 + tries, **replayed, **TOLD)
        differs = "what is lost on a kept connection keyswap itself repeats, once and on a new one"
        way.case(f"{name} once before any answer", lost(fault, chat), **replayed, differs=differs)
    way.case("cut in its answer", lost("cut", chat, times=99), requests=1 + tries, refused="APIConnectionError")


def waited_for(seconds, chat, **wait):
    async def operation(client):
        azure_answers("A1.12", **wait)
        answer = await chat(client)
        [pause] = pauses()
        assert seconds <= pause < 5 * seconds, pause
        return answer

    return operation


def lost(fault, chat, times=1):
    """On a connection that is kept from a request before."""

    async def operation(client):
        await chat(client)
        azure_answers(fault, times=times)
        return await chat(client)

    return operation
