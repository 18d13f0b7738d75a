"""openai 3.54.0, whose transport is httpx2, and which calls a stream that breaks off an exception of its own."""

import httpx2
import openai
from openai_suite import run_all

run_all(openai, httpx2, api_version="2025-04-01-preview", broken="APIConnectionError")
