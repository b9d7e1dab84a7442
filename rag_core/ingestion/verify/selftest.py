"""Self-test of `rag verify`: damage a copy of part of the index in every detectable way, and check the findings.

The copy is a separate generation, filled from the rows and dropped afterwards. Readers and the active generation are
not affected.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from rag_core.database import Store
from rag_core.errors import Reason, Unavailable
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.verify.report import FindingKind, Findings
from rag_core.ingestion.verify.store import GenerationRows
from rag_core.ingestion.verify.verifier import compare
from rag_core.retrieval.index import (
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    SelfRetrieval,
    VectorIndex,
)

SAMPLE = 200
"""Number of points in the copy."""
_PREFIX = "selftest-"


@dataclass(frozen=True, slots=True)
class SelfTestReport:
    """Per mutation, whether it was detected, and the findings. `passed`: all were, and the undamaged copy was clean."""

    results: dict[str, bool]
    reported: dict[str, dict[str, int]]

    @property
    def passed(self) -> bool:
        return all(self.results.values())

    def to_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "results": self.results, "reported": self.reported}


def self_test(store: Store, index: VectorIndex, *, sample: int = SAMPLE) -> SelfTestReport:
    """Run every mutation. Raises `Unavailable` (`INDEX_EMPTY`) when there are no indexed points to copy."""
    with store.engine.connect() as connection:
        row = generations.active(connection)
    points = list(islice(GenerationRows(store, row).points(), sample)) if row is not None else []
    if row is None or len(points) < 2:
        raise Unavailable(Reason.INDEX_EMPTY, "the self-test needs an index with at least two chunks")
    spec = GenerationSpec(f"{_PREFIX}{uuid.uuid4().hex[:12]}", row.dimensions, row.embedder, row.chunker)
    with _scratch(index, spec):
        copy = _Copy(index, spec, points)
        copy.fill()
        results = {"untouched": not copy.verify()}
        reported: dict[str, dict[str, int]] = {"untouched": {}}
        for name, (mutate, expected) in MUTATIONS.items():
            lens = mutate(copy) or index
            found = copy.verify(lens)
            results[name] = expected in found
            reported[name] = {str(kind): count for kind, count in found.items()}
            copy.fill()
        return SelfTestReport(results, reported)


class _Copy:
    """The temporary generation and the rows it was filled from; implements `Expectation` over these rows."""

    def __init__(self, index: VectorIndex, spec: GenerationSpec, rows: list[IndexPoint]) -> None:
        self.index = index
        self.spec = spec
        self.rows = rows

    def updates(self, points: Sequence[IndexPoint]) -> list[DocumentUpdate]:
        """Updates of the points, grouped by document."""
        documents: dict[tuple[uuid.UUID, int], list[IndexPoint]] = {}
        for point in points:
            documents.setdefault((point.payload.doc_id, point.payload.version), []).append(point)
        return [DocumentUpdate(doc_id, version, tuple(some)) for (doc_id, version), some in documents.items()]

    def fill(self) -> None:
        """Fill the copy from the rows, again if necessary."""
        self.index.apply(self.spec.name, self.updates(self.rows))
        own = {row.chunk_id for row in self.rows}
        scrolled = (point for batch in self.index.scroll(self.spec.name, with_vectors=False) for point in batch)
        self.remove([point for point in scrolled if point.chunk_id not in own])

    def write(self, *points: IndexPoint) -> None:
        """Write points in addition to, or over, existing ones."""
        changed = {point.chunk_id: point for point in points}
        documents = {point.payload.doc_id for point in points}
        kept = [row for row in self.rows if row.chunk_id not in changed and row.payload.doc_id in documents]
        self.index.apply(self.spec.name, self.updates([*kept, *points]))

    def remove(self, points: Sequence[IndexPoint]) -> None:
        if points:
            self.index.delete_points(self.spec.name, [point.chunk_id for point in points])

    def verify(self, index: VectorIndex | None = None) -> dict[FindingKind, int]:
        """Verify the copy; returns findings by kind."""
        findings = Findings()
        compare(index or self.index, self.spec, self, findings)
        return dict(findings.totals)

    def points(self) -> Iterator[IndexPoint]:
        return iter(self.rows)

    def sample(self, size: int) -> Iterator[IndexPoint]:
        return iter(self.rows[:size])

    def chunk_at(self, keys: Sequence[tuple[uuid.UUID, int]]) -> dict[tuple[uuid.UUID, int], uuid.UUID]:
        known = {(row.payload.doc_id, row.payload.ordinal): row.chunk_id for row in self.rows}
        return {key: known[key] for key in keys if key in known}


@contextmanager
def _scratch(index: VectorIndex, spec: GenerationSpec) -> Iterator[None]:
    for left_over in index.generations():
        if left_over.name.startswith(_PREFIX):
            index.drop(left_over.name)
    index.create(spec)
    try:
        yield
    finally:
        index.drop(spec.name)


class _Lens:
    """A view of an index with changed points, for damage that the index refuses to store."""

    def __init__(
        self, index: VectorIndex, victim: uuid.UUID, change: Callable[[IndexPoint], IndexPoint] | None
    ) -> None:
        self._index = index
        self._victim = victim
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def scroll(self, generation: str, *, batch: int = 1000, with_vectors: bool = True) -> Iterator[list[IndexPoint]]:
        for points in self._index.scroll(generation, batch=batch, with_vectors=with_vectors):
            yield [self._seen(point) for point in points]

    def self_retrieval(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> SelfRetrieval:
        """Search without the point, as if it were not retrievable."""
        found = self._index.self_retrieval(generation, chunk_ids)
        return replace(found, lost=(self._victim,)) if self._change is None and self._victim in chunk_ids else found

    def _seen(self, point: IndexPoint) -> IndexPoint:
        return self._change(point) if self._change is not None and point.chunk_id == self._victim else point


def _middle(copy: _Copy) -> IndexPoint:
    return copy.rows[len(copy.rows) // 2]


def _with_payload(point: IndexPoint, **fields: Any) -> IndexPoint:
    return replace(point, payload=replace(point.payload, **fields))


def _drop(copy: _Copy) -> None:
    copy.remove([_middle(copy)])


def _duplicate(copy: _Copy) -> None:
    point = _middle(copy)
    copy.write(point, replace(point, chunk_id=uuid.uuid4()))


def _invent(copy: _Copy) -> None:
    doc_id = uuid.uuid4()
    copy.write(replace(_with_payload(_middle(copy), doc_id=doc_id), chunk_id=uuid.uuid5(doc_id, "phantom")))


def _swap_tenants(copy: _Copy) -> None:
    copy.write(_with_payload(_middle(copy), tenant="self-test-other"))


def _open_up(copy: _Copy) -> None:
    copy.write(_with_payload(_middle(copy), acl=("self-test-anyone",)))


def _shift_span(copy: _Copy) -> None:
    point = _middle(copy)
    copy.write(_with_payload(point, start=point.payload.start + 1))


def _turn_vector(copy: _Copy) -> None:
    point = _middle(copy)
    copy.write(replace(point, vector=np.roll(point.vector, 1)))


def _cut_tail(copy: _Copy) -> None:
    copy.remove(copy.rows[-max(1, len(copy.rows) // 10) :])


def _lens_on(change: Callable[[IndexPoint], IndexPoint] | None) -> Callable[[_Copy], VectorIndex]:
    def mutate(copy: _Copy) -> VectorIndex:
        lens: Any = _Lens(copy.index, _middle(copy).chunk_id, change)
        return lens  # type: ignore[no-any-return]

    return mutate


def _nan(point: IndexPoint) -> IndexPoint:
    vector = point.vector.copy()
    vector[0] = np.nan
    return replace(point, vector=vector)


MUTATIONS: dict[str, tuple[Callable[[_Copy], VectorIndex | None], FindingKind]] = {
    "drop a point": (_drop, FindingKind.MISSING),
    "duplicate a point": (_duplicate, FindingKind.DUPLICATE),
    "invent a point": (_invent, FindingKind.PHANTOM),
    "swap the tenant": (_swap_tenants, FindingKind.WRONG_TENANT),
    "open the ACL": (_open_up, FindingKind.WRONG_ACL),
    "age a point": (
        _lens_on(lambda point: _with_payload(point, version=point.payload.version - 1)),
        FindingKind.STALE_VERSION,
    ),
    "shift the span": (_shift_span, FindingKind.MALFORMED),
    "turn the vector": (_turn_vector, FindingKind.VECTOR_MISMATCH),
    "make a vector NaN": (_lens_on(_nan), FindingKind.NON_FINITE),
    "make a vector zero": (
        _lens_on(lambda point: replace(point, vector=np.zeros_like(point.vector))),
        FindingKind.ZERO_VECTOR,
    ),
    "shorten a vector": (
        _lens_on(lambda point: replace(point, vector=point.vector[:-1])),
        FindingKind.WRONG_DIMENSION,
    ),
    "hide a point from searches": (_lens_on(None), FindingKind.NOT_RETRIEVABLE),
    "cut the tail": (_cut_tail, FindingKind.MISSING),
}
