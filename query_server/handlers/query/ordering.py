"""Order of retrieved passages: reranking by a cross-encoder, here or behind an endpoint, and diversity."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from query_server.runtime.breaker import Breaker
from query_server.runtime.metrics import Metrics
from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.http_client import EgressPolicy, Provenance, Use, sending
from rag_core.logging import get_logger
from rag_core.retrieval.index import SearchHit
from rag_core.retrieval.search import NO_PREFERENCES, Preferences, Reranker, diversified, reranked
from rag_tracing import CLIENT, carried, openinference, span

_THREADS = 2
"""For a model of this process: more would only share its cores."""
_FAILURES_IN_A_ROW = 5
_COOLDOWN_SECONDS = 5.0
_SPAN = {"gen_ai.operation.name": "rerank", **openinference.RERANKER}
_log = get_logger("query_server.rerank")


class Ordering:
    """Puts the best `window` hits of a search in order; those behind them stay as they are.

    `calls` are the calls of the reranker that may be at work at once, where it is not of this process.
    """

    def __init__(self, reranker: Reranker | None, metrics: Metrics, *, window: int, calls: int | None = None) -> None:
        self._reranker = reranker
        self._metrics = metrics
        self.window = window
        self._threads = ThreadPoolExecutor(calls or _THREADS, thread_name_prefix="rerank")
        self._breaker = Breaker(
            _FAILURES_IN_A_ROW,
            gauge=metrics.endpoint_silent.labels("rerank"),
            reason=Reason.RERANKER_UNAVAILABLE,
            what="the reranker",
            cooldown=_COOLDOWN_SECONDS,
            waited=float("inf"),
        )

    def reranks(self, wanted: bool | None) -> bool:
        """Return whether a request is reranked. Raises `InvalidInput` when it asks for it and there is no reranker."""
        if wanted and self._reranker is None:
            message = "rerank: this server has no reranker (RAG_RERANKER_DIR or RAG_RERANKER_URL)"
            raise InvalidInput(Reason.FIELD_INVALID, message)
        return self._reranker is not None and wanted is not False

    async def order(
        self,
        query: str,
        hits: Sequence[SearchHit],
        *,
        rerank: bool,
        diversity: float,
        egress: EgressPolicy,
        preferences: Preferences = NO_PREFERENCES,
    ) -> tuple[SearchHit, ...]:
        """The hits in their final order. With diversity they must carry vectors.

        When the reranker's endpoint fails they keep the order of retrieval, and none has a score of it. Hits that the
        egress policy keeps from it stay where they are.
        """
        best, rest = list(hits[: self.window]), hits[self.window :]
        if rerank and best:
            best = await self._reranked(query, best, egress)
        if preferences:
            # Those behind the window have scores of another scale when it was reranked.
            best, rest = (best, rest) if rerank else ([*best, *rest], ())
            best = preferences.applied(best)
        if diversity > 0 and len(best) > 2:
            best, rest = best[: self.window], [*best[self.window :], *rest]
            best = await asyncio.to_thread(_diverse, best, diversity)
        return (*best, *rest)

    def allowed(self, hits: Sequence[SearchHit], egress: EgressPolicy) -> bool:
        """Return whether any of the hits may be sent to the reranker."""
        remote = self._reranker is not None and self._reranker.remote
        return not remote or any(egress.allows(Use.RERANK, hit.payload.source) for hit in hits)

    async def _reranked(self, query: str, hits: list[SearchHit], egress: EgressPolicy) -> list[SearchHit]:
        assert self._reranker is not None  # noqa: S101  `reranks` has said so
        if not self.allowed(hits, egress):
            self._metrics.reranks.labels(Reason.EGRESS_FORBIDDEN).inc()
            return hits
        outcome = "failed"
        try:
            # The breaker inside: a reranker that is left out is a failed block of no length, which is what happened.
            with (
                span("rerank", _SPAN | {"rag.passages": len(hits)}, CLIENT),
                self._metrics.rerank_seconds.time(),
                self._breaker.call(),
            ):
                rerank = carried(_reranked)
                ordered = await asyncio.wrap_future(self._threads.submit(rerank, self._reranker, query, hits, egress))
            outcome = "ok"
            return ordered
        except RagError as error:
            if error.reason is not Reason.RERANKER_UNAVAILABLE:
                raise
            outcome = error.reason
            if not self._breaker.open:  # else every search would say it
                _log.warning("rerank_skipped", message=error.message)
            return hits
        finally:
            self._metrics.reranks.labels(outcome).inc()

    def close(self) -> None:
        """Wait for the scoring that has begun."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._reranker is not None:
            self._reranker.close()


def _reranked(reranker: Reranker, query: str, hits: Sequence[SearchHit], egress: EgressPolicy) -> list[SearchHit]:
    with sending(Provenance(egress)):
        return reranked(reranker, query, hits)


def _diverse(hits: list[SearchHit], diversity: float) -> list[SearchHit]:
    relevance = [hit.relevance for hit in hits]
    some = next(hit.vector for hit in hits if hit.vector is not None)
    # A point that was removed between search and reading its vector is unlike every other.
    vectors = np.stack([np.zeros_like(some) if hit.vector is None else hit.vector for hit in hits])
    return [hits[place] for place in diversified(relevance, vectors, diversity)]
