"""Counts what a Firestore client asks of the server: calls, and the documents that Google would bill for."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.cloud import firestore

COUNTED = (
    "batch_get_documents",
    "batch_write",
    "begin_transaction",
    "commit",
    "get_document",
    "list_documents",
    "rollback",
    "run_aggregation_query",
    "run_query",
)
"""Every call of the client library that our store, or the library on our behalf, could make."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What some work cost. A read or a write is one document; one that turns out absent is billed as well."""

    rpcs: float = 0
    reads: float = 0
    writes: float = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.rpcs + other.rpcs, self.reads + other.reads, self.writes + other.writes)

    def per(self, times: int) -> "Cost":
        """The same for one of `times`."""
        return Cost(self.rpcs / times, self.reads / times, self.writes / times)


class RpcCounter:
    """Counts from now on, at the generated client that all of the library's calls go through."""

    def __init__(self, client: firestore.AsyncClient) -> None:
        self._cost = Cost()
        api = client._firestore_api
        for name in COUNTED:
            setattr(api, name, self._counted(getattr(api, name)))
        api.run_query = self._counted_query(api.run_query)
        # The ledger's commits go past the generated client, and ask its channel for a method each time.
        channel = api.transport.grpc_channel
        channel.unary_unary = self._counted_methods(channel.unary_unary)

    def take(self) -> Cost:
        """What was counted since the last time; the count starts again."""
        cost, self._cost = self._cost, Cost()
        return cost

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(request: Any, **rest: Any) -> Any:
            self._cost += Cost(1, reads=_length(request, "documents"), writes=_length(request, "writes"))
            return call(request=request, **rest)

        return counted

    def _counted_methods(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(name: str, *, request_serializer: Callable[[Any], bytes], **rest: Any) -> Any:
            def serialize(request: Any) -> bytes:
                self._cost += Cost(1, reads=_length(request, "documents"), writes=_length(request, "writes"))
                return request_serializer(request)

            return method(name, request_serializer=serialize, **rest)

        return counted

    def _counted_query(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(request: Any, **rest: Any) -> AsyncIterator[Any]:
            return self._counted_rows(await call(request=request, **rest))

        return counted

    async def _counted_rows(self, rows: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Each document of an answer is a read, and an answer without one is a read too."""
        found = 0
        async for row in rows:
            if row.document.name:
                found += 1
            yield row
        self._cost += Cost(reads=max(1, found))


def _length(request: Any, name: str) -> int:
    """How many `name` a request has, which may be a dictionary or a message."""
    items = request.get(name, ()) if isinstance(request, dict) else getattr(request, name, ())
    return len(items)
