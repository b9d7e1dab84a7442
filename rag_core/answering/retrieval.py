"""Give an answerer the passages of a question, and ways to read more of the index within the same request.

`IndexReader` asks an index that this process holds. The query server, which follows promotions and takes turns, has a
way of its own; what decides on the passages is here for both.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from rag_core.answering.base import NOTHING_LEAVES, Question
from rag_core.answering.late_interaction import TokenMatches, match_tokens
from rag_core.content.documents import All, Condition, In
from rag_core.content.embedding import TokenEmbedder, Vectors
from rag_core.http_client import EgressPolicy, Provenance, sending
from rag_core.retrieval.index import ChunkRange, IndexPoint, SearchHit, SearchRequest, VectorIndex
from rag_core.retrieval.search import Reranker, reranked

MIN_RETRIEVED: Final = 24
"""Passages retrieved for any answer, so that a request for few of them is scored like the others."""
REACH: Final = 2
"""Chunks before and after a hit that are read."""

Embed = Callable[[Sequence[str]], Vectors]


def in_documents(condition: Condition | None, locators: Sequence[str]) -> Condition | None:
    """A filter narrowed to documents with one of these locators, when any are named."""
    if not locators:
        return condition
    named = In("locator", tuple(locators))
    return named if condition is None else All((condition, named))


def in_reading_order(points: Iterable[IndexPoint]) -> tuple[SearchHit, ...]:
    """Points that were read by their place, as hits with a score of 0."""
    ordered = sorted(points, key=lambda point: (point.payload.doc_id, point.payload.ordinal))
    return tuple(SearchHit(point.chunk_id, 0.0, point.payload) for point in ordered)


def place_around(hit: SearchHit) -> ChunkRange:
    """Return the range of chunks that holds a hit and its neighbours."""
    own = hit.payload
    return ChunkRange(own.doc_id, own.version, max(0, own.ordinal - REACH), own.ordinal + REACH)


class IndexReader:
    """One request to one index: its question, and what an answerer reads beyond the first passages.

    `request` has a text and no vector; `queries` embeds texts, and `tokens` gives the states of tokens where the model
    does. With a reranker the best `window` passages are put in its order. `egress` is the policy of the tenant.
    """

    def __init__(
        self,
        index: VectorIndex,
        request: SearchRequest,
        queries: Embed,
        tokens: object = None,
        reranker: Reranker | None = None,
        window: int = 0,
        egress: EgressPolicy = NOTHING_LEAVES,
    ) -> None:
        self._index, self._queries = index, queries
        self._tokens = tokens if isinstance(tokens, TokenEmbedder) else None
        self._reranker, self._window = reranker, window
        self._whose = Provenance(egress)
        with sending(self._whose):
            self._request = replace(request, vector=queries([request.text])[0])
        self.read: set[uuid.UUID] = set()
        """Ids of every chunk that the answerer was given."""

    def question(self) -> Question:
        """The question, with the `limit` of the request as its hits."""
        request, shown = self._request, self._request.limit
        hits = self._given(self._hits(request, max(shown, MIN_RETRIEVED)))
        return Question(
            request.text,
            hits[:shown],
            contrast=hits[shown:],
            compare=self._compare if self._tokens is not None else None,
            search=self._search,
            around=self._around,
            egress=self._whose.policy,
        )

    def listed(self, per_document: int | None) -> tuple[SearchHit, ...]:
        """Return the hits that a search for the same text shows."""
        return self._hits(replace(self._request, per_document=per_document), self._request.limit)

    def _hits(self, request: SearchRequest, limit: int) -> tuple[SearchHit, ...]:
        """The first hits in their final order."""
        wide = max(limit, self._window) if self._reranker else limit
        found = self._index.search(replace(request, limit=wide)).hits
        if self._reranker is not None and found:
            with sending(self._whose):
                best = reranked(self._reranker, request.text, found[: self._window])
            found = (*best, *found[self._window :])
        return found[:limit]

    def _given(self, hits: tuple[SearchHit, ...]) -> tuple[SearchHit, ...]:
        self.read.update(hit.chunk_id for hit in hits)
        return hits

    async def _compare(self, text: str, passages: Sequence[str]) -> list[TokenMatches]:
        if self._tokens is None:
            return []
        asked, *states = self._tokens.token_states([text], passages)
        return [match_tokens(asked, one) for one in states]

    async def _search(self, text: str, locators: Sequence[str]) -> tuple[SearchHit, ...]:
        with sending(self._whose):
            vector = self._queries([text])[0]
        narrowed = in_documents(self._request.filter, locators)
        request = replace(self._request, text=text, vector=vector, filter=narrowed)
        return self._given(self._hits(request, MIN_RETRIEVED))

    async def _around(self, places: Sequence[ChunkRange]) -> tuple[SearchHit, ...]:
        return self._given(in_reading_order(self._index.around(self._request, places)))
