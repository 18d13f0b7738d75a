"""openai 3.54.0 over realtime: AzureOpenAI on the surface of the preview, and the plain client on /openai/v1."""

from openai import AsyncAzureOpenAI, AsyncOpenAI
from realtime import describe_realtime, over_realtime
from recorder import door, run


def azure(key, model):
    client = AsyncAzureOpenAI(azure_endpoint=door.openai, api_version="2024-10-01-preview", api_key=key)
    return client.realtime.connect(model=model)


def v1(key, model):
    return AsyncOpenAI(base_url=door.openai + "/openai/v1/", api_key=key).realtime.connect(model=model)


over_realtime("azure", azure)
over_realtime("v1", v1)
run(describe_realtime)
