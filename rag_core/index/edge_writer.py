"""Writes to one Edge shard."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import qdrant_edge as edge

from rag_core.index.base import DocumentUpdate
from rag_core.index.edge_dialect import engine_errors
from rag_core.index.edge_shard import DENSE, LEXICAL
from rag_core.index.lexical import encode_documents
from rag_core.index.payloads import to_json
from rag_core.index.planning import OPERATION_POINTS, operations, slices


def upsert(shard: edge.EdgeShard, updates: Sequence[DocumentUpdate]) -> int:
    """Write the points of updates; a document of up to `OPERATION_POINTS` points becomes visible in one step."""
    written = 0
    for batch in operations(updates):
        vectors = encode_documents([point.lexical_text or point.payload.text for point, _ in batch])
        points = [
            edge.Point(
                point.chunk_id,
                {DENSE: point.vector.tolist(), LEXICAL: edge.SparseVector(terms.indices, terms.values)},
                to_json(point, total),
            )
            for (point, total), terms in zip(batch, vectors, strict=True)
        ]
        with engine_errors():
            shard.update(edge.UpdateOperation.upsert_points(points))
        written += len(points)
    return written


def delete(shard: edge.EdgeShard, ids: Sequence[uuid.UUID]) -> None:
    """Remove points by id."""
    for some in slices(ids):
        with engine_errors():
            shard.update(edge.UpdateOperation.delete_points([*some]))


def replay(source: edge.EdgeShard, target: edge.EdgeShard, ids: Sequence[uuid.UUID]) -> None:
    """Bring points of `target` to their state in `source`, absence included."""
    for wanted in slices(ids, OPERATION_POINTS):
        with engine_errors():
            records = source.retrieve([*wanted], with_payload=True, with_vector=True)
            present = [edge.Point(record.id, record.vector or {}, record.payload) for record in records]
            gone: list[edge.PointId] = [*(set(wanted) - {record.id for record in records})]
            if present:
                target.update(edge.UpdateOperation.upsert_points(present))
            if gone:
                target.update(edge.UpdateOperation.delete_points(gone))
