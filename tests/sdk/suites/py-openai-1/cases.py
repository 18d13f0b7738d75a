"""openai 1.51.0: AzureOpenAI, which sends the key twice (`api-key` and `Authorization`), and the plain
OpenAI client on /openai/v1, which has it in `Authorization` alone. What both can do is done with both.
"""

import httpx
import openai
import openai_inference
import openai_refusals
from openai_clients import describe, ways
from recorder import run

for way in ways(openai, httpx, api_version="2024-06-01"):
    openai_inference.inference(way)
    if way.is_asynchronous:
        openai_refusals.keys(way, {"chat": openai_inference.chat})
    else:
        openai_refusals.keys(way, openai_inference.OPERATIONS)
        openai_refusals.rows(way)
    if way.name == "azure":
        openai_refusals.repeats(way)

run(describe)
