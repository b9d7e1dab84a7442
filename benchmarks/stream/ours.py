"""The stream worker in a process of its own with its index, as in production, driven through a stream."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.stream.feeds import TENANT, Feed
from benchmarks.stream_texts import document
from query_server.auth.revocations import PendingRevocationCache
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from query_server.runtime.polling import RevocationListener
from rag_assets.stream_worker.worker import Worker
from rag_core.content.documents import In
from rag_core.database import Store
from rag_core.errors import Reason, Unavailable
from rag_core.governance.access import EVERYONE
from rag_core.retrieval.index import NO_PENDING_REVOCATIONS, PendingRevocations, SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings

POLL_SECONDS = 0.002
LIMIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each document, in order, and the rate of a burst in messages per second."""

    searchable: list[float]
    gone: list[float]
    burst_rate: float


def measure(settings: Settings, feed: Feed, documents: int, burst: int) -> Measured:
    """Push and delete one document after the other, then `burst` at once."""
    worker = Worker(settings)
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    try:
        if not worker.ready.wait(LIMIT_SECONDS) or worker.pipeline is None:
            raise Unavailable(Reason.START_FAILED, "the stream worker did not start")
        with _revocations(worker.pipeline.store) as revocations:
            return _Run(worker.pipeline.index, feed, revocations).measure(documents, burst)
    finally:
        worker.stop()
        thread.join(LIMIT_SECONDS)
        feed.close()


@contextmanager
def _revocations(store: Store) -> Iterator[PendingRevocationCache]:
    """What a query server leaves out of every search, kept as it keeps it: in an event loop of its own."""
    lazy, started = LazyStore(lambda: store), threading.Event()
    loop, cache = asyncio.new_event_loop(), PendingRevocationCache(lazy, Metrics(), max_age=0)

    async def keep() -> None:
        await asyncio.gather(cache.poller.refresh(), cache.deletions.refresh())
        started.set()
        listener = RevocationListener(lazy, 5, cache.poller, cache.deletions)
        await asyncio.gather(cache.poller.run(), cache.deletions.run(), listener.run())

    task = loop.create_task(keep())
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])), name="revocations")
    thread.start()
    started.wait(LIMIT_SECONDS)
    try:
        yield cache
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(LIMIT_SECONDS)
        loop.close()


class _Run:
    def __init__(self, index: VectorIndex, feed: Feed, revocations: PendingRevocationCache) -> None:
        self._index, self._feed, self._revocations = index, feed, revocations

    def measure(self, documents: int, burst: int) -> Measured:
        searchable, gone = [], []
        for number in range(-3, documents):  # the first few warm up
            began = time.perf_counter()
            doc_id = self._feed.push(number, document(number))
            self._until(lambda doc_id=doc_id: self._found(doc_id))  # type: ignore[misc]
            middle = time.perf_counter()
            self._feed.push(number, None)
            self._until(lambda doc_id=doc_id: not self._found(doc_id))  # type: ignore[misc]
            if number >= 0:
                searchable.append(middle - began)
                gone.append(time.perf_counter() - middle)
            # Hidden is not applied: the next document is to find a worker that has nothing else to do.
            self._until(lambda doc_id=doc_id: not self._found(doc_id, NO_PENDING_REVOCATIONS))  # type: ignore[misc]
        return Measured(searchable, gone, self._burst(documents, burst))

    def _burst(self, first: int, count: int) -> float:
        began = time.perf_counter()
        for number in range(first, first + count):
            self._feed.push(number, document(number))
        generation = self._index.alias() or ""
        self._until(lambda: self._index.count(generation, tenant=TENANT) >= count)
        return count / (time.perf_counter() - began)

    def _found(self, doc_id: str, revoked: PendingRevocations | None = None) -> bool:
        if revoked is None:
            revoked = self._revocations.of_caller(TENANT, (EVERYONE,))
        request = SearchRequest(
            TENANT,
            (EVERYONE,),
            limit=1,
            mode=SearchMode.LEXICAL,
            text="report works",
            filter=In("doc_id", (doc_id,)),
            pending_revocations=revoked,
        )
        return bool(self._index.search(request).hits)

    def _until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_SECONDS
        while not reached():
            if time.monotonic() > deadline:
                raise Unavailable(Reason.DEADLINE, f"not reached within {LIMIT_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
