"""openai 1.51.0: AzureOpenAI, which sends the key twice (`api-key` and `Authorization`), and the plain
OpenAI client on /openai/v1, which has it in `Authorization` alone. What both can do is done with both.
"""

import httpx
import openai
from openai_suite import run_all

run_all(openai, httpx, api_version="2024-06-01", misplaced=["image edit"])
