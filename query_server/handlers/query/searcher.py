"""Execution of searches: in a thread of this process, or in the process that owns the Edge folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

import grpc
import grpc.aio

from query_server.runtime.blocking import BlockingPool
from query_server.runtime.breaker import Breaker
from query_server.runtime.calls import current_call
from query_server.runtime.metrics import Metrics
from query_server.runtime.status import REQUEST_ID_KEY
from rag_core.errors import DataCorruption, DeadlineExceeded, Reason, Unavailable
from rag_core.retrieval.engines.remote import MAX_RESPONSE_BYTES, from_status, wire
from rag_core.retrieval.index import ChunkRange, IndexPoint, SearchRequest, SearchResult, VectorIndex
from rag_tracing import CLIENT, Span, content, exemplar, openinference, outgoing, recording, span
from ragproto.admin.v1 import index_pb2_grpc

_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    ("grpc.enable_http_proxy", 0),
    # A process that restarts must be found again at once, not after gRPC's minutes of backoff.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
]
SILENT_CALLS = 4
"""Searches without an answer, one after the other, that open the breaker."""
_ATTEMPTS = 2
"""A search only reads: when its connection breaks it is sent once more."""


class Searcher(Protocol):
    """Runs searches; cancelling the caller's task gives the search up."""

    async def search(self, request: SearchRequest) -> SearchResult:
        """Raises what `VectorIndex.search` raises; `Unavailable` (`INDEX_UNAVAILABLE`) while the breaker is open."""
        ...

    async def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        """As `VectorIndex.around`. Raises as `search` does."""
        ...

    async def close(self) -> None: ...


class LocalSearcher:
    """An index that is called in this process: a Qdrant server's client, or Edge without a process of its own."""

    def __init__(self, index: VectorIndex, pool: BlockingPool, metrics: Metrics) -> None:
        self._index = index
        self._pool = pool
        self._seconds = metrics.search_seconds

    async def search(self, request: SearchRequest) -> SearchResult:
        started = time.monotonic()
        timed = replace(request, deadline=current_call().deadline)
        with _searching(request) as block:
            result = await self._pool.run(self._index.search, timed)
            _found(block, result)
        self._seconds.observe(time.monotonic() - started, exemplar())
        return result

    async def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        return await self._pool.run(self._index.around, replace(request, deadline=current_call().deadline), places)

    async def close(self) -> None:
        return


class RemoteSearcher:
    """`admin.v1.IndexService` of the process that owns the folder.

    The engine holds the interpreter lock of that process, never of this one: a search that hangs there leaves our
    deadlines, health checks and refusals working. Cancellation and deadline travel with the call, so a search that is
    still queued there is never run after its caller left. Create it inside the event loop that uses it.
    """

    def __init__(self, endpoint: str, secret: str, metrics: Metrics) -> None:
        self._channel = grpc.aio.insecure_channel(endpoint, options=_OPTIONS)
        self._stub: Any = index_pb2_grpc.IndexServiceStub(self._channel)
        self._metadata = ((wire.SECRET_KEY, secret),)
        self._seconds = metrics.search_seconds
        self._breaker = Breaker(SILENT_CALLS, gauge=metrics.stuck_calls)

    async def search(self, request: SearchRequest) -> SearchResult:
        started = time.monotonic()
        with _searching(request) as block:
            with self._breaker.call():
                response = await self._ask(self._stub.SearchIndex, wire.search_to_wire(request))
            result = wire.result_from_wire(response)
            _found(block, result)
        self._seconds.observe(time.monotonic() - started, exemplar())
        return result

    async def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        with self._breaker.call():
            response = await self._ask(self._stub.AroundPoints, wire.around_to_wire(request, places))
        return list(map(wire.point_from_wire, response.points))

    async def _ask(self, method: Callable[..., Any], message: object) -> Any:
        call = current_call()
        for attempt in range(_ATTEMPTS):
            try:
                # A process that is being restarted is waited for, as long as the caller has time.
                response = await method(
                    message,
                    metadata=(*self._metadata, (REQUEST_ID_KEY, call.request_id), *outgoing()),
                    timeout=call.remaining(),
                    wait_for_ready=True,
                )
            except grpc.aio.AioRpcError as error:
                known = from_status(error)
                lost = error.code() is grpc.StatusCode.UNAVAILABLE and known.reason is Reason.INDEX_UNAVAILABLE
                if lost and attempt + 1 < _ATTEMPTS:
                    continue
                raise known from error
            else:
                return response
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index service cannot be reached")

    async def close(self) -> None:
        await self._channel.close(None)


def _searching(request: SearchRequest) -> Span:
    known = {"db.system.name": "qdrant", "db.operation.name": "search", "rag.mode": request.mode.value}
    text = {"gen_ai.retrieval.query.text": request.text, **openinference.question(request.text)} if content() else {}
    return span("search", known | openinference.RETRIEVER | text, CLIENT)


def _found(block: Span, result: SearchResult) -> None:
    block.set({"db.collection.name": result.generation, "db.response.returned_rows": len(result.hits)})
    if recording():
        block.set(openinference.documents((hit.chunk_id, hit.score) for hit in result.hits))


class TimedSearcher:
    """A searcher that waits for the index no longer than `seconds`, whatever time the caller has.

    The gateway gives a call without a deadline its own limit, so a call does not show whether its caller named one.
    """

    def __init__(self, searcher: Searcher, seconds: float) -> None:
        self._searcher = searcher
        self._seconds = seconds

    async def search(self, request: SearchRequest) -> SearchResult:
        """See `Searcher.search`. Raises `DeadlineExceeded` (`DEADLINE`) too."""
        async with self._within():
            return await self._searcher.search(request)

    async def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        """See `Searcher.around`. Raises `DeadlineExceeded` (`DEADLINE`) too."""
        async with self._within():
            return await self._searcher.around(request, places)

    @asynccontextmanager
    async def _within(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._seconds) as timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            message = f"the index did not answer within {self._seconds:g} seconds; retry later"
            raise DeadlineExceeded(Reason.DEADLINE, message) from None

    async def close(self) -> None:
        await self._searcher.close()


# --------------------------------------------------------------------------------------------------------------------
# Damage of the index that only a search detects: for a while afterwards this server is not ready.


REMEMBERED_SECONDS = 30.0
"""Time without readiness after damage: a later search that succeeds may not have touched the damaged place."""


class DamageDetector:
    """A searcher that records when it last detected damage. `rag index rebuild` repairs it."""

    def __init__(self, searcher: Searcher, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._searcher = searcher
        self._clock = clock
        self._damaged_at = float("-inf")

    @property
    def sound(self) -> bool:
        """True when no damage was met lately."""
        return self._clock() - self._damaged_at >= REMEMBERED_SECONDS

    async def search(self, request: SearchRequest) -> SearchResult:
        """See `Searcher.search`."""
        try:
            return await self._searcher.search(request)
        except DataCorruption:
            self._damaged_at = self._clock()
            raise

    async def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        """See `Searcher.around`."""
        return await self._searcher.around(request, places)

    async def close(self) -> None:
        await self._searcher.close()
