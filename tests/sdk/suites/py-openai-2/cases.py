"""openai 2.54.0: AzureOpenAI, with `api-key` alone, and the plain client on /openai/v1, with `Authorization`."""

import httpx
import openai
from openai_suite import run_all

run_all(openai, httpx, api_version="2025-04-01-preview")
