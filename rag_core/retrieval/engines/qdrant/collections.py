"""Collections of a Qdrant server: names, ownership by installation, creation and configuration.

Several installations may share a server. Collection names begin with the installation's prefix, and each collection
stores the id of the installation that created it; one with another id is never read, written or dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from qdrant_client import QdrantClient, models

from rag_core.errors import ConfigError, Conflict, RagError, Reason
from rag_core.logging import get_logger
from rag_core.retrieval.engines.qdrant.layout import DENSE, LEXICAL, QdrantLayout, Shards
from rag_core.retrieval.engines.qdrant.reader import Call, QdrantReader
from rag_core.retrieval.index import GenerationSpec, IndexPoint
from rag_core.retrieval.search import lexical
from rag_core.settings import FieldType, QdrantSettings

log = get_logger(__name__)
ALIAS = "rag-live"
"""The alias after the prefix. Release 0.1 used it without a prefix."""
OLDEST: Final = (1, 19)
"""Older servers silently ignore `SearchParams.idf`, so scores would include term statistics of all tenants."""
_METADATA = "rag_platform"
_PROOF_POINTS = 64


@dataclass(frozen=True, slots=True)
class Installation:
    """The installation that owns collections. `owns` checks whether points of a generation match the rows."""

    prefix: str
    id: str
    owns: Callable[[str, Sequence[IndexPoint]], bool] = lambda _generation, _points: False


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """A generation's collection with its metadata: the specification, and whether points store their samples."""

    collection: str
    spec: GenerationSpec
    encoder: str
    has_idf_samples: bool
    shards: Shards


class Collections:
    """The collections of one installation. The server's version and the installation are read once."""

    def __init__(
        self,
        call: Call,
        installation: Callable[[], Installation],
        metadata: Mapping[str, FieldType],
        layout: QdrantLayout,
        *,
        local: bool,
    ) -> None:
        self._layout = layout
        self._call, self._installation = call, installation
        self._metadata = metadata
        self._local = local
        self._held: dict[str, StoredCollection] = {}
        self._indexed: set[str] = set()

    @cached_property
    def mine(self) -> Installation:
        """The installation. Raises `ConfigError` (`INDEX_VERSION`) when the server is too old."""
        found = self._installation()
        if not self._local:
            require_version(self._call(lambda client: client.info()).version)
        return found

    def require_server(self) -> None:
        """Check the server's version before any other request. Raises as `mine`."""
        _ = self.mine

    @property
    def alias(self) -> str:
        """The alias that readers use."""
        return f"{self.mine.prefix}_{ALIAS}"

    def name_of(self, generation: str) -> str:
        """The name of a new collection."""
        return f"{self.mine.prefix}_{generation}"

    def invalidate(self, generation: str) -> None:
        """Drop the cached state of a generation, because another process may have changed it."""
        held = self._held.pop(generation, None)
        if held is not None:
            self._indexed.discard(held.collection)

    def find(self, generation: str) -> StoredCollection | None:
        """The collection of a generation, or `None`.

        Raises `Conflict` (`INDEX_FOREIGN`) when another installation created a collection of that name.
        """
        if generation not in self._held:
            own = self.name_of(generation)
            found = self._inspect(own, generation)
            if found is None and self._exists(own):
                raise Conflict(
                    Reason.INDEX_FOREIGN, f"collection {own} was made by another installation; set RAG_QDRANT_PREFIX"
                )
            found = found or self._inspect(generation, generation)
            if found is None:
                return None
            self._held[generation] = found
        return self._held[generation]

    def all(self) -> list[StoredCollection]:
        """Every generation of this installation, without other installations' collections."""
        prefix = f"{self.mine.prefix}_"
        names = [item.name for item in self._call(lambda client: client.get_collections()).collections]
        found = {}
        for name in sorted(names, key=lambda name: not name.startswith(prefix)):
            generation = name.removeprefix(prefix)
            if generation not in found and (held := self._inspect(name, generation)) is not None:
                found[generation] = held
        return list(found.values())

    def target(self, named: Mapping[str, str]) -> str | None:
        """The generation that the alias points to, from the server's aliases (alias to collection)."""
        for alias in self.aliases(named):
            if alias in named:
                return named[alias].removeprefix(f"{self.mine.prefix}_")
        return None

    def aliases(self, named: Mapping[str, str]) -> list[str]:
        """The aliases that readers of this installation use; release 0.1 reads the one without a prefix."""
        old = named.get(ALIAS)
        ours = old is not None and self._inspect(old, old.removeprefix(f"{self.mine.prefix}_")) is not None
        return [self.alias, ALIAS] if ours else [self.alias]

    def alias_steps(self, named: Mapping[str, str], target: str | None = None) -> list[models.AliasOperations]:
        """The operations that point the aliases of `aliases` to a collection, or without one remove them."""
        steps: list[models.AliasOperations] = []
        for alias in self.aliases(named):
            if alias in named:
                steps.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
            if target is not None:
                created = models.CreateAlias(collection_name=target, alias_name=alias)
                steps.append(models.CreateAliasOperation(create_alias=created))
        return steps

    def create(self, spec: GenerationSpec) -> None:
        """Create the collection of a generation with its payload indexes."""
        name = self.name_of(spec.name)
        self._call(
            lambda client: client.create_collection(
                name,
                **self._layout.collection(spec.dimensions),
                metadata={
                    _METADATA: _described(spec) | self._layout.shards.describe() | {"installation": self.mine.id}
                },
            )
        )
        self.complete(name, self._layout.shards)

    def complete(self, collection: str, shards: Shards) -> None:
        """Create missing shard keys and payload indexes, once per process: another may have died in between."""
        if self._local or collection in self._indexed:
            return
        for key in self._missing_keys(collection, shards):
            self._call(_adding(collection, key, self._layout.settings))
        for field, kind in self.missing_indexes(collection).items():
            self._call(_creating(collection, field, kind))
        self._indexed.add(collection)

    def _missing_keys(self, collection: str, shards: Shards) -> list[int | str]:
        if shards.keys is None:
            return []
        info = self._call(lambda client: client.collection_cluster_info(collection))
        present = {shard.shard_key for shard in info.local_shards} | {shard.shard_key for shard in info.remote_shards}
        return [key for key in shards.keys if key not in present]

    def missing_indexes(self, collection: str) -> dict[str, Any]:
        """The required payload indexes that a collection does not have."""
        if self._local:
            return {}
        present = self._call(lambda client: client.get_collection(collection)).payload_schema
        wanted = self._layout.payload_indexes(self._metadata)
        return {field: kind for field, kind in wanted.items() if field not in present}

    def differences(self, held: StoredCollection) -> list[str]:
        """Differences between a collection's configuration and its generation's needs."""
        info = self._call(lambda client: client.get_collection(held.collection))
        self._follow_graph(held.collection, info.config)
        found = [f"payload index {field} is missing" for field in self.missing_indexes(held.collection)]
        vectors = info.config.params.vectors
        dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
        if dense is None or (dense.size, dense.distance) != (held.spec.dimensions, models.Distance.COSINE):
            found.append(f"vector {DENSE} is not of {held.spec.dimensions} dimensions with cosine distance")
        sparse = (info.config.params.sparse_vectors or {}).get(LEXICAL)
        if sparse is None or sparse.modifier is not models.Modifier.IDF:
            found.append(f"vector {LEXICAL} is not weighed by term statistics")
        return found

    def _follow_graph(self, collection: str, has: models.CollectionConfig) -> None:
        """Have the server build the search graph of the settings, from the vectors it has, if that is another one."""
        wanted = self._layout.graph()
        graph, small = wanted["hnsw_config"], wanted["quantization_config"]
        same = (graph.m, graph.ef_construct) == (has.hnsw_config.m, has.hnsw_config.ef_construct)
        if self._local or (same and (small is None) == (has.quantization_config is None)):
            return
        changed = wanted | {"quantization_config": small or models.Disabled.DISABLED}
        self._call(lambda client: client.update_collection(collection, **changed))

    def _exists(self, collection: str) -> bool:
        return self._call(lambda client: client.collection_exists(collection))

    def _inspect(self, collection: str, generation: str) -> StoredCollection | None:
        """Read a collection's metadata; `None` unless it exists and belongs to this installation."""
        if not self._exists(collection):
            return None
        metadata = self._call(lambda client: client.get_collection(collection)).config.metadata or {}
        stored = metadata.get(_METADATA)
        if not isinstance(stored, dict):
            return None
        spec = GenerationSpec(generation, int(stored["dimensions"]), str(stored["embedder"]), str(stored["chunker"]))
        has_idf_samples = stored.get("sampled") is True
        held = StoredCollection(collection, spec, str(stored["lexical"]), has_idf_samples, Shards.described(stored))
        owner = stored.get("installation")
        if owner is None and not self._adopt(held, stored):
            return None
        return held if owner in (None, self.mine.id) else None

    def _adopt(self, held: StoredCollection, stored: Mapping[str, Any]) -> bool:
        """Take over a collection of a release that stored no id, once its points match this installation's rows."""
        reader = QdrantReader(self._call, held.collection, has_idf_samples=held.has_idf_samples)
        points = next(iter(reader.scroll(_PROOF_POINTS, with_vectors=False)), [])
        if not points or not self.mine.owns(held.spec.name, points):
            return False
        mark = {_METADATA: {**stored, "installation": self.mine.id}}
        try:
            self._call(lambda client: client.update_collection(held.collection, metadata=mark))
        except RagError as error:  # a read-only key; a pipeline stores the id
            log.info("collection_not_marked", collection=held.collection, reason=error.reason)
        return True


def require_version(version: str) -> None:
    """Raise `ConfigError` (`INDEX_VERSION`) when the server is older than required."""
    parts = version.lstrip("v").split(".")
    if tuple(int(part) for part in parts[:2] if part.isdecimal()) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ConfigError(Reason.INDEX_VERSION, f"the Qdrant server is version {version[:20]}; {oldest} is needed")


def _creating(collection: str, field: str, kind: Any) -> Callable[[QdrantClient], object]:
    return lambda client: client.create_payload_index(collection, field, kind, wait=True)


def _adding(collection: str, key: int | str, chosen: QdrantSettings) -> Callable[[QdrantClient], object]:
    return lambda client: client.create_shard_key(
        collection, key, shards_number=chosen.qdrant_shards, replication_factor=chosen.qdrant_replicas
    )


def _described(spec: GenerationSpec) -> dict[str, Any]:
    return {
        "dimensions": spec.dimensions,
        "embedder": spec.embedder,
        "chunker": spec.chunker,
        "lexical": lexical.FINGERPRINT,
        "sampled": True,
    }
