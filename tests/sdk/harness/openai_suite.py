"""A whole suite of Python's openai 1 and newer. Versions differ in what they have, which is looked up, and in how they
send it, which is what the suites are for."""

import openai_inference
import openai_refusals
import openai_stored
import openai_talks
from openai_clients import describe, ways
from openai_inference import chat
from recorder import door, run


def run_all(openai, http, api_version, broken=None, misplaced=()):
    """`http` is the module of the SDK's transports; `broken` as in `ways`, `misplaced` as in `inference`."""
    for way in ways(openai, http, api_version, broken):
        openai_inference.inference(way, misplaced)
        openai_stored.stored(way)
        openai_talks.talks(way)
        if way.is_asynchronous:
            openai_refusals.keys(way, {"chat": chat}, few=["chat"])
        else:
            stories = openai_stored.OPERATIONS | openai_talks.operations(way)
            openai_refusals.keys(way, openai_inference.OPERATIONS | stories)
            openai_refusals.rows(way, chat)
            openai_refusals.unknown_deployments(way)
            openai_refusals.credentials(way, omit=openai._types.Omit())
        if way.name == "azure":
            openai_refusals.waits(way, chat)
            openai_refusals.dead(way, chat)
            openai_refusals.losses(way, chat)
    if hasattr(openai.OpenAI, "realtime"):
        realtime(openai)
    else:
        run(describe)


def realtime(openai):
    """AzureOpenAI has it on the surface of the preview."""
    from realtime import describe_realtime, over_realtime
    from websockets.exceptions import WebSocketException

    def azure(key, model):
        preview = {"azure_endpoint": door.openai, "api_version": "2024-10-01-preview"}
        return openai.AsyncAzureOpenAI(**preview, api_key=key).realtime.connect(model=model)

    def v1(key, model):
        return openai.AsyncOpenAI(base_url=door.openai + "/openai/v1/", api_key=key).realtime.connect(model=model)

    over_realtime("azure, realtime", azure)
    over_realtime("v1, realtime", v1)
    run(lambda error: (describe_realtime if isinstance(error, WebSocketException) else describe)(error))
