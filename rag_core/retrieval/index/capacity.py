"""Capacity planning of an index: memory, disk, nodes and hours, with matching settings.

Computed from measured bytes and rates; docs/explanation/capacity-and-recovery.md has the derivation and the hardware.
An estimate for planning: test with a tenth of the corpus first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GIB = 2.0**30
_LINK_BYTES = 4
_GRAPH_LAYERS = 1.1
"""Upper layers of the search graph add about a tenth to the links of the lowest one, 2 x m per point."""
_TRACKER_BYTES = 32
"""Maps between internal and external ids, and the point's version."""
SPARSE_INDEX_BYTES = 480
"""Postings of the lexical leg for a chunk of about 900 characters."""
PAYLOAD_INDEX_BYTES = 640
"""Tenant, document, ACL, source, locator, title, times: measured with one ACL entry; longer ACLs need more."""
SPARSE_VECTOR_BYTES = 1_040
"""The stored terms, which are read again when a segment is rebuilt."""
PAYLOAD_BYTES = 1_360
"""Text of about 900 characters, headings and other fields."""
DATABASE_BYTES = 2_500
"""Chunk, embedding and their indexes in PostgreSQL."""
_EMBED_PER_CORE_SECOND = 14.0
"""Chunks of about 200 tokens with the bundled model, int8 on ONNX Runtime."""
_WRITE_PER_CORE_SECOND = 2_000.0
"""Points encoded, sent and applied, without building the search graph."""
_FILL = 0.7
"""Share of a node's memory and disk that the index may use; the rest is for merges, page cache and growth."""


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """The result of `plan_capacity`. Memory and disk are for the whole cluster with all replicas, in GiB."""

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
    links: int = 32,
) -> CapacityPlan:
    """Plan an index of `chunks` points on nodes of the given size. `cores` embed and write; all counts at least 1."""
    whole = 4 * dimensions
    graph = 2 * links * _LINK_BYTES * _GRAPH_LAYERS
    indexes = SPARSE_INDEX_BYTES + PAYLOAD_INDEX_BYTES + _TRACKER_BYTES
    # The graph is searched by vectors of one byte per dimension, and the best are scored again by the full ones.
    searched = dimensions + graph + indexes
    usable = node_memory_gib * GIB * _FILL
    on_disk = chunks * (whole + searched) > usable  # once full vectors need more than one node
    memory = chunks * replicas * (searched if on_disk else whole + searched)
    # A merge writes a second copy of a segment: the largest are a twentieth of a shard.
    disk = chunks * replicas * (whole + searched + SPARSE_VECTOR_BYTES + PAYLOAD_BYTES) * 1.05
    nodes = max(math.ceil(memory / usable), math.ceil(disk / (node_disk_gib * GIB * _FILL)), replicas)
    return CapacityPlan(
        memory_gib=memory / GIB,
        disk_gib=disk / GIB,
        database_gib=chunks * DATABASE_BYTES / GIB,
        nodes=nodes,
        embedding_hours=chunks / (_EMBED_PER_CORE_SECOND * cores) / 3600,
        writing_hours=chunks * replicas / (_WRITE_PER_CORE_SECOND * cores) / 3600,
        settings=_settings(nodes, replicas, on_disk=on_disk),
    )


def _settings(nodes: int, replicas: int, *, on_disk: bool) -> dict[str, str]:
    """Settings that differ from the defaults. Two shards per node allow adding nodes without resharding."""
    chosen = {
        "RAG_QDRANT_SHARDS": str(1 if nodes == 1 else 2 * nodes),
        "RAG_QDRANT_REPLICAS": str(replicas),
        # A majority, except with two replicas: PostgreSQL has all data, and the loss of one node must not stop writes.
        "RAG_QDRANT_WRITE_CONSISTENCY": str((replicas + 1) // 2),
    }
    if nodes > 1:
        # Large writes keep all nodes' writers busy, and read the versions for fencing once.
        chosen |= {
            "RAG_QDRANT_WRITE_PARALLEL": str(min(2 * nodes, 16)),
            "RAG_INDEX_BATCH_DOCUMENTS": "1000",
            "RAG_INDEX_BATCH_POINTS": "10000",
        }
    if on_disk:
        chosen["RAG_QDRANT_VECTORS_ON_DISK"] = "true"
    return chosen
