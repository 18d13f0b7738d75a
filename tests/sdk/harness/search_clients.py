"""The clients of Python's azure-search-documents, synchronous and not, whose requests are counted.

What is done with them is written once for both (`either.py`).
"""

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import azure.search.documents as documents
import azure.search.documents.aio as documents_aio
import azure.search.documents.indexes as indexes
import azure.search.documents.indexes.aio as indexes_aio
from azure.core.credentials import AzureKeyCredential
from azure.core.pipeline.policies import SansIOHTTPPolicy
from recorder import case, door, request_sent

ADMIN, QUERY = door.search_admin_key, door.search_query_key


class CountEachTry(SansIOHTTPPolicy):
    """Stands behind the SDK's retry policy, so that it sees what is really sent."""

    def on_request(self, request):
        request_sent()


@dataclass(frozen=True)
class Way:
    """One kind of clients, whose cases begin with its name."""

    name: str
    is_asynchronous: bool

    @property
    def index(self):
        return f"sdk-{door.run}-{'a' if self.is_asynchronous else 's'}"

    def documents(self, key=QUERY, index=None, at=door.search, **options):
        package = documents_aio if self.is_asynchronous else documents
        return self._open(package.SearchClient, at, index or self.index, key=key, **options)

    def sender(self, key=ADMIN, **options):
        """The one that gathers documents and sends them later."""
        package = documents_aio if self.is_asynchronous else documents
        return self._open(package.SearchIndexingBufferedSender, door.search, self.index, key=key, **options)

    def indexes(self, key=ADMIN, **options):
        package = indexes_aio if self.is_asynchronous else indexes
        return self._open(package.SearchIndexClient, door.search, key=key, **options)

    def indexers(self, key=ADMIN, **options):
        package = indexes_aio if self.is_asynchronous else indexes
        return self._open(package.SearchIndexerClient, door.search, key=key, **options)

    def knowledge(self, name, key=ADMIN):
        from azure.search.documents import knowledgebases
        from azure.search.documents.knowledgebases import aio

        package = aio if self.is_asynchronous else knowledgebases
        return self._open(package.KnowledgeBaseRetrievalClient, door.search, knowledge_base_name=name, key=key)

    @asynccontextmanager
    async def _open(self, make, *place, key, policies=(), **options):
        client = make(
            *place, credential=AzureKeyCredential(key), per_retry_policies=[*policies, CountEachTry()], **options
        )
        if self.is_asynchronous:
            async with client:
                yield client
        else:
            with client if hasattr(client, "__enter__") else contextmanager(iter)([client]):
                yield client

    def case(self, name, operation, **expected):
        """Registers as a case what is done with this kind of clients."""

        @case(f"{self.name}: {name}", **expected)
        async def _():
            return await operation(self)


WAYS = [Way("search", False), Way("search, asynchronous", True)]


def shown(value):
    """What the service decides of an object: not its tag, which is new each time, nor times."""
    if hasattr(value, "as_dict"):
        value = value.as_dict()
    if isinstance(value, list):
        return [shown(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    new = ("e_tag", "@odata.etag", "start_time", "end_time", "startTime", "endTime")
    return {name: shown(value[name]) for name in sorted(value) if name not in new}


def describe(error):
    """What an application can see of an exception of this SDK."""
    detail = getattr(error, "error", None)
    return {
        "status": getattr(error, "status_code", None),
        "reason": getattr(error, "reason", None),
        "code": getattr(detail, "code", None),
        "message": str(error),
    }
