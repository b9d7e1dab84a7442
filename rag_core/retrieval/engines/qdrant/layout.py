"""The layout of a generation on a Qdrant server: shards, replicas, storage, search graph, quantization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qdrant_client import models

from rag_core.errors import ConfigError, Reason
from rag_core.retrieval.index import IDF_SAMPLES, KEYWORDS, NUMBERS, DocumentUpdate
from rag_core.retrieval.search import QUICK_EF, Effort
from rag_core.settings import FieldType, QdrantSettings

DENSE = "dense"
LEXICAL = "lexical"


@dataclass(frozen=True, slots=True)
class QdrantLayout:
    """The layout settings `RAG_QDRANT_…` as Qdrant's parameters."""

    settings: QdrantSettings
    brute_force: bool = False
    """Class name of qdrant-client's memory mode, which has no search graph and takes no parameters for one."""

    def __post_init__(self) -> None:
        if self.settings.qdrant_write_consistency > self.settings.qdrant_replicas:
            raise ConfigError(
                Reason.CONFIG_RANGE,
                "RAG_QDRANT_WRITE_CONSISTENCY must be at most RAG_QDRANT_REPLICAS: each write would fail",
            )

    @property
    def shards(self) -> Shards:
        """The shards of a new collection."""
        named = [name for name in self.settings.qdrant_large_tenants.split(",") if name]
        return Shards(tuple(dict.fromkeys(named)) if named else None)

    def collection(self, dimensions: int) -> dict[str, Any]:
        """Arguments of `create_collection`, except name and metadata. Without a search graph: see `graph_later`."""
        chosen = self.settings
        return {
            "vectors_config": {
                DENSE: models.VectorParams(
                    size=dimensions, distance=models.Distance.COSINE, on_disk=chosen.qdrant_vectors_on_disk or None
                )
            },
            "sparse_vectors_config": {
                LEXICAL: models.SparseVectorParams(
                    modifier=models.Modifier.IDF,
                    index=models.SparseIndexParams(on_disk=chosen.qdrant_indexes_on_disk or None),
                )
            },
            "shard_number": chosen.qdrant_shards,
            "sharding_method": None if self.shards.large is None else models.ShardingMethod.CUSTOM,
            "replication_factor": chosen.qdrant_replicas,
            "write_consistency_factor": chosen.qdrant_write_consistency,
            **self.graph(),
            "optimizers_config": models.OptimizersConfigDiff(indexing_threshold=0),
        }

    def graph(self) -> dict[str, Any]:
        """The search graph and the vectors it is searched by, as arguments of `create_collection`.

        A server builds another graph, from the vectors it has, when these are changed.
        """
        chosen = self.settings
        int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        return {
            "hnsw_config": models.HnswConfigDiff(m=chosen.qdrant_hnsw_m, ef_construct=chosen.qdrant_hnsw_ef_construct),
            "quantization_config": models.ScalarQuantization(scalar=int8) if chosen.qdrant_quantize else None,
        }

    def payload_indexes(self, metadata: Mapping[str, FieldType]) -> dict[str, Any]:
        """The index of each payload field that filters use, including the declared `metadata` fields."""
        on_disk = self.settings.qdrant_indexes_on_disk or None

        def keyword(**options: bool) -> models.KeywordIndexParams:
            return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, on_disk=on_disk, **options)

        moment = models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME, on_disk=on_disk)
        kinds: dict[str, Any] = {
            "tenant": keyword(is_tenant=True),
            "doc_id": models.UuidIndexParams(type=models.UuidIndexType.UUID, on_disk=on_disk),
            **{field: keyword() for field in ("acl", *KEYWORDS)},
            "version": models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, on_disk=on_disk),
            "ordinal": models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, on_disk=on_disk),
            "updated_at": moment,
            # No dense search filters by a sample, so the search graph needs no links within one.
            IDF_SAMPLES: keyword(enable_hnsw=False),
        }
        for name, kind in sorted(metadata.items()):
            kinds[f"metadata.{name}"] = moment if kind is FieldType.TIME else keyword()
            if kind is FieldType.NUMBER:
                kinds[f"{NUMBERS}.{name}"] = models.FloatIndexParams(type=models.FloatIndexType.FLOAT, on_disk=on_disk)
        return kinds

    def graph_later(self) -> models.OptimizersConfigDiff:
        """The optimizer settings for a filled generation: building the graph at the end costs much less."""
        return models.OptimizersConfigDiff(indexing_threshold=self.settings.qdrant_graph_from_kb)

    def dense_searches(self) -> dict[Effort, models.SearchParams]:
        """Parameters of dense searches."""
        if self.brute_force:
            return {}
        chosen = self.settings
        rescored = models.QuantizationSearchParams(rescore=True, oversampling=chosen.qdrant_oversampling)
        small = rescored if chosen.qdrant_quantize else None
        ignored = models.QuantizationSearchParams(ignore=True)
        return {
            Effort.QUICK: models.SearchParams(hnsw_ef=QUICK_EF, quantization=small),
            Effort.GRAPH: models.SearchParams(hnsw_ef=chosen.qdrant_hnsw_ef, quantization=small),
            Effort.EXACT: models.SearchParams(exact=True, quantization=ignored),
        }


ONE_NODE = QdrantLayout(QdrantSettings())
IN_MEMORY = QdrantLayout(QdrantSettings(), brute_force=True)


SHARED: Final = "shared"
_LARGE = "large_tenants"


@dataclass(frozen=True, slots=True)
class Shards:
    """The shards of one collection. `large` is `None` when Qdrant distributes all points over all shards."""

    large: tuple[str, ...] | None = None

    @classmethod
    def described(cls, stored: Mapping[str, Any]) -> Shards:
        """Read the output of `describe`."""
        large = stored.get(_LARGE)
        return cls(tuple(map(str, large))) if isinstance(large, list) else cls()

    def describe(self) -> dict[str, list[str]]:
        """The assignment as JSON, for the collection's metadata."""
        return {} if self.large is None else {_LARGE: list(self.large)}

    @property
    def keys(self) -> list[int | str] | None:
        """All shard keys; `None` when there are none."""
        return None if self.large is None else [SHARED, *map(_key, self.large)]

    def of(self, tenant: str | None) -> str | None:
        """The key of a tenant's shards; `None` means all shards."""
        if self.large is None or tenant is None:
            return None
        return _key(tenant) if tenant in self.large else SHARED

    def grouped(self, updates: Sequence[DocumentUpdate]) -> dict[str | None, list[DocumentUpdate]]:
        """Group updates with points by the key of their shards."""
        found: dict[str | None, list[DocumentUpdate]] = {}
        for update in updates:
            if update.points:
                found.setdefault(self.of(update.points[0].payload.tenant), []).append(update)
        return found


def _key(tenant: str) -> str:
    return f"tenant:{tenant}"
