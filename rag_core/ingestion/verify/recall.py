"""Recall of a generation's search graph: what searches find, against exact search over the same points.

The exact nearest are found while `rag verify` reads every point, so the engine is asked for approximate searches alone:
one exact search over a million vectors would hold up all others for a third of a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_core.content.embedding import Vectors
from rag_core.errors import DataCorruption
from rag_core.governance.access import admits
from rag_core.retrieval.index import IndexPoint, SearchMode, SearchRequest, VectorIndex

NEAREST = 10
SAMPLE = 200
"""Points whose nearest are compared."""
LEAST_RECALL = 0.97
"""Below it a search graph is a difference. The default settings reach 0.99 (docs/performance.md)."""
COMPARABLE = 0.99
"""Share of the points that must equal their rows: during many writes, or with damage, searches find other points."""
_SECONDS = 60.0
"""Limit of the searches; those that are left out do not count."""
_EQUAL = 1e-5
"""Cosine by which a hit may be further away than an exact one and be as good: an engine rounds."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Mean share of the exact `NEAREST` that searches found."""

    searches: int
    share: float

    @property
    def low(self) -> bool:
        return self.share < LEAST_RECALL


class ExactNearest:
    """The cosines of the points nearest to a sample of points, of those that the readers of each may see."""

    def __init__(self, sample: Iterable[IndexPoint]) -> None:
        self._sample = [point for point in sample if point.payload.acl and point.vector.any()]
        self._queries = _unit([point.vector for point in self._sample]) if self._sample else np.empty((0, 0))
        self._best = np.full((len(self._sample), NEAREST), -np.inf, dtype=np.float32)
        readers: dict[tuple[str, frozenset[str]], list[int]] = {}
        for row, point in enumerate(self._sample):
            readers.setdefault((point.payload.tenant, frozenset(point.payload.acl)), []).append(row)
        self._readers = readers
        self.points = 0
        """Number of points that were taken into account."""

    def add(self, page: Sequence[IndexPoint]) -> None:
        """Take points into account; every point once."""
        self.points += len(page)
        if not self._sample or not page:
            return
        vectors = _unit([point.vector for point in page])
        own = {point.chunk_id: column for column, point in enumerate(page)}
        for (tenant, acl), rows in self._readers.items():
            seen = np.array([one.payload.tenant == tenant and admits(one.payload.acl, acl) for one in page])
            scores = np.where(seen, self._queries[rows] @ vectors.T, -np.inf)
            for at, row in enumerate(rows):
                if (column := own.get(self._sample[row].chunk_id)) is not None:
                    scores[at, column] = -np.inf
            both = np.concatenate([self._best[rows], scores], axis=1)
            self._best[rows] = -np.sort(-both, axis=1)[:, :NEAREST]

    def recall(self, index: VectorIndex, generation: str) -> Recall | None:
        """Search for the neighbours of each point of the sample; `None` without a point that has one."""
        deadline = time.monotonic() + _SECONDS
        shares = []
        for point, best in zip(self._sample, self._best, strict=True):
            exact = best[np.isfinite(best)]
            if not exact.size or time.monotonic() > deadline:
                continue
            try:
                found = _neighbours(index, generation, point)
            except DataCorruption:  # a hit with a malformed payload, which the comparison names
                continue
            near = sum(score >= exact[-1] - _EQUAL for score in found)
            shares.append(min(near, exact.size) / exact.size)
        return Recall(len(shares), float(np.mean(shares))) if shares else None


def _neighbours(index: VectorIndex, generation: str, point: IndexPoint) -> list[float]:
    request = SearchRequest(
        tenant=point.payload.tenant,
        acl=point.payload.acl,
        limit=NEAREST + 1,
        mode=SearchMode.DENSE,
        vector=point.vector,
        generation=generation,
    )
    return [hit.score for hit in index.search(request).hits if hit.chunk_id != point.chunk_id]


def _unit(vectors: Sequence[Vectors]) -> Vectors:
    stacked = np.stack(vectors).astype(np.float32, copy=False)
    unit: Vectors = stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), 1e-12)
    return unit
