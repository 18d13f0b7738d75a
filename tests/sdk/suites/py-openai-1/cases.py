"""openai 1.51.0: AzureOpenAI, which sends the key twice (`api-key` and `Authorization`), and the plain
OpenAI client on /openai/v1, which has it in `Authorization` alone. What both can do is done with both.
"""

from functools import partial

import httpx
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
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

COUNTING = httpx.Client(event_hooks={"request": [request_sent]})
MESSAGES = [{"role": "user", "content": "Say hello."}]
NO_SUCH = "no-such-deployment"

AZURE = {"azure_endpoint": door.openai, "api_version": "2024-06-01"}
V1 = {"base_url": door.openai + "/openai/v1/"}


def azure(key=door.openai_key, **changes):
    return AzureOpenAI(**AZURE | changes, api_key=key, http_client=COUNTING)


def v1(key=door.openai_key, **changes):
    return OpenAI(**V1 | changes, api_key=key, http_client=COUNTING)


def chat(client, model="gpt-4o", **options):
    return client.chat.completions.create(model=model, messages=MESSAGES, **options)


def stream(client, model="gpt-4o"):
    return "".join(told(chunk) for chunk in chat(client, model, stream=True))


def embeddings(client, model="text-embedding-3-small"):
    return client.embeddings.create(model=model, input=["one", "two"])


def transcription(client):
    return client.audio.transcriptions.create(model="whisper", file=recording())


def models(client):
    return client.models.list()


def answer(completion):
    choice = completion.choices[0]
    usage = completion.usage.to_dict()
    return {"text": choice.message.content, "finish": choice.finish_reason, "usage": usage}


def told(chunk):
    """What a chunk adds to the text: Azure's first one has no choices, the last one no content."""
    return "".join(choice.delta.content or "" for choice in chunk.choices)


KEYS = {
    "wrong key": WRONG_KEY,
    "nearly the key": NEARLY_THE_KEY,
    "the search service's key": door.search_admin_key,
}
OPERATIONS = {
    "chat": chat,
    "stream": stream,
    "embeddings": embeddings,
    "upload": transcription,
    "models": models,
    "unknown deployment": partial(chat, model=NO_SUCH),
}

for surface, connect in {"azure": azure, "v1": v1}.items():

    @case(f"{surface}: chat", requests=1)
    def _(connect=connect):
        return answer(chat(connect()))

    @case(f"{surface}: stream", requests=1)
    def _(connect=connect):
        return stream(connect())

    @case(f"{surface}: stream, held up midway: what came so far is there", requests=1)
    def _(connect=connect):
        azure_answers("stall-mid-body")
        with chat(connect(), stream=True, timeout=20) as chunks:
            return [told(next(chunks)) for _ in range(4)]

    @case(f"{surface}: stream, cut midway", refused="RemoteProtocolError", requests=1)
    def _(connect=connect):
        azure_answers("cut")
        stream(connect())

    @case(f"{surface}: embeddings", requests=1)
    def _(connect=connect):
        return [entry.embedding for entry in embeddings(connect()).data]

    @case(f"{surface}: transcription of an upload", requests=1)
    def _(connect=connect):
        return transcription(connect()).text

    @case(f"{surface}: models", requests=1)
    def _(connect=connect):
        return [model.id for model in models(connect())]

    for key_name, key in KEYS.items():
        for operation_name, operation in OPERATIONS.items():

            @refused_key(f"{surface}: {key_name}: {operation_name}", "AuthenticationError")
            def _(connect=connect, key=key, operation=operation):
                operation(connect(key))

    @case(f"{surface}: unknown deployment: chat", refused="NotFoundError", requests=1)
    def _(connect=connect):
        chat(connect(), NO_SUCH)

    @case(f"{surface}: unknown deployment: stream", refused="NotFoundError", requests=1)
    def _(connect=connect):
        stream(connect(), NO_SUCH)

    @case(f"{surface}: unknown deployment: embeddings", refused="NotFoundError", requests=1)
    def _(connect=connect):
        embeddings(connect(), NO_SUCH)

    @case(f"{surface}: content filter", refused="BadRequestError", requests=1)
    def _(connect=connect):
        azure_answers("A1.13")
        chat(connect())

    @case(f"{surface}: rate limit", refused="RateLimitError", requests=1)
    def _(connect=connect):
        azure_answers("A1.12")
        chat(connect().with_options(max_retries=0))

    @case(f"{surface}: rate limit, then an answer", requests=2)
    def _(connect=connect):
        azure_answers("A1.12", retry_after=1)
        return answer(chat(connect()))


ASYNCHRONOUS = {"azure": partial(AsyncAzureOpenAI, **AZURE), "v1": partial(AsyncOpenAI, **V1)}

for surface, connect in ASYNCHRONOUS.items():

    @case(f"{surface}: chat, asynchronous", requests=1)
    async def _(connect=connect):
        async with counting_client() as counting:
            return answer(await chat(connect(api_key=door.openai_key, http_client=counting)))

    @refused_key(f"{surface}: wrong key: chat, asynchronous", "AuthenticationError")
    async def _(connect=connect):
        async with counting_client() as counting:
            await chat(connect(api_key=WRONG_KEY, http_client=counting))


PLAIN = {
    "azure": partial(azure, azure_endpoint=door.openai_plain),
    "v1": partial(v1, base_url=door.openai_plain + "/openai/v1/"),
}

for surface, connect in PLAIN.items():

    @case(f"{surface}: chat, plain http", requests=1)
    def _(connect=connect):
        return answer(chat(connect()))

    @refused_key(f"{surface}: wrong key: chat, plain http", "AuthenticationError")
    def _(connect=connect):
        chat(connect(WRONG_KEY))


def counting_client():
    async def count(_):
        request_sent()

    return httpx.AsyncClient(event_hooks={"request": [count]})


def describe(error):
    return {
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "type": getattr(error, "type", None),
        "param": getattr(error, "param", None),
        "message": getattr(error, "message", str(error)),
        "body": getattr(error, "body", None),
    }


run(describe)
