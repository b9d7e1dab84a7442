"""Capacity planning of an index: memory, disk, nodes and hours, and the settings that go with them.

Arithmetic on bytes and rates that were measured; docs/explanation/capacity-and-recovery.md has the derivation and says
on what they were measured. An estimate for planning, not a promise: try a tenth of it first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GIB = 2.0**30
_LINK_BYTES = 4
_GRAPH_LAYERS = 1.1
"""Upper layers of the search graph add about a tenth of the links of the lowest one, which has 2 x m a point."""
_TRACKER_BYTES = 32
"""Internal to external id and back, and the point's version."""
SPARSE_INDEX_BYTES = 480
"""Postings of the lexical leg, a chunk of about 900 characters."""
PAYLOAD_INDEX_BYTES = 640
"""Tenant, document, ACL, source, locator, title, times: measured with one ACL entry, so that long lists cost more."""
SPARSE_VECTOR_BYTES = 1_040
"""The terms as they are stored, to be read again when a segment is rebuilt."""
PAYLOAD_BYTES = 1_360
"""Text of about 900 characters, headings, and the fields beside it."""
DATABASE_BYTES = 2_500
"""Chunk, embedding and their indexes in PostgreSQL."""
_EMBED_PER_CORE_SECOND = 14.0
"""Chunks of about 200 tokens with the model that ships, int8 on ONNX Runtime."""
_WRITE_PER_CORE_SECOND = 2_000.0
"""Points encoded, sent and applied, without the search graph."""
_FILL = 0.7
"""Share of a node's memory and disk that the index may take: the rest is for merges, page cache and growth."""


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """The answer of `plan_capacity`. Memory and disk are of the whole cluster with all copies, in GiB."""

    memory_gib: float
    disk_gib: float
    database_gib: float
    nodes: int
    embedding_hours: float
    writing_hours: float
    settings: dict[str, str]


def plan_capacity(
    chunks: int,
    *,
    dimensions: int = 384,
    replicas: int = 2,
    node_memory_gib: float = 64,
    node_disk_gib: float = 1_000,
    cores: int = 32,
    links: int = 16,
) -> CapacityPlan:
    """Plan an index of `chunks` points on nodes of the given size. `cores` embed and write; all counts at least 1."""
    whole = 4 * dimensions
    graph = 2 * links * _LINK_BYTES * _GRAPH_LAYERS
    indexes = SPARSE_INDEX_BYTES + PAYLOAD_INDEX_BYTES + _TRACKER_BYTES
    stored = whole + graph + indexes + SPARSE_VECTOR_BYTES + PAYLOAD_BYTES
    usable = node_memory_gib * GIB * _FILL
    # One byte a dimension in memory, the whole vectors on disk, as soon as whole ones need more than one node.
    quantize = chunks * (whole + graph + indexes) > usable
    memory = chunks * replicas * ((dimensions if quantize else whole) + graph + indexes)
    # A segment is rewritten beside itself when it is merged: the largest are a twentieth of a shard.
    disk = chunks * replicas * (stored + (dimensions if quantize else 0)) * 1.05
    nodes = max(math.ceil(memory / usable), math.ceil(disk / (node_disk_gib * GIB * _FILL)), replicas)
    return CapacityPlan(
        memory_gib=memory / GIB,
        disk_gib=disk / GIB,
        database_gib=chunks * DATABASE_BYTES / GIB,
        nodes=nodes,
        embedding_hours=chunks / (_EMBED_PER_CORE_SECOND * cores) / 3600,
        writing_hours=chunks * replicas / (_WRITE_PER_CORE_SECOND * cores) / 3600,
        settings=_settings(nodes, replicas, quantize=quantize),
    )


def _settings(nodes: int, replicas: int, *, quantize: bool) -> dict[str, str]:
    """Settings that differ from the defaults. Two shards a node leave room to add nodes without resharding."""
    chosen = {
        "RAG_QDRANT_SHARDS": str(1 if nodes == 1 else 2 * nodes),
        "RAG_QDRANT_REPLICAS": str(replicas),
        # A majority, but for two copies: PostgreSQL is the truth, and the loss of one node must not stop writes.
        "RAG_QDRANT_WRITE_CONSISTENCY": str((replicas + 1) // 2),
    }
    if nodes > 1:
        # Each write carries enough for the writers of all nodes; what it read for fencing it reads once.
        chosen |= {
            "RAG_QDRANT_WRITE_PARALLEL": str(min(2 * nodes, 16)),
            "RAG_INDEX_BATCH_DOCUMENTS": "1000",
            "RAG_INDEX_BATCH_POINTS": "10000",
        }
    if quantize:
        chosen |= {"RAG_QDRANT_QUANTIZE": "true", "RAG_QDRANT_VECTORS_ON_DISK": "true", "RAG_QDRANT_HNSW_EF": "128"}
    return chosen
