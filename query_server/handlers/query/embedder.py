"""Query embeddings for concurrent calls: cached, computed once for equal queries, batched when the model is busy."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TypeVar, cast

from query_server.runtime.metrics import Metrics
from rag_core.answering import TokenMatches, match_tokens
from rag_core.content.embedding import Embedder, TokenEmbedder, TokenStates, Vectors, texts_per_run
from rag_core.errors import Reason, Unavailable
from rag_core.http_client import OWN_TEXT, EgressPolicy, Provenance, Use, forbidden, sending
from rag_core.ids import text_hash
from rag_core.platform import usable_cores
from rag_core.settings import Settings
from rag_tracing import carried, openinference, span

COMPANY = 4
"""Queries for which one more run of the model begins beside others: alone each costs half as much again as in a run of
four, which the other parts of a search need of the same cores."""
REMOTE_BATCHES = 4
"""Embedding requests in flight at once towards an endpoint."""
Result = TypeVar("Result")
Key = tuple[str, str]
"""Tenant and text."""
PolicyOf = Callable[[str], EgressPolicy]
"""The egress policy of a tenant."""


def _nothing(_: str) -> EgressPolicy:
    return EgressPolicy(frozenset())


@dataclass(frozen=True, slots=True)
class StateLimits:
    """Limits of the passages, in number and bytes, that are kept as states of tokens."""

    entries: int = 0
    bytes: int = 0


class StateCache:
    """States of the tokens of passages by tenant and hash of the text; what was not used for longest goes first."""

    def __init__(self, limits: StateLimits) -> None:
        self._limits = limits
        self._kept: OrderedDict[tuple[str, bytes], TokenStates] = OrderedDict()
        self._size = 0

    def find(self, key: tuple[str, bytes]) -> TokenStates | None:
        """The states of a passage; it counts as used."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def add(self, key: tuple[str, bytes], states: TokenStates) -> None:
        """Keep the states of a passage, and drop others until the limits hold."""
        before = self._kept.pop(key, None)
        self._kept[key] = states
        self._size += states.nbytes - (before.nbytes if before is not None else 0)
        while self._kept and (len(self._kept) > self._limits.entries or self._size > self._limits.bytes):
            self._size -= self._kept.popitem(last=False)[1].nbytes


@dataclass(slots=True)
class _Pending:
    """One query in progress; the result goes to every call of the tenant with the same text."""

    key: Key
    result: asyncio.Future[Vectors]
    waiters: int = field(default=0)


class QueryEmbedder:
    """Embeds single queries of one embedder. For one event loop.

    An idle model starts at once, so a lone query never waits for company; queries that arrive while half of the
    `workers` run leave together, `batch` at most, once a run ends or they are `COMPANY` and a worker is free. A vector
    depends on the text alone, but what is remembered of one tenant is never used for another: the time of an answer
    would say what others ask.
    """

    def __init__(
        self, embedder: Embedder, *, workers: int, batch: int, cache_entries: int, metrics: Metrics,
        states: StateLimits = StateLimits(), policy: PolicyOf = _nothing,
    ) -> None:  # fmt: skip
        """`policy` is the egress policy of a tenant, which counts where the embedder is remote."""
        self._embedder = embedder
        self._batch = batch
        self._company = 1 if embedder.remote else min(batch, COMPANY)
        self._capacity = cache_entries
        self._states = StateCache(states)
        self._policy = policy
        self._metrics = metrics
        self._lookups = cache(metrics.embed_lookups.labels)
        self._cache: OrderedDict[Key, Vectors] = OrderedDict()
        self._pending: dict[Key, _Pending] = {}
        self._queue: list[_Pending] = []
        self._workers = workers
        self._running: set[asyncio.Task[None]] = set()
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="embed-query")
        self._one_answer = asyncio.Lock()
        self._of_answers = ThreadPoolExecutor(1, thread_name_prefix="embed-answer")
        self._closed = False
        self._named = {
            **openinference.embedding(embedder.fingerprint),
            "gen_ai.request.model": embedder.fingerprint,
            "gen_ai.embeddings.dimension.count": embedder.dimensions,
        }

    @property
    def dimensions(self) -> int:
        """Length of its vectors."""
        return self._embedder.dimensions

    async def embed(self, tenant: str, text: str) -> Vectors:
        """The vector of a tenant's query, shape [dimensions].

        Raises what the embedder raises, `PermissionDenied` (`EGRESS_FORBIDDEN`) when it may not go there, and
        `Unavailable` (`EMBEDDER_UNAVAILABLE`) once this is closed.
        """
        if self._embedder.remote and not self._policy(tenant).allows(Use.EMBED):
            raise forbidden(Use.EMBED)  # before it joins queries that may
        key = (tenant, text)
        cached = self._cache.get(key)
        if cached is not None:
            self._cache.move_to_end(key)
            self._lookups("hit").inc()
            return cached
        self._require_open()
        with span("embeddings", {"gen_ai.operation.name": "embeddings", **self._named}):
            pending = self._join(key)
            try:
                # Shielded: one caller that leaves must not take the vector from the others.
                return await asyncio.shield(pending.result)
            finally:
                pending.waiters -= 1

    async def probe(self) -> None:
        """Embed a text of our own. Raises as `embed`."""
        await self._of_answer(partial(_sent, OWN_TEXT, self._embedder.embed_passages, ["ready"]))

    @property
    def compares_tokens(self) -> bool:
        """Return whether the model gives the states of tokens, which a model behind an endpoint does not."""
        return isinstance(self._embedder, TokenEmbedder)

    async def compare(self, tenant: str, question: str, passages: Sequence[str]) -> list[TokenMatches]:
        """Compare a question with passages token by token. The same passages come again with questions about the same
        thing: their states are kept, by tenant and hash of the text.

        Raises as `embed`. Only for a model that `compares_tokens`.
        """
        model = self._embedder
        if not isinstance(model, TokenEmbedder):
            raise TypeError("the model gives no states of tokens")
        keys = [(tenant, text_hash(text)) for text in passages]
        async with self._one_answer:  # the answer before may have made the states of the same passages
            known = {key: found for key in keys if (found := self._states.find(key)) is not None}
            new = {key: text for key, text in zip(keys, passages, strict=True) if key not in known}
            asked, *made = await self._of_answer(partial(model.token_states, [question], list(new.values())))
            for key, states in zip(new, made, strict=True):
                known[key] = states
                self._states.add(key, states)
        return [match_tokens(asked, known[key]) for key in keys]

    async def _of_answer(self, work: Callable[[], Result]) -> Result:
        """Call the model in a thread that no query waits for."""
        self._require_open()
        with span("embeddings", {"gen_ai.operation.name": "embeddings", **self._named}):
            return await asyncio.get_running_loop().run_in_executor(self._of_answers, carried(work))

    def _require_open(self) -> None:
        if self._closed:
            raise _closed()

    def _join(self, key: Key) -> _Pending:
        pending = self._pending.get(key)
        self._lookups("shared" if pending else "miss").inc()
        if pending is None:
            pending = _Pending(key, asyncio.get_running_loop().create_future())
            self._pending[key] = pending
            self._queue.append(pending)
        pending.waiters += 1
        # Half of the cores take single queries: the other half has the rest of their searches.
        needed = self._company if len(self._running) >= max(1, self._workers // 2) else 1
        if len(self._running) < self._workers and len(self._queue) >= needed:
            self._running.add(asyncio.create_task(self._run()))
        return pending

    async def _run(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[: self._batch], self._queue[self._batch :]
                await self._embed_batch([pending for pending in batch if self._wanted(pending)])
        finally:  # not in a callback: what joins the queue before it ran would wait for a run that has ended
            self._running.remove(cast(asyncio.Task[None], asyncio.current_task()))

    def _wanted(self, pending: _Pending) -> bool:
        if pending.waiters:
            return True
        del self._pending[pending.key]
        pending.result.cancel()
        return False

    async def _embed_batch(self, batch: Sequence[_Pending]) -> None:
        if not batch:
            return
        texts = [pending.key[1] for pending in batch]
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            work = partial(_sent, self._whose(batch), self._embedder.embed_queries, texts)
            vectors = await loop.run_in_executor(self._executor, carried(work))
        except asyncio.CancelledError:  # closed meanwhile
            self._fail(batch, _closed())
            raise
        except Exception as error:
            self._fail(batch, error)
            return
        self._metrics.embed_seconds.observe(time.monotonic() - started)
        self._metrics.embed_batch.observe(len(batch))
        for pending, vector in zip(batch, vectors, strict=True):
            self._finish(pending, vector.copy())  # a view would keep the whole batch alive

    def _whose(self, batch: Sequence[_Pending]) -> Provenance:
        """The queries of a batch are of several tenants: what each of them allows."""
        policies = [self._policy(pending.key[0]) for pending in batch]
        return Provenance(EgressPolicy(frozenset.intersection(*(policy.allowed for policy in policies))))

    def _finish(self, pending: _Pending, vector: Vectors) -> None:
        del self._pending[pending.key]
        pending.result.set_result(vector)
        if self._capacity:
            self._cache[pending.key] = vector
            if len(self._cache) > self._capacity:
                self._cache.popitem(last=False)

    def _fail(self, batch: Sequence[_Pending], error: Exception) -> None:
        for pending in batch:
            del self._pending[pending.key]
            if not pending.result.done():
                pending.result.set_exception(error)
                pending.result.exception()  # everyone who waited may have left; that is no unhandled error

    async def close(self) -> None:
        """Stop. For callers that still wait it is an error that a repeated call may not meet."""
        self._closed = True
        self._fail(self._queue, _closed())
        self._queue.clear()
        running = list(self._running)
        for runner in running:
            runner.cancel()
        if running:
            await asyncio.wait(running)
        for executor in (self._executor, self._of_answers):
            executor.shutdown(wait=True, cancel_futures=True)


def _sent(whose: Provenance, embed: Callable[[Sequence[str]], Vectors], texts: Sequence[str]) -> Vectors:
    with sending(whose):
        return embed(texts)


def _closed() -> Unavailable:
    return Unavailable(Reason.EMBEDDER_UNAVAILABLE, "this query model was just unloaded; retry")


def parallel_queries(settings: Settings, embedder: Embedder) -> tuple[int, int]:
    """Query batches embedded at once, and their size.

    Of an endpoint the queries of a batch share the cost of a request. The bundled model works on one batch per core; of
    its static network they share the reading of the weights (eight together cost less than half of eight alone), of the
    dynamic one nothing: there a batch would only make the first wait for the last.
    """
    if settings.embedder == "openai":
        return REMOTE_BATCHES, settings.query_batch
    return settings.embed_threads or usable_cores(), min(settings.query_batch, texts_per_run(embedder))
