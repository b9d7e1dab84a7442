"""Order of retrieved passages: reranking by a cross-encoder, and diversity."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from rag_core.errors import InvalidInput, Reason
from rag_core.index import Hit
from rag_core.search import Reranker, diversified

_THREADS = 2


class Ordering:
    """Puts the best `window` hits of a search in order; those behind them stay as they are."""

    def __init__(self, reranker: Reranker | None, *, window: int) -> None:
        self._reranker = reranker
        self.window = window
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="rerank")

    def reranks(self, wanted: bool | None) -> bool:
        """Whether a request is reranked. Raises `InvalidInput` when it asks for it and there is no reranker."""
        if wanted and self._reranker is None:
            raise InvalidInput(Reason.FIELD_INVALID, "rerank: this server has no cross-encoder (RAG_RERANKER_DIR)")
        return self._reranker is not None and wanted is not False

    async def order(self, query: str, hits: Sequence[Hit], *, rerank: bool, diversity: float) -> tuple[Hit, ...]:
        """The hits in their final order. With diversity they must carry vectors."""
        best, rest = list(hits[: self.window]), hits[self.window :]
        if rerank and best:
            best = await self._reranked(query, best)
        if diversity > 0 and len(best) > 2:
            best = await asyncio.to_thread(_diverse, best, diversity)
        return (*best, *rest)

    async def _reranked(self, query: str, hits: list[Hit]) -> list[Hit]:
        assert self._reranker is not None  # noqa: S101  `reranks` has said so
        texts = [_text(hit) for hit in hits]
        scores = await asyncio.wrap_future(self._threads.submit(self._reranker.score, query, texts))
        judged = [replace(hit, reranked=score) for hit, score in zip(hits, scores, strict=True)]
        return sorted(judged, key=lambda hit: -(hit.reranked or 0.0))

    def close(self) -> None:
        """Wait for the scoring that has begun."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._reranker is not None:
            self._reranker.close()


def _text(hit: Hit) -> str:
    """Title and headings belong to the passage: a section on X need not repeat X."""
    payload = hit.payload
    return "\n".join(part for part in (payload.title, *payload.headings, payload.text) if part)


def _diverse(hits: list[Hit], diversity: float) -> list[Hit]:
    relevance = [hit.score if hit.reranked is None else hit.reranked for hit in hits]
    some = next(hit.vector for hit in hits if hit.vector is not None)
    # A point that was removed between search and reading its vector is unlike every other.
    vectors = np.stack([np.zeros_like(some) if hit.vector is None else hit.vector for hit in hits])
    return [hits[place] for place in diversified(relevance, vectors, diversity)]
