"""Hybrid search, the same for every engine: both legs, fusion, and only the newest version of each document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rag_core.retrieval.index import (
    TOTAL,
    ScoreExplanation,
    SearchHit,
    SearchMode,
    SearchRequest,
    Visibility,
    checks,
    hit_payload,
    narrowed,
    newer_points,
)
from rag_core.retrieval.search import lexical
from rag_core.retrieval.search.engine import Engine, Filter, Scores
from rag_core.retrieval.search.fusion import (
    CANDIDATES,
    SPARE,
    Candidate,
    ScoredCandidate,
    capped,
    fused,
    in_order,
    newest_only,
    unit_score,
)
from rag_core.retrieval.search.lexical import Sparse
from rag_tracing import CLIENT, Span, span


def leg(name: str, candidates: int) -> Span:
    """The block of one leg of a search, within a trace."""
    found = {"db.system.name": "qdrant", "db.operation.name": "query", "rag.leg": name, "rag.candidates": candidates}
    return span(f"{name} leg", found, CLIENT)


def returned(block: Span, rows: int) -> None:
    """Record how many candidates a leg gave."""
    block.set({"db.response.returned_rows": rows})


MAX_ROUNDS = 5
"""Maximum engine queries of one search. Usually one; more only with updates in progress or interrupted."""
MAX_FETCH = 4096
"""Maximum candidates of one search, even if they belong to few documents."""


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
        kept, removed = run.kept(found, superseded)
        newer = run.newer_versions(kept)
        superseded |= newer
        # When dropped versions or long documents leave a full page short of the limit, fetch more candidates.
        short = len(kept) < limit and len(found) == fetch and fetch < MAX_FETCH
        if not newer and not short and not removed:
            break
        # A newer version may have been written after the candidates were read: query again, or the document is missing.
        fetch = fetch * 4 if short else fetch
    return run.hits(kept)


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

    def candidates(self, limit: int) -> list[Candidate]:
        """The best candidates in the order of the result."""
        vector = self._request.vector
        if vector is None or self._mode is SearchMode.LEXICAL:
            if not self._terms:
                return []
            with leg("lexical", limit) as block:
                words = self._engine.lexical(*self._lexical(), limit)
                returned(block, len(words))
            return in_order(self._of_one_leg({number: score for number, score in words.items() if score > 0}))
        if self._mode is SearchMode.DENSE:
            with leg("dense", limit) as block:
                near = self._engine.dense(vector, self._within, limit)
                returned(block, len(near))
            return in_order(self._of_one_leg(near))
        legs = self._engine.legs(vector, *self._lexical(), max(CANDIDATES, limit))
        return in_order(fused(legs, limit, self._request.weights, explained=self._request.explain))

    def _lexical(self) -> tuple[Sparse, Any, Any]:
        """Terms, filter and points of the term statistics, which the engine need not gather when they are known."""
        seen = Visibility.of(self._request)
        known = self._engine.statistics(seen)
        if known is not None:
            return known.weighted(self._terms), self._within, None
        return self._terms, self._within, self._engine.idf_corpus(seen)

    def _of_one_leg(self, scores: Scores) -> list[Candidate]:
        """The candidates of one leg, with their ranks in it when they are asked for."""
        dense, explain = self._mode is SearchMode.DENSE, self._request.explain
        return [
            Candidate(
                number,
                score,
                score if dense else None,
                None if dense else score,
                ScoreExplanation(0, rank if dense else None, None if dense else rank) if explain else None,
            )
            for rank, (number, score) in enumerate(scores.items(), 1)
        ]

    def kept(self, found: Sequence[Candidate], superseded: Mapping[str, int]) -> tuple[list[ScoredCandidate], bool]:
        """The first of the candidates with their payloads, one version of each document, as many as were asked for;
        and whether a candidate was removed meanwhile.

        The payloads of the spare candidates are read only when one of the first is dropped, or when a document may have
        two versions: the newer may be among the spare ones.
        """
        limit, most = self._request.limit, self._request.per_document
        first = limit if self._engine.replaced() == frozenset() else len(found)
        scored = self._scored(found[:first])
        kept = capped(newest_only(scored, superseded), most)
        if first < len(found) and (len(kept) < limit or self._engine.replaced() != frozenset()):
            scored += self._scored(found[first:])
            kept = capped(newest_only(scored, superseded), most)
            first = len(found)
        return kept[:limit], len(scored) < len(found[:first])

    def _scored(self, candidates: Sequence[Candidate]) -> list[ScoredCandidate]:
        # Hits that only the lexical leg of a hybrid search found have a cosine too.
        unknown = self._mode is SearchMode.HYBRID and any(one.dense is None for one in candidates)
        vector = self._request.vector if unknown else None
        stored = self._engine.read([one.number for one in candidates], vector) if candidates else {}
        return [ScoredCandidate(one, *stored[one.number]) for one in candidates if one.number in stored]

    def newer_versions(self, hits: Sequence[ScoredCandidate]) -> dict[str, int]:
        """Documents of hits with a newer, complete version in the index: document id to that version.

        A writer that dies between writing a new version and removing the old one leaves both. The old one must not be
        served even when no chunk of the new one is a candidate. A version that is still being written does not count,
        so a document does not disappear during its update.
        """
        replaced = self._engine.replaced()
        held = {hit.doc_id: hit.version for hit in hits if replaced is None or hit.doc_id in replaced}
        if not held or not self._engine.any_newer(held):
            return {}
        complete: dict[str, int] = {}
        for doc_id, version in held.items():
            within = newer_points(self._engine.filter_builder, doc_id, version)
            payload = self._engine.one(within)
            if payload is not None and self._engine.count(within) >= int(payload.get(TOTAL, 0)):
                complete[doc_id] = int(payload["version"])
        return complete

    def hits(self, kept: Sequence[ScoredCandidate]) -> tuple[SearchHit, ...]:
        """The hits of kept candidates, with what else was asked for."""
        ids = [one.candidate.chunk_id for one in kept]
        vectors = self._engine.vectors(ids) if self._request.with_vectors and kept else {}
        hybrid = self._request.mode is SearchMode.HYBRID
        return tuple(
            SearchHit(
                chunk_id=chunk_id,
                score=self._score(one.candidate) if hybrid else one.candidate.score,
                payload=hit_payload(one.payload),
                dense=one.cosine if one.candidate.dense is None else one.candidate.dense,
                lexical=one.candidate.lexical,
                vector=vectors.get(chunk_id) if vectors else None,
                explanation=one.candidate.explanation and replace(one.candidate.explanation, rank=rank),
            )
            for rank, (one, chunk_id) in enumerate(zip(kept, ids, strict=True), 1)
        )

    def _score(self, candidate: Candidate) -> float:
        if self._mode is SearchMode.HYBRID:
            return unit_score(candidate.score)
        # A query without words has only the dense leg: use the cosine, scaled from [-1, 1].
        return min(1.0, max(0.0, (candidate.score + 1) / 2))
