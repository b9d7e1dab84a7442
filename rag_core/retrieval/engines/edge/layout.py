"""The parts of a shard of an Edge generation: its vectors, search graph and payload indexes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qdrant_edge as edge

from rag_core.retrieval.engines.edge.filters import engine_errors
from rag_core.retrieval.index import IDF_SAMPLES, KEYWORDS
from rag_core.retrieval.search import QUICK_EF, Effort
from rag_core.settings import QdrantSettings

DENSE = "dense"
LEXICAL = "lexical"
DEFAULTS = QdrantSettings()
"""The search graph of a Qdrant server's defaults, compared in docs/history/performance-2026-11.md."""
_FULL_SCAN_KB = 10_000
"""Kilobytes of full vectors that a filter may leave for a search to compare each of them: the engine's own default."""


def config(dimensions: int, chosen: QdrantSettings = DEFAULTS) -> edge.EdgeConfig:
    """The shard's configuration. The write-ahead log is on: acknowledged writes survive a kill.

    A shard searches in one thread: there is one large segment, and handing legs and segments to others costs a fifth of
    the search (docs/history/measurements.md).
    """
    int8 = edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, quantile=0.99)
    dense = edge.EdgeVectorParams(
        size=dimensions,
        distance=edge.Distance.Cosine,
        quantization_config=int8 if chosen.qdrant_quantize else None,
        hnsw_config=edge.HnswIndexConfig(
            m=chosen.qdrant_hnsw_m,
            ef_construct=chosen.qdrant_hnsw_ef_construct,
            full_scan_threshold=_FULL_SCAN_KB,
        ),
    )
    return edge.EdgeConfig(
        vectors={DENSE: dense},
        sparse_vectors={LEXICAL: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        max_search_threads=1,
        wal_enabled=True,
    )


def graph_fingerprint(chosen: QdrantSettings = DEFAULTS) -> str:
    """Identifies the search graph that `config` describes. A generation with another one gets a new graph."""
    vectors = "int8" if chosen.qdrant_quantize else "float32"
    return f"{vectors}-m{chosen.qdrant_hnsw_m}-ef{chosen.qdrant_hnsw_ef_construct}"


def dense_searches(chosen: QdrantSettings = DEFAULTS) -> dict[Effort, edge.SearchParams]:
    """Parameters of dense searches."""
    rescored = edge.QuantizationSearchParams(rescore=True, oversampling=chosen.qdrant_oversampling)
    small = rescored if chosen.qdrant_quantize else None
    return {
        Effort.QUICK: edge.SearchParams(hnsw_ef=QUICK_EF, quantization=small),
        Effort.GRAPH: edge.SearchParams(hnsw_ef=chosen.qdrant_hnsw_ef, quantization=small),
        Effort.EXACT: edge.SearchParams(exact=True, quantization=edge.QuantizationSearchParams(ignore=True)),
    }


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
