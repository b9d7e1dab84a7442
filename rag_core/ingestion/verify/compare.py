"""Merge join of expected points and a full scroll of the index, both streamed in the order of chunk ids."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np

from rag_core.content.embedding import Vectors
from rag_core.ingestion.verify.recall import LEAST_RECALL, Recall
from rag_core.ingestion.verify.report import MAX_FINDINGS, Finding, FindingKind, Findings
from rag_core.ingestion.verify.store import Expectation
from rag_core.retrieval.index import IndexPoint, Payload, VectorIndex

TOLERANCE = 1e-4
"""Largest allowed difference of a component between an embedding and the engine's normalised copy."""
_OTHER_FIELDS = [field.name for field in fields(Payload) if field.name not in {"tenant", "acl", "version"}]
_PHANTOMS_AT_ONCE = 500
MAX_MISSES = 0.001
"""Share of the points that the search graph may miss before it is a difference."""


class MergeJoin:
    """A merge join. Keeps one point of each side in memory, and up to `_PHANTOMS_AT_ONCE` unexpected ones."""

    def __init__(self, expectation: Expectation, findings: Findings, dimensions: int) -> None:
        self._expectation = expectation
        self._findings = findings
        self._dimensions = dimensions
        self._unexplained: list[IndexPoint] = []
        self.expected = 0
        self.points: Counter[str] = Counter()
        """Scrolled points by tenant."""
        self.retrieved = 0
        """Number of points that were searched by their own vector."""
        self.missed = 0
        """Number of these that exact search finds and the search graph does not."""
        self.unreached: list[Finding] = []
        """The first of them."""
        self.recall: Recall | None = None
        self.versions: dict[uuid.UUID, int] = {}
        """The lowest version at which documents with findings were compared."""

    def run(self, scrolled: Iterator[IndexPoint]) -> Iterator[IndexPoint]:
        """Compare; yields every scrolled point that equals its row."""
        wanted = self._expectation.points()
        row = self._next_row(wanted)
        last: uuid.UUID | None = None
        for point in scrolled:
            self.points[point.payload.tenant] += 1
            if last is not None and point.chunk_id <= last:
                self._stray(FindingKind.DUPLICATE, "the scroll returned this id before", point)
                continue
            last = point.chunk_id
            while row is not None and row.chunk_id < point.chunk_id:
                self._missing(row)
                row = self._next_row(wanted)
            if row is None or row.chunk_id != point.chunk_id:
                self._set_aside(point)
                continue
            if self._agree(row, point):
                yield point
            row = self._next_row(wanted)
        while row is not None:
            self._missing(row)
            row = self._next_row(wanted)
        self._explain()

    def search(self, index: VectorIndex, generation: str, points: Sequence[IndexPoint]) -> None:
        """Search for points by their own vector."""
        if not points:
            return
        by_id = {point.chunk_id: point for point in points}
        found = index.self_retrieval(generation, list(by_id))
        self.retrieved += found.searched
        for one in found.lost:
            self._find(FindingKind.NOT_RETRIEVABLE, "exact search by its own vector does not find it", by_id[one])
        self.missed += len(found.missed)
        for one in found.missed[: MAX_FINDINGS - len(self.unreached)]:
            doc_id = by_id[one].payload.doc_id
            self.unreached.append(Finding(FindingKind.GRAPH_MISSES, "the search graph does not reach it", doc_id, one))

    def graph_findings(self) -> Iterator[Finding]:
        """Return what is wrong with the search graph as a whole: it is approximate, within bounds."""
        if self.missed > max(1, MAX_MISSES * self.retrieved):
            yield Finding(FindingKind.GRAPH_MISSES, f"it misses {self.missed} of {self.retrieved} points")
        if self.recall is not None and self.recall.low:
            detail = f"searches find {self.recall.share:.3f} of the exact nearest; at least {LEAST_RECALL} is expected"
            yield Finding(FindingKind.LOW_RECALL, detail)

    def _next_row(self, wanted: Iterator[IndexPoint]) -> IndexPoint | None:
        row = next(wanted, None)
        self.expected += row is not None
        return row

    def _agree(self, row: IndexPoint, point: IndexPoint) -> bool:
        found = [*payload_differences(row.payload, point.payload), *self._vector_differences(row.vector, point.vector)]
        for kind, detail in found:
            self._find(kind, detail, row)
        return not found

    def _vector_differences(self, row: Vectors, vector: Vectors) -> Iterator[tuple[FindingKind, str]]:
        if row.shape == (0,):
            yield FindingKind.UNEMBEDDED, "the embedding of this chunk is gone from the database"
        if vector.shape != (self._dimensions,):
            yield FindingKind.WRONG_DIMENSION, f"expected {self._dimensions} dimensions, found {vector.shape[0]}"
        elif not np.isfinite(vector).all():
            yield FindingKind.NON_FINITE, "the vector has values that are not finite"
        elif not vector.any():
            yield FindingKind.ZERO_VECTOR, "the vector is zero"
        elif row.shape == vector.shape and not _same_direction(row, vector):
            yield FindingKind.VECTOR_MISMATCH, "the vector is not the stored embedding"

    def _missing(self, row: IndexPoint) -> None:
        self._find(FindingKind.MISSING, f"chunk {row.payload.ordinal} is not in the index", row)

    def _find(self, kind: FindingKind, detail: str, row: IndexPoint) -> None:
        doc_id, version = row.payload.doc_id, row.payload.version
        self.versions[doc_id] = min(version, self.versions.get(doc_id, version))
        self._findings.add(Finding(kind, detail, row.payload.doc_id, row.chunk_id))

    def _stray(self, kind: FindingKind, detail: str, point: IndexPoint) -> None:
        self._findings.add(Finding(kind, detail, point.payload.doc_id, point.chunk_id))

    def _set_aside(self, point: IndexPoint) -> None:
        self._unexplained.append(point)
        if len(self._unexplained) >= _PHANTOMS_AT_ONCE:
            self._explain()

    def _explain(self) -> None:
        keys = [(point.payload.doc_id, point.payload.ordinal) for point in self._unexplained]
        known = self._expectation.chunk_at(keys)
        for point, key in zip(self._unexplained, keys, strict=True):
            if key in known and known[key] != point.chunk_id:
                self._stray(FindingKind.DUPLICATE, f"chunk {key[1]} of its document is {known[key]}", point)
            else:
                self._stray(FindingKind.PHANTOM, "no chunk of an indexed document has this id", point)
        self._unexplained.clear()


def payload_differences(row: Payload, payload: Payload) -> Iterator[tuple[FindingKind, str]]:
    """The fields in which a point's payload differs from its row."""
    if payload.tenant != row.tenant:
        yield FindingKind.WRONG_TENANT, "the point is in another tenant than its document"
    if set(payload.acl) != set(row.acl):
        yield FindingKind.WRONG_ACL, "the point opens to others than its document does"
    if payload.version != row.version:
        yield FindingKind.STALE_VERSION, f"the point is of version {payload.version}, its document of {row.version}"
    wrong = [name for name in _OTHER_FIELDS if getattr(payload, name) != getattr(row, name)]
    if wrong:
        yield FindingKind.MALFORMED, f"the payload differs from the row in {', '.join(wrong)}"


def _same_direction(row: Vectors, vector: Vectors) -> bool:
    exact = row.astype(np.float64)
    norm = np.linalg.norm(exact)
    return bool(norm > 0 and np.abs(exact / norm - vector).max() <= TOLERANCE)
