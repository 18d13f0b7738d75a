"""llama-index for Azure OpenAI 0.6.1 on openai 2.54.0, which repeats by itself what openai has repeated already."""

import httpx
import openai_refusals
from either import each, first, settled
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.azure_openai import AzureOpenAIEmbedding
from llama_index.llms.azure_openai import AzureOpenAI
from llama_index.llms.openai import OpenAI
from openai_clients import Way, describe
from recorder import azure_answers, run

AZURE = {"base": "azure_endpoint", "path": ""}
V1 = {"base": "api_base", "path": "/openai/v1"}
PREVIEW = {"api_version": "2025-04-01-preview"}
MESSAGES = [ChatMessage(role="user", content="Grüße")]


def ways(name, make, surface, **fixed):
    """One of its classes, asked synchronously and not."""
    common = {"http": httpx, "fixed": fixed, **surface}
    return [
        Way(name, make, is_asynchronous=False, broken="RemoteProtocolError", **common),
        Way(
            f"{name}, asynchronous",
            make,
            is_asynchronous=True,
            broken="ReadError",
            transport="async_http_client",
            **common,
        ),
    ]


CHATS = [
    *ways("azure", AzureOpenAI, AZURE, engine="gpt-4o", model="gpt-4o", **PREVIEW),
    *ways("v1", OpenAI, V1, model="gpt-4o"),
]
EMBEDDINGS = ways("azure embeddings", AzureOpenAIEmbedding, AZURE, azure_deployment="text-embedding-3-small", **PREVIEW)


def operations(way):
    """Its verbs have an `a` before them where they are asynchronous."""

    def do(model, verb, *told):
        return getattr(model, f"a{verb}" if way.is_asynchronous else verb)(*told)

    async def chat(model):
        return (await settled(do(model, "chat", MESSAGES))).message.content

    async def stream(model):
        return "".join([chunk.delta or "" async for chunk in each(do(model, "stream_chat", MESSAGES))])

    async def held_up(model):
        azure_answers("stall-mid-body")
        return [chunk.delta for chunk in await first(do(model, "stream_chat", MESSAGES), 2)]

    async def cut(model):
        azure_answers("cut")
        return await stream(model)

    async def complete(model):
        return (await settled(do(model, "complete", "Grüße"))).text

    async def text(model):
        verb = "aget_text_embedding_batch" if way.is_asynchronous else "get_text_embedding_batch"
        return await settled(getattr(model, verb)(["one", "zwei ✓"]))

    async def query(model):
        verb = "aget_query_embedding" if way.is_asynchronous else "get_query_embedding"
        return await settled(getattr(model, verb)("one"))

    return chat, stream, held_up, cut, complete, text, query


for way in CHATS:
    chat, stream, held_up, cut, complete, _, _ = operations(way)
    way.case("chat", chat, requests=1)
    way.case("complete", complete, requests=1)
    way.case("stream", stream, requests=1)
    way.case("stream, held up midway: what came so far is there", held_up, requests=1)
    way.case("stream, cut midway", cut, refused=way.broken, requests=1)
    openai_refusals.keys(way, {"chat": chat, "stream": stream, "complete": complete}, few=["chat"])
    if not way.is_asynchronous:
        openai_refusals.rows(way, chat, faults={"max_retries": 0})
for way in EMBEDDINGS:
    *_, text, query = operations(way)
    way.case("embeddings", text, requests=1)
    way.case("query", query, requests=1)
    openai_refusals.keys(way, {"embeddings": text, "query": query}, few=["query"])
chat, *_ = operations(CHATS[0])
openai_refusals.waits(CHATS[0], chat)
openai_refusals.dead(CHATS[0], chat, tries=12)
run(describe)
