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
_PAYLOAD_INDEXES = "mapped"
"""Names what `create_payload_indexes` makes; another one there needs another name here."""
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
    """Identifies the search graph and its payload indexes. A generation with others gets them, of its own vectors."""
    vectors = "int8" if chosen.qdrant_quantize else "float32"
    return f"{vectors}-m{chosen.qdrant_hnsw_m}-ef{chosen.qdrant_hnsw_ef_construct}-{_PAYLOAD_INDEXES}"


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
    """Create an empty shard with its payload indexes and close it."""
    path.mkdir(parents=True)
    with engine_errors():
        shard = edge.EdgeShard.create(str(path), config(dimensions))
        create_payload_indexes(shard)
        shard.flush()
        shard.close()


def create_payload_indexes(shard: edge.EdgeShard) -> None:
    """Create the index of each payload field that filters use, tenant first; one that is as described is left.

    Indexes of every search are held in memory. The others are read from mapped files: held in memory, they are most of
    the time in which a shard is loaded, and a load stops all calls (docs/history/measurements.md).
    """
    mapped = edge.Memory.Cached
    # No dense search filters by a sample or a version alone, so the search graph needs no links within one.
    kinds: dict[str, Any] = {
        "tenant": edge.KeywordIndexParams(is_tenant=True),
        "acl": edge.KeywordIndexParams(),
        IDF_SAMPLES: edge.KeywordIndexParams(enable_hnsw=False),
        "doc_id": edge.UuidIndexParams(memory=mapped),
        "version": edge.IntegerIndexParams(lookup=False, range=True, enable_hnsw=False, memory=mapped),
        "updated_at": edge.DatetimeIndexParams(memory=mapped),
        **{field: edge.KeywordIndexParams(memory=mapped) for field in KEYWORDS},
    }
    for field, kind in kinds.items():
        shard.update(edge.UpdateOperation.create_field_index(field, kind))
