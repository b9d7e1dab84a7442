"""How a Qdrant server keeps the index. The defaults fit one node; `rag index plan` prints those of a cluster."""

from __future__ import annotations

from pydantic import BaseModel, Field


class QdrantSettings(BaseModel):
    """Layout of the collections that are made from now on; existing generations keep theirs."""

    qdrant_shards: int = Field(1, ge=1, le=10_000, description="Shards of a new generation on a Qdrant server.")
    qdrant_large_tenants: str = Field(
        "",
        pattern=r"^[^,\s]*(,[^,\s]+)*$",
        description="Tenants (with commas) that get shards of their own in new generations, RAG_QDRANT_SHARDS each; "
        "the others share as many. Needs a Qdrant cluster. Existing generations keep theirs: build a new one.",
    )
    qdrant_replicas: int = Field(1, ge=1, le=10, description="Copies of each shard, on different nodes.")
    qdrant_write_consistency: int = Field(
        1, ge=1, le=10, description="Copies that must have taken a write before it counts; at most RAG_QDRANT_REPLICAS."
    )
    qdrant_vectors_on_disk: bool = Field(
        False, description="Keep full vectors on disk; with RAG_QDRANT_QUANTIZE the small ones stay in memory."
    )
    qdrant_indexes_on_disk: bool = Field(
        False, description="Keep lexical and payload indexes on disk: less memory, slower filters."
    )
    qdrant_quantize: bool = Field(
        False, description="Search vectors of one byte a dimension, then score the best again by the full ones."
    )
    qdrant_oversampling: float = Field(
        2.0,
        ge=1,
        le=10,
        description="With RAG_QDRANT_QUANTIZE: candidates scored again, as a multiple of those asked for.",
    )
    qdrant_hnsw_m: int = Field(16, ge=4, le=128, description="Links of a point in the search graph.")
    qdrant_hnsw_ef_construct: int = Field(
        100, ge=4, le=2000, description="Candidates considered while a point is linked into the graph."
    )
    qdrant_hnsw_ef: int | None = Field(
        None, ge=4, le=10_000, description="Candidates considered by a dense search; unset: the server's choice."
    )
    qdrant_write_points: int = Field(
        256, ge=1, le=10_000, description="Points of one write operation on a Qdrant server at most."
    )
    qdrant_write_parallel: int = Field(
        1,
        ge=1,
        le=64,
        description="Write operations sent to a Qdrant server at once. 1: each waits until it is applied. More: none "
        "does, and one flush with a look at what is stored ends them, before anything is marked as held.",
    )
    qdrant_graph_from_kb: int = Field(
        4_000,
        ge=1,
        description="Kilobytes of vectors in a segment from which the server builds a search graph (4,000 KB are 2,600 "
        "vectors of 384 dimensions; a server keeps a few segments per shard).",
    )
