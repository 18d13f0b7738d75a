"""langchain-openai 1.7.3 on openai 3.54.0: its chat models, language models and embeddings, on both surfaces."""

import httpx2
import openai_refusals
from either import each, first, settled
from langchain_openai import (
    AzureChatOpenAI,
    AzureOpenAI,
    AzureOpenAIEmbeddings,
    ChatOpenAI,
    OpenAI,
    OpenAIEmbeddings,
)
from openai_clients import Way, describe
from recorder import azure_answers, door, run

AZURE = {"base": "azure_endpoint", "path": ""}
V1 = {"base": "base_url", "path": "/openai/v1/"}
PREVIEW = {"api_version": "2025-04-01-preview"}
# counting tokens beforehand would fetch a table from elsewhere
UNCOUNTED = {"check_embedding_ctx_length": False}


# Its chat models have subclasses of openai's.
ERRORS = {
    "APIConnectionError": "OpenAIConnectionError",
    "AuthenticationError": "OpenAIAuthenticationError",
    "BadRequestError": "OpenAIInvalidRequestError",
    "InternalServerError": "OpenAIAPIError",
    "NotFoundError": "OpenAIModelNotFoundError",
    "PermissionDeniedError": "OpenAIPermissionDeniedError",
    "RateLimitError": "OpenAIRateLimitError",
}


def ways(name, make, **fixed):
    """One of its classes, asked synchronously and not."""
    errors = ERRORS if make in (AzureChatOpenAI, ChatOpenAI) else {}
    surface = AZURE if "azure_deployment" in fixed else V1
    common = {"http": httpx2, "broken": "APIConnectionError", "fixed": fixed, "errors": errors, **surface}
    return [
        Way(name, make, is_asynchronous=False, **common),
        Way(f"{name}, asynchronous", make, is_asynchronous=True, transport="http_async_client", **common),
    ]


CHATS = [
    *ways("azure chat", AzureChatOpenAI, azure_deployment="gpt-4o", **PREVIEW),
    *ways("v1 chat", ChatOpenAI, model="gpt-4o"),
]
RESPONSES = ways("v1 responses", ChatOpenAI, model="gpt-4o", use_responses_api=True)
COMPLETIONS = [
    *ways("azure completion", AzureOpenAI, azure_deployment="gpt-35-turbo-instruct", **PREVIEW),
    *ways("v1 completion", OpenAI, model="gpt-35-turbo-instruct"),
]
EMBEDDINGS = [
    *ways("azure embeddings", AzureOpenAIEmbeddings, azure_deployment="text-embedding-3-small", **PREVIEW, **UNCOUNTED),
    *ways("v1 embeddings", OpenAIEmbeddings, model="text-embedding-3-small", **UNCOUNTED),
]


def operations(way):
    """Its verbs have an `a` before them where they are asynchronous."""

    def do(model, verb, *told):
        return getattr(model, f"a{verb}" if way.is_asynchronous else verb)(*told)

    async def invoke(model):
        return text(await settled(do(model, "invoke", "Grüße")))

    async def stream(model):
        return "".join([text(chunk) async for chunk in each(do(model, "stream", "Grüße"))])

    async def held_up(model):
        azure_answers("stall-mid-body")
        return [text(chunk) for chunk in await first(do(model, "stream", "Grüße"), 2)]

    async def cut(model):
        azure_answers("cut")
        return await stream(model)

    async def batch(model):
        return [text(answer) for answer in await settled(do(model, "batch", ["one", "two", "three"]))]

    async def documents(model):
        return await settled(do(model, "embed_documents", ["one", "zwei ✓"]))

    async def query(model):
        return await settled(do(model, "embed_query", "one"))

    return invoke, stream, held_up, cut, batch, documents, query


def text(message):
    content = getattr(message, "content", message)
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


for way in CHATS + RESPONSES + COMPLETIONS:
    invoke, stream, held_up, cut, batch, _, _ = operations(way)
    way.case("invoke", invoke, requests=1)
    way.case("stream", stream, requests=1)
    way.case("stream, held up midway: what came so far is there", held_up, requests=1)
    way.case("stream, cut midway", cut, refused=way.broken, requests=1)
    openai_refusals.keys(way, {"chat": invoke, "stream": stream}, few=["chat"])
    if way in CHATS:
        way.case("batch of three", batch, requests=3)
    if way in CHATS and not way.is_asynchronous:
        openai_refusals.rows(way, invoke)
for way in EMBEDDINGS:
    *_, documents, query = operations(way)
    way.case("documents", documents, requests=1)
    way.case("query", query, requests=1)
    openai_refusals.keys(way, {"documents": documents, "query": query}, few=["query"])
invoke, *_ = operations(CHATS[0])
openai_refusals.waits(CHATS[0], invoke)
openai_refusals.dead(CHATS[0], invoke)
openai_refusals.losses(CHATS[0], invoke)
run(describe)
