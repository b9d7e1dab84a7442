"""Collections of a Qdrant server: which one holds a generation, which installation owns it, and its configuration.

Several installations may share a server. The names of one begin with its prefix, and each collection carries the id of
the installation that made it; one that carries another id is never read, written or dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from qdrant_client import QdrantClient, models

from rag_core.errors import ConfigError, Conflict, RagError, Reason
from rag_core.index import GenerationSpec, Point
from rag_core.index.qdrant.layout import DENSE, LEXICAL, QdrantLayout
from rag_core.index.qdrant.reader import Call, QdrantReader
from rag_core.index.qdrant.shards import Shards
from rag_core.logging import get_logger
from rag_core.search import lexical
from rag_core.settings import FieldType, QdrantSettings

log = get_logger(__name__)
ALIAS = "rag-live"
"""The alias, behind the prefix. Alone it is that of release 0.1, which had no prefix."""
OLDEST: Final = (1, 19)
"""Older servers ignore `SearchParams.idf` without a word, and term statistics of all tenants would be in the scores."""
_METADATA = "rag_platform"
_PROOF_POINTS = 64


@dataclass(frozen=True, slots=True)
class Installation:
    """Whose collections these are. `owns` says whether points of a generation are those that the rows know."""

    prefix: str
    id: str
    owns: Callable[[str, Sequence[Point]], bool] = lambda _generation, _points: False


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """A generation's collection, and what its metadata say: how it was built, and whether its points have samples."""

    collection: str
    spec: GenerationSpec
    encoder: str
    has_idf_samples: bool
    shards: Shards


class Collections:
    """The collections of one installation. The server's version and the installation are asked for once."""

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
        """The installation. Raises `ConfigError` (`INDEX_VERSION`) for a server that is too old."""
        found = self._installation()
        if not self._local:
            require_version(self._call(lambda client: client.info()).version)
        return found

    def require_server(self) -> None:
        """Check the server's version before anything else is asked. Raises as `mine`."""
        _ = self.mine

    @property
    def alias(self) -> str:
        """The name readers ask for."""
        return f"{self.mine.prefix}_{ALIAS}"

    def name_of(self, generation: str) -> str:
        """The name of a new collection."""
        return f"{self.mine.prefix}_{generation}"

    def invalidate(self, generation: str) -> None:
        """Ask the server about a generation again: another process may have changed it."""
        held = self._held.pop(generation, None)
        if held is not None:
            self._indexed.discard(held.collection)

    def find(self, generation: str) -> StoredCollection | None:
        """The collection of a generation, `None` when there is none.

        Raises `Conflict` (`INDEX_FOREIGN`) for one of our name that another installation made.
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
        """Every generation of this installation. Collections of others are passed over."""
        prefix = f"{self.mine.prefix}_"
        names = [item.name for item in self._call(lambda client: client.get_collections()).collections]
        found = {}
        for name in sorted(names, key=lambda name: not name.startswith(prefix)):
            generation = name.removeprefix(prefix)
            if generation not in found and (held := self._inspect(name, generation)) is not None:
                found[generation] = held
        return list(found.values())

    def target(self, named: Mapping[str, str]) -> str | None:
        """The generation that readers are on, by the server's aliases (alias to collection)."""
        for alias in self.aliases(named):
            if alias in named:
                return named[alias].removeprefix(f"{self.mine.prefix}_")
        return None

    def aliases(self, named: Mapping[str, str]) -> list[str]:
        """The aliases that readers of this installation use; those of release 0.1 read the one without a prefix."""
        old = named.get(ALIAS)
        ours = old is not None and self._inspect(old, old.removeprefix(f"{self.mine.prefix}_")) is not None
        return [self.alias, ALIAS] if ours else [self.alias]

    def create(self, spec: GenerationSpec) -> None:
        """Make the collection of a generation, with its payload indexes."""
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
        """Create the shard keys and payload indexes that are missing; once a process: one may die between two."""
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
        """The payload indexes that a collection must have and has not."""
        if self._local:
            return {}
        present = self._call(lambda client: client.get_collection(collection)).payload_schema
        wanted = self._layout.payload_indexes(self._metadata)
        return {field: kind for field, kind in wanted.items() if field not in present}

    def differences(self, held: StoredCollection) -> list[str]:
        """What of a collection's configuration is not as its generation needs it."""
        info = self._call(lambda client: client.get_collection(held.collection))
        found = [f"payload index {field} is missing" for field in self.missing_indexes(held.collection)]
        vectors = info.config.params.vectors
        dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
        if dense is None or (dense.size, dense.distance) != (held.spec.dimensions, models.Distance.COSINE):
            found.append(f"vector {DENSE} is not of {held.spec.dimensions} dimensions with cosine distance")
        sparse = (info.config.params.sparse_vectors or {}).get(LEXICAL)
        if sparse is None or sparse.modifier is not models.Modifier.IDF:
            found.append(f"vector {LEXICAL} is not weighed by term statistics")
        return found

    def _exists(self, collection: str) -> bool:
        return self._call(lambda client: client.collection_exists(collection))

    def _inspect(self, collection: str, generation: str) -> StoredCollection | None:
        """What a collection holds, `None` unless it exists and is ours."""
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
        """Take a collection of a release that wrote no id, once its points prove to be those of our rows."""
        reader = QdrantReader(self._call, held.collection, has_idf_samples=held.has_idf_samples)
        points = next(iter(reader.scroll(_PROOF_POINTS, with_vectors=False)), [])
        if not points or not self.mine.owns(held.spec.name, points):
            return False
        mark = {_METADATA: {**stored, "installation": self.mine.id}}
        try:
            self._call(lambda client: client.update_collection(held.collection, metadata=mark))
        except RagError as error:  # a key that may only read; a pipeline marks it
            log.info("collection_not_marked", collection=held.collection, reason=error.reason)
        return True


def require_version(version: str) -> None:
    """Raise `ConfigError` (`INDEX_VERSION`) for a server that is older than this program needs."""
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
