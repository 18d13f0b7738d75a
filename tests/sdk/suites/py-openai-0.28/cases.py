"""openai 0.28.1, the last release before the rewrite: module-level settings, requests, aiohttp."""

from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import openai
import requests
from recorder import (
    NEARLY_THE_KEY,
    WRONG_KEY,
    azure_answers,
    case,
    door,
    recording,
    refused_key,
    request_sent,
    run,
)

openai.api_type = "azure"
openai.api_base = door.openai
openai.api_version = "2023-05-15"


class CountingSession(requests.Session):
    def send(self, *request, **options):
        request_sent()
        return super().send(*request, **options)


openai.requestssession = CountingSession()

MESSAGES = [{"role": "user", "content": "Say hello."}]
NO_SUCH = "no-such-deployment"


def chat(key=door.openai_key, engine="gpt-4o", **options):
    openai.api_key = key  # an empty one is only sent from here
    return openai.ChatCompletion.create(engine=engine, messages=MESSAGES, **options)


def stream(key=door.openai_key, **options):
    return "".join(told(chunk) for chunk in chat(key, stream=True, **options))


async def chat_asynchronously(key=door.openai_key, **options):
    openai.api_key = key
    async with counting_session():
        return await openai.ChatCompletion.acreate(engine="gpt-4o", messages=MESSAGES, **options)


def completion(key=door.openai_key):
    openai.api_key = key
    return openai.Completion.create(engine="gpt-35-turbo-instruct", prompt="Say hello.")


def embeddings(key=door.openai_key, engine="text-embedding-3-small"):
    openai.api_key = key
    return openai.Embedding.create(engine=engine, input=["one", "two"])


def transcription(key=door.openai_key):
    openai.api_key = key
    return openai.Audio.transcribe(model="whisper", deployment_id="whisper", file=recording())


def models(key=door.openai_key):
    openai.api_key = key
    return openai.Model.list()


IMAGES = {"prompt": "a cat", "n": 2, "size": "256x256", "api_version": "2023-06-01-preview"}


def images(key=door.openai_key):
    openai.api_key = key
    return openai.Image.create(**IMAGES)


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


def answer(completion):
    choice = completion.choices[0]
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": completion.usage}


def told(chunk):
    """What a chunk adds to the text: Azure's first one has no choices, the last one no content."""
    return "".join(choice.delta.get("content", "") for choice in chunk.choices)


@case("chat", requests=1)
def _():
    return answer(chat())


@case("chat, base with the portal's trailing slash", requests=1)
def _():
    return answer(chat(api_base=door.openai + "/"))


@case("chat, plain http", requests=1)
def _():
    return answer(chat(api_base=door.openai_plain))


@case("chat, asynchronous", requests=1)
async def _():
    return answer(await chat_asynchronously())


@case("stream", requests=1)
def _():
    return stream()


@case("stream, asynchronous", requests=1)
async def _():
    openai.api_key = door.openai_key
    async with counting_session():
        chunks = await openai.ChatCompletion.acreate(engine="gpt-4o", messages=MESSAGES, stream=True)
        return "".join([told(chunk) async for chunk in chunks])


@case("stream, held up midway: what came so far is there", requests=1)
def _():
    azure_answers("stall-mid-body")
    chunks = chat(stream=True, request_timeout=20)
    return [told(next(chunks)) for _ in range(4)]


@case("stream, cut midway", refused="ChunkedEncodingError", requests=1)
def _():
    azure_answers("cut")
    stream()


@case("completion", requests=1)
def _():
    return completion().choices[0].text


@case("embeddings", requests=1)
def _():
    return [entry.embedding for entry in embeddings().data]


@case("transcription of an upload", requests=1)
def _():
    return transcription().text


@case("models", requests=1)
def _():
    return [model.id for model in models().data]


def hosts(pictures):
    return [urlsplit(picture["url"]).hostname for picture in pictures["data"]]


# Azure says where to ask for them, and the SDK goes there with the key: once it is told to wait, then they are there.
@case("images", requests=3)
def _():
    return hosts(images())


@case("images, asynchronous", requests=3)
async def _():
    openai.api_key = door.openai_key
    async with counting_session():
        return hosts(await openai.Image.acreate(**IMAGES))


KEYS = {
    "wrong key": WRONG_KEY,
    "nearly the key": NEARLY_THE_KEY,
    "the search service's key": door.search_admin_key,
    "empty key": "",
}
OPERATIONS = {
    "chat": chat,
    "chat, asynchronous": chat_asynchronously,
    "stream": stream,
    "completion": completion,
    "embeddings": embeddings,
    "upload": transcription,
    "models": models,
    "images": images,
    "plain http": partial(chat, api_base=door.openai_plain),
    "unknown deployment": partial(chat, engine=NO_SUCH),
}

for key_name, key in KEYS.items():
    for operation_name, operation in OPERATIONS.items():
        refused_key(f"{key_name}: {operation_name}", "AuthenticationError")(partial(operation, key))


@case("unknown deployment: chat", refused="InvalidRequestError", requests=1)
def _():
    chat(engine=NO_SUCH)


@case("unknown deployment: stream", refused="InvalidRequestError", requests=1)
def _():
    stream(engine=NO_SUCH)


@case("unknown deployment: embeddings", refused="InvalidRequestError", requests=1)
def _():
    embeddings(engine=NO_SUCH)


@case("unknown api-version", refused="InvalidRequestError", requests=1)
def _():
    chat(api_version="yesterday")


@case("content filter", refused="InvalidRequestError", requests=1)
def _():
    azure_answers("A1.13")
    chat()


if door.tokens_pass:

    @case("a token of my own", requests=1)
    def _():
        return answer(chat(door.openai_token, api_type="azure_ad"))

    @case("a token of my own, streamed", requests=1)
    def _():
        return stream(door.openai_token, api_type="azure_ad")

    @case("a token of my own that Azure does not take", refused="APIError", requests=1)
    def _():
        azure_answers("A1.2")
        chat(door.openai_token, api_type="azure_ad")

    @case("a token of my own that lacks a role", refused="AuthenticationError", requests=1)
    def _():
        azure_answers("A1.5")
        chat(door.openai_token, api_type="azure_ad")


@case("rate limit", refused="RateLimitError", requests=1)
def _():
    azure_answers("A1.12")
    chat()


def describe(error):
    return {
        "status": getattr(error, "http_status", None),
        "code": getattr(error, "code", None),
        "param": getattr(error, "param", None),
        "message": getattr(error, "user_message", str(error)),
        "body": getattr(error, "json_body", None),
    }


run(describe)
