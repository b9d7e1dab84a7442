"""What a shard of an Edge generation is made of: its vectors and payload indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qdrant_edge as edge

from rag_core.retrieval.engines.edge.filters import engine_errors
from rag_core.retrieval.index import IDF_SAMPLES, KEYWORDS

DENSE = "dense"
LEXICAL = "lexical"


def config(dimensions: int) -> edge.EdgeConfig:
    """The shard's configuration. The write-ahead log is on: acknowledged writes survive a kill."""
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
        sparse_vectors={LEXICAL: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        wal_enabled=True,
    )


def create_shard(path: Path, dimensions: int) -> None:
    """Create an empty shard with its payload indexes, tenant first, and close it."""
    path.mkdir(parents=True)
    with engine_errors():
        shard = edge.EdgeShard.create(str(path), config(dimensions))
        kinds: dict[str, Any] = {"tenant": edge.KeywordIndexParams(is_tenant=True), "doc_id": edge.UuidIndexParams()}
        kinds |= dict.fromkeys(("acl", *KEYWORDS), edge.PayloadSchemaType.Keyword)
        kinds |= {"version": edge.PayloadSchemaType.Integer, "updated_at": edge.PayloadSchemaType.Datetime}
        # No dense search filters by a sample, so the search graph needs no links within one.
        kinds[IDF_SAMPLES] = edge.KeywordIndexParams(enable_hnsw=False)
        for field, kind in kinds.items():
            shard.update(edge.UpdateOperation.create_field_index(field, kind))
        shard.flush()
        shard.close()
