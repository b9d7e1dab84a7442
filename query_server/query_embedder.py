"""Query embeddings for concurrent calls: cached, computed once for equal queries, batched when the model is busy."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from query_server.metrics import Metrics
from rag_core.embedding.base import Embedder, Vectors


@dataclass(slots=True)
class _Pending:
    """One query on its way; the result goes to everyone who asked for the same text meanwhile."""

    text: str
    result: asyncio.Future[Vectors]
    waiters: int = field(default=0)


class QueryEmbedder:
    """Embeds single queries of one embedder. For one event loop.

    An idle model starts at once, so a lone query never waits for company; queries that arrive while all `workers` are
    busy leave together, `batch` at most. The cache is keyed by text alone: it belongs to one embedder, and a vector
    depends on nothing else (no tenant, no filter).
    """

    def __init__(self, embedder: Embedder, *, workers: int, batch: int, cache_entries: int, metrics: Metrics) -> None:
        self._embedder = embedder
        self._batch = batch
        self._capacity = cache_entries
        self._metrics = metrics
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._pending: dict[str, _Pending] = {}
        self._queue: list[_Pending] = []
        self._workers = workers
        self._running: set[asyncio.Task[None]] = set()
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="embed-query")

    async def embed(self, text: str) -> Vectors:
        """The vector of a query, shape [dimensions]. Raises what the embedder raises."""
        cached = self._cache.get(text)
        if cached is not None:
            self._cache.move_to_end(text)
            self._metrics.embed_lookups.labels("hit").inc()
            return cached
        pending = self._join(text)
        try:
            # Shielded: one caller that leaves must not take the vector from the others.
            return await asyncio.shield(pending.result)
        finally:
            pending.waiters -= 1

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of a few passages, shape [n, dimensions], made behind the queries that wait. Raises as `embed`."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._embedder.embed_passages, texts)

    def _join(self, text: str) -> _Pending:
        pending = self._pending.get(text)
        self._metrics.embed_lookups.labels("shared" if pending else "miss").inc()
        if pending is None:
            pending = _Pending(text, asyncio.get_running_loop().create_future())
            self._pending[text] = pending
            self._queue.append(pending)
        pending.waiters += 1
        if len(self._running) < self._workers and self._queue:
            runner = asyncio.create_task(self._run())
            self._running.add(runner)
            runner.add_done_callback(self._running.discard)
        return pending

    async def _run(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[: self._batch], self._queue[self._batch :]
            await self._embed_batch([pending for pending in batch if self._wanted(pending)])

    def _wanted(self, pending: _Pending) -> bool:
        if pending.waiters:
            return True
        del self._pending[pending.text]
        pending.result.cancel()
        return False

    async def _embed_batch(self, batch: Sequence[_Pending]) -> None:
        if not batch:
            return
        texts = [pending.text for pending in batch]
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            vectors = await loop.run_in_executor(self._executor, self._embedder.embed_queries, texts)
        except BaseException as error:
            self._fail(batch, error)
            if not isinstance(error, Exception):
                raise
            return
        self._metrics.embed_seconds.observe(time.monotonic() - started)
        self._metrics.embed_batch.observe(len(batch))
        for pending, vector in zip(batch, vectors, strict=True):
            self._finish(pending, vector.copy())  # a view would keep the whole batch alive

    def _finish(self, pending: _Pending, vector: Vectors) -> None:
        del self._pending[pending.text]
        pending.result.set_result(vector)
        if self._capacity:
            self._cache[pending.text] = vector
            if len(self._cache) > self._capacity:
                self._cache.popitem(last=False)

    def _fail(self, batch: Sequence[_Pending], error: BaseException) -> None:
        for pending in batch:
            del self._pending[pending.text]
            if isinstance(error, Exception):
                pending.result.set_exception(error)
                pending.result.exception()  # everyone who waited may have left; that is no unhandled error
            else:
                pending.result.cancel()

    async def close(self) -> None:
        """Stop; callers that still wait are cancelled."""
        for pending in self._queue:
            pending.result.cancel()
        self._queue.clear()
        running = list(self._running)
        for runner in running:
            runner.cancel()
        if running:
            await asyncio.wait(running)
        self._executor.shutdown(wait=True, cancel_futures=True)
