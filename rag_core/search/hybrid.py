"""Hybrid search, the same for every engine: both legs, fusion, and only the newest version of each document."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

from rag_core.embedding import Vectors
from rag_core.index import (
    IDF_SAMPLES,
    SAMPLE_SHARES,
    TOTAL,
    FilterBuilder,
    ScoreExplanation,
    SearchHit,
    SearchMode,
    SearchRequest,
    checks,
    from_json,
    narrowed,
    scope,
)
from rag_core.search import lexical
from rag_core.search.fusion import CANDIDATES, SPARE, Fusion, Scored, capped, in_order, newest_only, unit_score
from rag_core.search.legs import leg, returned
from rag_core.search.lexical import Sparse

# --------------------------------------------------------------------------------------------------------------------
# The sample of points for a search's term statistics.


ENOUGH = 4_096
"""Approximate maximum of points in the statistics, for a caller who sees up to a thousand times as many."""
_COUNTED = (1024, 32)
"""Samples to count for an estimate of the points the caller sees; the second when the first has too few."""
_TELLING = 64
"""Number of counted points from which the estimate is accurate to an eighth."""
Filter = TypeVar("Filter")


def idf_corpus(engine: Engine[Filter], visible: Filter, enough: int = ENOUGH) -> Filter:
    """The points for term statistics, among those the caller may see: at most about `enough`, and at least half of that
    when there are more."""
    if not engine.has_idf_samples:
        return visible
    seen = _seen(engine, visible)
    share = next((share for share in (1, *SAMPLE_SHARES) if seen <= enough * share), SAMPLE_SHARES[-1])
    return visible if share == 1 else _sample(engine, visible, share)


def _seen(engine: Engine[Filter], visible: Filter) -> int:
    """Estimate the number of points the caller sees."""
    seen = 0
    for share in _COUNTED:
        found = engine.count(_sample(engine, visible, share))
        seen = found * share
        if found >= _TELLING:
            break
    return seen


def _sample(engine: Engine[Filter], visible: Filter, share: int) -> Filter:
    return engine.filter_builder.all_of([visible, engine.filter_builder.any_of(IDF_SAMPLES, [str(share)])])


MAX_ROUNDS = 5
"""Maximum engine queries of one search. Usually one; more only with updates in progress or interrupted."""
MAX_FETCH = 4096
"""Maximum candidates of one search, even if they belong to few documents."""
Scores = Mapping[uuid.UUID, float]


class Engine(Protocol[Filter]):
    """One generation as a search reads it. `within` limits the points, `corpus` the term statistics."""

    @property
    def filter_builder(self) -> FilterBuilder[Filter]: ...

    @property
    def has_idf_samples(self) -> bool:
        """Whether points store the samples they belong to (`search.statistics`)."""
        ...

    def fused(
        self, vector: Vectors, terms: Sparse, within: Filter, idf_corpus: Filter, *, fusion: Fusion
    ) -> list[Scored]:
        """Both legs of `fusion.candidates` points each, fused by distribution."""
        ...

    def dense(self, vector: Vectors, within: Filter, limit: int) -> list[Scored]: ...

    def lexical(self, terms: Sparse, within: Filter, idf_corpus: Filter, limit: int) -> list[Scored]: ...

    def cosines(self, ids: Sequence[uuid.UUID], vector: Vectors) -> Scores:
        """The dense scores of given points."""
        ...

    def vectors(self, ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Vectors]:
        """The dense vectors of given points."""
        ...

    def one(self, within: Filter) -> Mapping[str, Any] | None:
        """The payload of an arbitrary point."""
        ...

    def count(self, within: Filter) -> int: ...


def search(engine: Engine[Filter], request: SearchRequest, dimensions: int) -> tuple[SearchHit, ...]:
    """The hits of a request. Raises `PermissionDenied` or `InvalidInput` before any engine query."""
    checks.check_search(request, dimensions)
    if not request.acl:
        return ()
    run = _Search(engine, request)
    limit, fetch = request.limit, request.limit + SPARE
    superseded: dict[str, int] = {}
    for _ in range(MAX_ROUNDS):
        found = run.candidates(fetch)
        kept = capped(newest_only(in_order(found), superseded), request.per_document)
        newer = run.newer_versions(kept[:limit])
        superseded |= newer
        # When dropped versions or long documents leave a full page short of the limit, fetch more candidates.
        short = len(kept) < limit and len(found) == fetch and fetch < MAX_FETCH
        if not newer and not short:
            break
        # A newer version may have been written after the candidates were read: query again, or the document is missing.
        fetch = fetch * 4 if short else fetch
    return run.hits(kept[:limit])


class _Search:
    """A request, prepared for an engine."""

    def __init__(self, engine: Engine[Filter], request: SearchRequest) -> None:
        self._engine: Engine[Any] = engine
        self._request = request
        self._within = narrowed(engine.filter_builder, request)
        self._terms = lexical.encode_query(request.text) if request.mode is not SearchMode.DENSE else Sparse([], [])
        self._mode = request.mode
        if request.mode is SearchMode.HYBRID and not self._terms:
            self._mode = SearchMode.DENSE

    @cached_property
    def _idf_corpus(self) -> Any:
        return idf_corpus(self._engine, scope(self._engine.filter_builder, self._request))

    def candidates(self, limit: int) -> list[Scored]:
        vector = self._request.vector
        if vector is None or self._mode is SearchMode.LEXICAL:
            return self._ranked(self._lexical(limit) if self._terms else [])
        if self._mode is SearchMode.DENSE:
            with leg("dense", limit) as block:
                found = self._engine.dense(vector, self._within, limit)
                returned(block, len(found))
            return self._ranked(found)
        fusion = Fusion(max(CANDIDATES, limit), limit, self._request.weights, explain=self._request.explain)
        return self._engine.fused(vector, self._terms, self._within, self._idf_corpus, fusion=fusion)

    def _lexical(self, limit: int) -> list[Scored]:
        with leg("lexical", limit) as block:
            found = self._engine.lexical(self._terms, self._within, self._idf_corpus, limit)
            returned(block, len(found))
        return [candidate for candidate in found if candidate.score > 0]

    def _ranked(self, found: list[Scored]) -> list[Scored]:
        """The candidates of one leg, with their ranks in it when they are asked for."""
        if not self._request.explain:
            return found
        dense = self._mode is SearchMode.DENSE
        return [
            replace(one, explanation=ScoreExplanation(0, rank if dense else None, None if dense else rank))
            for rank, one in enumerate(found, 1)
        ]

    def newer_versions(self, hits: Sequence[Scored]) -> dict[str, int]:
        """Documents of hits with a newer, complete version in the index: document id to that version.

        A writer that dies between writing a new version and removing the old one leaves both. The old one must not be
        served even when no chunk of the new one is a candidate. A version that is still being written does not count,
        so a document does not disappear during its update.
        """
        builder = self._engine.filter_builder
        newer = {
            hit.doc_id: builder.all_of(
                [builder.any_of("doc_id", [hit.doc_id]), builder.newer_than("version", hit.version)]
            )
            for hit in hits
        }
        if not newer or self._engine.one(builder.any_filter(list(newer.values()))) is None:
            return {}
        complete: dict[str, int] = {}
        for doc_id, within in newer.items():
            payload = self._engine.one(within)
            if payload is not None and self._engine.count(within) >= int(payload.get(TOTAL, 0)):
                complete[doc_id] = int(payload["version"])
        return complete

    def hits(self, kept: list[Scored]) -> tuple[SearchHit, ...]:
        dense, words = self._leg_scores(kept)
        vectors = self._vectors(kept)
        hybrid = self._request.mode is SearchMode.HYBRID
        return tuple(
            SearchHit(
                chunk_id=candidate.chunk_id,
                score=self._score(candidate) if hybrid else candidate.score,
                payload=from_json(candidate.payload),
                dense=dense.get(candidate.chunk_id),
                lexical=words.get(candidate.chunk_id),
                vector=vectors.get(candidate.chunk_id),
                explanation=candidate.explanation and replace(candidate.explanation, rank=rank),
            )
            for rank, candidate in enumerate(kept, 1)
        )

    def _vectors(self, kept: list[Scored]) -> Mapping[uuid.UUID, Vectors]:
        if not self._request.with_vectors or not kept:
            return {}
        return self._engine.vectors([candidate.chunk_id for candidate in kept])

    def _score(self, candidate: Scored) -> float:
        if self._mode is SearchMode.HYBRID:
            return unit_score(candidate.score)
        # A query without words has only the dense leg: use the cosine, scaled from [-1, 1].
        return min(1.0, max(0.0, (candidate.score + 1) / 2))

    def _leg_scores(self, kept: list[Scored]) -> tuple[Scores, Scores]:
        """The dense and the lexical scores.

        Hits of a hybrid search reuse the score of the lexical leg: another query would gather the term statistics, most
        of the cost of a search, a second time.
        """
        own = {candidate.chunk_id: candidate.score for candidate in kept}
        if self._mode is SearchMode.DENSE:
            return own, {}
        if self._mode is SearchMode.LEXICAL or self._request.vector is None:
            return {}, own
        if not kept:
            return {}, {}
        words = {candidate.chunk_id: candidate.lexical for candidate in kept if candidate.lexical is not None}
        return self._engine.cosines(list(own), self._request.vector), words
