"""Indexed means retrievable: each point must be found by its own vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rag_core.index.base import Point, SearchMode, SearchRequest, VectorIndex
from rag_core.verify.report import Finding, FindingKind

_TWIN = 1e-5
"""Cosine distance up to which two vectors count as equal."""
_WIDE = 1000
"""A search graph is approximate: a search for one may pass by what a wide one finds. What that misses is not in it."""


def unfindable(index: VectorIndex, generation: str, points: Iterable[Point]) -> Iterator[tuple[Point, Finding | None]]:
    """Each point with a finding, or with `None` when a search by its vector, as a reader of its tenant, puts it first.

    Points with equal vectors (a repeated paragraph) share the place. A point open to no one is not searched for.
    """
    for point in points:
        request = SearchRequest(
            tenant=point.payload.tenant,
            acl=point.payload.acl,
            limit=1,
            mode=SearchMode.DENSE,
            vector=point.vector,
            generation=generation,
        )
        if not point.payload.acl or any(_puts_first(index, request, point, limit) for limit in (1, _WIDE)):
            yield point, None
        else:
            detail = "its own vector does not find it first"
            yield point, Finding(FindingKind.NOT_RETRIEVABLE, detail, point.payload.doc_id, point.chunk_id)


def _puts_first(index: VectorIndex, request: SearchRequest, point: Point, limit: int) -> bool:
    hits = index.search(replace(request, limit=limit)).hits
    return bool(hits) and (hits[0].chunk_id == point.chunk_id or hits[0].score >= 1 - _TWIN)
