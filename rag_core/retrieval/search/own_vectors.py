"""Self-retrieval: a dense search by a point's own vector, as a reader of the point, must find it.

A search graph is approximate: a point to which no link leads is in the index and no question finds it by meaning.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from rag_core.retrieval.index import SelfRetrieval, Visibility, scope, slices
from rag_core.retrieval.search.engine import Effort, Engine, Filter, OwnVector

BATCH = 16
"""Searches of one engine call, which holds the interpreter lock of the embedded engine for about ten milliseconds."""
_LIMIT = 10
_TWIN = 1e-5
"""The cosine distance up to which two vectors count as equal: points with equal vectors share the rank."""


def self_retrieval(engine: Engine[Filter], ids: Sequence[uuid.UUID]) -> SelfRetrieval:
    """See `VectorIndex.self_retrieval`."""
    missed: list[uuid.UUID] = []
    lost: list[uuid.UUID] = []
    searched = 0
    for some in slices(ids, BATCH):
        stored = engine.own_vectors(some)
        lost += [one for one in some if one not in stored]
        readable = {one: own for one, own in stored.items() if own.acl}
        searched += len(readable) + len(some) - len(stored)
        unfound = readable
        for effort in (Effort.QUICK, Effort.GRAPH):
            unfound = _unfound(engine, unfound, effort)
        gone = _unfound(engine, unfound, Effort.EXACT)
        lost += gone
        missed += [one for one in unfound if one not in gone]
    return SelfRetrieval(searched, tuple(missed), tuple(lost))


def _unfound(engine: Engine[Any], points: Mapping[uuid.UUID, OwnVector], effort: Effort) -> dict[uuid.UUID, OwnVector]:
    """The points that a search by their vector does not rank first."""
    if not points:
        return {}
    queries = [(own.vector, _readers(engine, own, effort)) for own in points.values()]
    found = engine.nearest(queries, _LIMIT, effort)
    return {
        one: points[one]
        for one, scores in zip(points, found, strict=True)
        if not scores or (next(iter(scores)) != one.int and max(scores.values()) < 1 - _TWIN)
    }


def _readers(engine: Engine[Any], own: OwnVector, effort: Effort) -> Any:
    """Return the readable point. Nothing is nearer to a vector than itself, so that exact search would rank it
    first among all points if it does so within its document."""
    builder = engine.filter_builder
    seen = Visibility(own.tenant, frozenset(own.acl), frozenset(), frozenset())
    allowed = scope(builder, seen)
    return allowed if effort is not Effort.EXACT else builder.all_of([allowed, builder.any_of("doc_id", [own.doc_id])])
