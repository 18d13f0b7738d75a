"""openai 0.28.1, the last release before the rewrite: settings of the module, requests, aiohttp.

What is done is written once for both: a verb has an `a` before it where it is asynchronous.
"""

import io
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import openai
import requests
import section_f
from either import each, first
from recorder import AT_KEYSWAP, NEARLY_THE_KEY, WRONG_KEY, azure_answers, case, door, recording, request_sent, run

openai.api_type = "azure"
openai.api_base = door.openai
openai.api_version = "2023-05-15"

MESSAGES = [{"role": "user", "content": "Say hello, Grüße ✓."}]
NO_SUCH = "no-such-deployment"
IMAGES = {"prompt": "a cat", "n": 2, "size": "256x256", "api_version": "2023-06-01-preview"}
SAID = "Grüße ✓ from a file.\n".encode()


class CountingSession(requests.Session):
    def send(self, *request, **options):
        request_sent()
        return super().send(*request, **options)


openai.requestssession = CountingSession()


@asynccontextmanager
async def counting_session():
    """An aiohttp session of the application's own: the only thing that 0.28 lets us look into."""

    async def count(*_):
        request_sent()

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(count)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        openai.aiosession.set(session)
        yield


@dataclass(frozen=True)
class Way:
    name: str
    is_asynchronous: bool

    async def __call__(self, resource, verb, *told, **options):
        if self.is_asynchronous:
            return await getattr(resource, f"a{verb}")(*told, **options)
        return getattr(resource, verb)(*told, **options)

    def case(self, name, operation, key=door.openai_key, settings=None, **expected):
        """Registers one operation as a case; `settings` are the module's for as long as it takes."""

        @case(f"{self.name}: {name}", **expected)
        async def _():
            changed = {"api_key": key} | (settings or {})
            before = {setting: getattr(openai, setting) for setting in changed}
            for setting, value in changed.items():
                setattr(openai, setting, value)
            try:
                async with counting_session():
                    return await operation(self)
            finally:
                for setting, value in before.items():
                    setattr(openai, setting, value)


async def chat(do, engine="gpt-4o", **options):
    completion = await do(openai.ChatCompletion, "create", engine=engine, messages=MESSAGES, **options)
    choice = completion.choices[0]
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": completion.usage}


async def streamed(do, engine="gpt-4o", **options):
    return await do(openai.ChatCompletion, "create", engine=engine, messages=MESSAGES, stream=True, **options)


async def stream(do, **options):
    return "".join([told(chunk) async for chunk in each(await streamed(do, **options))])


async def stream_held_up(do):
    azure_answers("stall-mid-body")
    return [told(chunk) for chunk in await first(await streamed(do, request_timeout=20), 4)]


async def stream_cut(do):
    azure_answers("cut")
    await stream(do)


def told(chunk):
    """What a chunk adds to the text: Azure's first one has no choices, the last one no content."""
    return "".join(choice.delta.get("content", "") for choice in chunk.choices)


async def completion(do):
    return (await do(openai.Completion, "create", engine="gpt-35-turbo-instruct", prompt="Say hello.")).choices[0].text


async def completion_streamed(do):
    asked = {"engine": "gpt-35-turbo-instruct", "prompt": "Say hello.", "stream": True}
    chunks = await do(openai.Completion, "create", **asked)
    return "".join([choice.text async for chunk in each(chunks) for choice in chunk.choices])


async def embeddings(do, engine="text-embedding-3-small"):
    answer = await do(openai.Embedding, "create", engine=engine, input=["one", "two"])
    return [entry.embedding for entry in answer.data]


async def transcription(do, file=None):
    file = file or recording()
    return (await do(openai.Audio, "transcribe", model="whisper", deployment_id="whisper", file=file)).text


async def long_transcription(do):
    return await transcription(do, recording(seconds=280))


async def translation(do):
    return (await do(openai.Audio, "translate", model="whisper", deployment_id="whisper", file=recording())).text


async def models(do):
    return [model.id for model in (await do(openai.Model, "list")).data]


async def model(do):
    return synchronously(openai.Model, "retrieve", "gpt-4o").id


def synchronously(resource, verb, name):
    """What 0.28 gets wrong asynchronously: it looks for things among the deployments, and has lost its own session."""
    return getattr(resource, verb)(name)


async def images(do):
    return [urlsplit(picture["url"]).hostname for picture in (await do(openai.Image, "create", **IMAGES))["data"]]


async def upload(do):
    return await do(openai.File, "create", file=io.BytesIO(SAID), purpose="fine-tune", user_provided_filename="a.jsonl")


async def files(do):
    made = await upload(do)
    again = synchronously(openai.File, "retrieve", made.id)
    listed = made.id in [file.id for file in (await do(openai.File, "list")).data]
    content = synchronously(openai.File, "download", made.id)
    gone = await do(openai.File, "delete", made.id)
    assert content == SAID, content
    return [made.bytes, made.filename, again.purpose, listed, getattr(gone, "deleted", None)]


async def missing_file(do):
    synchronously(openai.File, "retrieve", "file-00000000000000000000000000000000")


async def fine_tuning(do):
    file = await upload(do)
    made = await do(openai.FineTuningJob, "create", model="gpt-4o", training_file=file.id)
    again = synchronously(openai.FineTuningJob, "retrieve", made.id)
    cancelled = await do(openai.FineTuningJob, "cancel", made.id)
    return [made.status, again.model, cancelled.status]


# Each of them is one request, with a key that is not good enough.
OPERATIONS = {
    "chat": chat,
    "stream": stream,
    "completion": completion,
    "completion, streamed": completion_streamed,
    "embeddings": embeddings,
    "transcription": transcription,
    "long transcription": long_transcription,
    "translation": translation,
    "models": models,
    "one model": model,
    "images": images,
    "file upload": upload,
    "missing file": missing_file,
    "unknown deployment": partial(chat, engine=NO_SUCH),
}
KEYS = {
    "wrong key": WRONG_KEY,
    "nearly the key": NEARLY_THE_KEY,
    "the search service's key": door.search_admin_key,
    "empty key": "",
}
REFUSED = {"refused": "AuthenticationError", "requests": 1, "forwarded": False}
STORED = {"settings": {"api_version": "2024-10-21"}}
INVALID = {"refused": "InvalidRequestError", "requests": 1}
CLASSES = {
    400: "InvalidRequestError",
    403: "PermissionError",
    404: "InvalidRequestError",
    429: "RateLimitError",
    408: "APIError",
    413: "APIError",
    503: "ServiceUnavailableError",
    401: "AuthenticationError",
    "A1.2": "APIError",
    "5xx": "APIError",
}


def works(way):
    for name in ["chat", "stream", "completion", "completion, streamed", "embeddings", "models", "one model"]:
        way.case(name, OPERATIONS[name], requests=1)
    for name in ["transcription", "long transcription", "translation"]:
        way.case(name, OPERATIONS[name], requests=1)
    slash = {"api_base": door.openai + "/"}
    way.case("chat, base with the portal's trailing slash", chat, settings=slash, requests=1)
    way.case("stream, held up midway: what came so far is there", stream_held_up, requests=1)
    broken = "ClientPayloadError" if way.is_asynchronous else "ChunkedEncodingError"
    way.case("stream, cut midway", stream_cut, refused=broken, requests=1)
    # Azure says where to ask for them, and the SDK goes there with the key: it is told to wait, then they are there
    way.case("images", images, requests=3)
    way.case("files", files, **STORED)
    way.case("fine-tuning", fine_tuning, **STORED)
    way.case("missing file", missing_file, **INVALID, **STORED)


def keys(way):
    for key_name, key in KEYS.items():
        for name, operation in OPERATIONS.items():
            row = "F-oai-key" if (key_name, name) == ("wrong key", "chat") else None
            way.case(f"{key_name}: {name}", operation, key=key, row=row, **REFUSED)
    if door.limited_key:
        way.case("limited key: chat", chat, key=door.limited_key, requests=1)
        refused = {"refused": "PermissionError", "forwarded": False} if AT_KEYSWAP else {}
        differs = "a key of keyswap's may do as much as it was granted, one of Azure's everything"
        limited = {"key": door.limited_key, "requests": 1, "differs": differs}
        way.case("limited key: file upload", upload, **limited, **refused, **STORED)


def rows(way):
    def register(name, prepare, **expected):
        async def asked(do):
            prepare()
            return await chat(do)

        way.case(name, asked, **expected)

    section_f.on_demand("openai", register, CLASSES)
    section_f.own_faults("openai", register, CLASSES)
    for name in ["chat", "stream", "embeddings"]:
        way.case(f"unknown deployment: {name}", partial(OPERATIONS[name], engine=NO_SUCH), **INVALID)
    way.case("unknown api-version", chat, settings={"api_version": "yesterday"}, **INVALID)
    plain = {"settings": {"api_base": door.openai_plain}}
    way.case("plain http", chat, **plain, requests=1, row="F-oai-plain")
    way.case("plain http: wrong key", chat, **plain, key=WRONG_KEY, **REFUSED)
    both = partial(chat, headers={"Authorization": f"Bearer {door.openai_key}"})
    way.case("the key twice", both, requests=1, row="F-oai-both")
    tokens(way)
    trouble(way)


def tokens(way):
    """A token of the client's own; and the key where a token belongs."""
    bearer = {"settings": {"api_type": "azure_ad"}, "requests": 1}
    in_bearer = {"row": "F-oai-bearer", "refused": None if AT_KEYSWAP else "APIError"}
    in_bearer["differs"] = "Azure takes a key from Authorization on /openai/v1 alone; keyswap everywhere"
    way.case("the key in Authorization alone", chat, **bearer, **in_bearer)
    own = {"key": door.openai_token, **bearer}
    if door.tokens_pass:
        way.case("a token of my own", chat, **own, row="F-oai-token")
        way.case("a token of my own, streamed", stream, **own)
        way.case("a token of my own that Azure does not take", after("A1.2"), **own, refused="APIError")
        way.case("a token of my own that lacks a role", after("A1.5"), **own, refused="AuthenticationError")
    else:
        refused = REFUSED if AT_KEYSWAP else {}
        differs = "tokens of clients pass only where a resource says so"
        way.case("a token of my own", chat, **own | refused, row="F-oai-token", differs=differs)


def trouble(way):
    """It repeats nothing by itself."""
    told = {"refused": "APIError" if AT_KEYSWAP else "APIConnectionError"}
    told["differs"] = "a gateway can say what became of Azure"
    if door.nobody:
        dead = {"settings": {"api_base": door.nobody}, "key": door.stranded_key, "alive": False}
        way.case("nobody listens", chat, **dead, **told, requests=1, row="F-oai-dead")
    for name, fault in {"closed": "close", "reset": "reset"}.items():
        lost = {"requests": 2, "replayed": 1, "row": "F-oai-lost"}
        way.case(f"{name} before any answer", after(fault, times=9, warm=True), **lost, **told)


def after(fault, warm=False, **details):
    async def operation(do):
        if warm:
            # on a connection that is kept
            await chat(do)
        azure_answers(fault, **details)
        return await chat(do)

    return operation


def describe(error):
    message = getattr(error, "user_message", str(error))
    return {
        "status": getattr(error, "http_status", None),
        "code": getattr(error, "code", None),
        "param": getattr(error, "param", None),
        # an answer that it cannot read is in its text, with all its headers
        "message": message.partition(" {'")[0],
        "body": getattr(error, "json_body", None),
    }


for way in (Way("sync", False), Way("asynchronous", True)):
    works(way)
    keys(way)
    rows(way)
run(describe)
