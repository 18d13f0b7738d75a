"""The clients of Python's openai 1 and newer: AzureOpenAI, and the plain OpenAI on /openai/v1, each synchronous and
not. What is done with them is written once for all four (`either.py`).
"""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from recorder import case, door, request_sent


@dataclass(frozen=True)
class Way:
    """One way to be a client, whose cases begin with its name."""

    name: str
    make: Any  # the SDK's class
    http: Any  # the module that has its transports: httpx, or httpx2
    is_asynchronous: bool
    base: str  # what the class calls its endpoint
    path: str  # what stands after the host
    broken: str  # the class of the exception of a stream that breaks off
    fixed: dict = field(default_factory=dict)
    transport: str = "http_client"  # what the class calls it
    errors: dict = field(default_factory=dict)  # what it calls the SDK's exceptions, where it has classes of its own

    @property
    def is_azure(self):
        return self.base == "azure_endpoint"

    @asynccontextmanager
    async def open(self, key=door.openai_key, at=door.openai, **changes):
        """The SDK's own client, whose requests are counted, also those that it repeats by itself."""
        told = self.fixed | {self.base: at + self.path, "api_key": key} | changes
        if self.is_asynchronous:
            async with self.http.AsyncClient(event_hooks={"request": [_sent]}) as transport:
                yield self.make(**told, **{self.transport: transport})
        else:
            with self.http.Client(event_hooks={"request": [request_sent]}) as transport:
                yield self.make(**told, **{self.transport: transport})

    def case(self, name, operation, key=door.openai_key, at=door.openai, client=None, **expected):
        """Registers one operation as a case; `client` is what the client is told besides."""
        refused = expected.get("refused")
        expected["refused"] = self.errors.get(refused, refused)

        @case(f"{self.name}: {name}", **expected)
        async def _():
            async with self.open(key, at, **(client or {})) as opened:
                return await operation(opened)


def ways(openai, http, api_version, broken=None):
    """All four. `broken` is the class of the exception of a stream that breaks off, if the SDK has its own."""
    sync, asynchronous = (broken or "RemoteProtocolError", broken or "ReadError")
    azure = {"base": "azure_endpoint", "path": "", "fixed": {"api_version": api_version}}
    v1 = {"base": "base_url", "path": "/openai/v1/"}
    return [
        Way("azure", openai.AzureOpenAI, http, False, broken=sync, **azure),
        Way("v1", openai.OpenAI, http, False, broken=sync, **v1),
        Way("azure, asynchronous", openai.AsyncAzureOpenAI, http, True, broken=asynchronous, **azure),
        Way("v1, asynchronous", openai.AsyncOpenAI, http, True, broken=asynchronous, **v1),
    ]


async def _sent(_):
    request_sent()


def describe(error):
    """What an application can see of an exception of these SDKs."""
    return {
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "type": getattr(error, "type", None),
        "param": getattr(error, "param", None),
        "message": getattr(error, "message", str(error)),
        "body": getattr(error, "body", None),
    }
