"""Plan a write for any engine: fence by version, find points to remove, split into bounded operations."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rag_core.retrieval.index.base import DocumentUpdate, IndexPoint

OPERATION_POINTS = 256
"""Points of one engine operation: blocks searches in Edge for about ten milliseconds."""
READ_DOCUMENTS = 64
"""Documents whose points are read together."""

Identity = tuple[uuid.UUID, str, int]
"""Chunk id, document id and version of a stored point."""


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """The updates to apply, the points they replace, and the number of stale updates."""

    updates: list[DocumentUpdate]
    leftovers: list[uuid.UUID]
    stale: int


def plan(updates: Sequence[DocumentUpdate], stored: Iterable[Identity]) -> UpdatePlan:
    """Fence `updates` (one per document) by the versions of all `stored` points of the documents."""
    held: dict[str, dict[uuid.UUID, int]] = {}
    for chunk_id, doc_id, version in stored:
        held.setdefault(doc_id, {})[chunk_id] = version
    current: list[DocumentUpdate] = []
    leftovers: list[uuid.UUID] = []
    for update in updates:
        points = held.get(str(update.doc_id), {})
        if update.version < max(points.values(), default=update.version):
            continue
        current.append(update)
        ids = {point.chunk_id for point in update.points}
        leftovers.extend(chunk_id for chunk_id in points if chunk_id not in ids)
    return UpdatePlan(current, leftovers, len(updates) - len(current))


def operations(
    updates: Sequence[DocumentUpdate], size: int = OPERATION_POINTS
) -> Iterator[list[tuple[IndexPoint, int]]]:
    """Points with their document's total, in operations of at most `size`.

    A document is split over operations only when it alone is larger than one.
    """
    batch: list[tuple[IndexPoint, int]] = []
    for update in updates:
        total = len(update.points)
        if batch and len(batch) + total > size:
            yield batch
            batch = []
        for point in update.points:
            batch.append((point, total))
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


def slices(ids: Sequence[uuid.UUID], size: int = OPERATION_POINTS * 4) -> Iterator[list[uuid.UUID]]:
    """Split ids into lists of at most `size`."""
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
