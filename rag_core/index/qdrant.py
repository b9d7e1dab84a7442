"""A Qdrant server or cluster through qdrant-client (gRPC), or qdrant-client's local mode in tests.

A generation is a collection with our specification in its metadata; the alias is a real collection alias. Writes wait
until the server has applied them.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from qdrant_client import QdrantClient, models

from rag_core import failpoints
from rag_core.errors import ConfigError, Conflict, NotFound, Reason, Unavailable
from rag_core.index import checks, lexical, retrieval
from rag_core.index.base import (
    ApplyResult,
    DocumentUpdate,
    GenerationSpec,
    Point,
    SearchRequest,
    SearchResult,
)
from rag_core.index.conditions import within
from rag_core.index.planning import READ_DOCUMENTS, operations, plan, slices
from rag_core.index.qdrant_dialect import DIALECT, engine_errors
from rag_core.index.qdrant_layout import ONE_NODE, QdrantLayout
from rag_core.index.qdrant_reader import QdrantReader, to_struct

ALIAS = "rag-live"
_METADATA = "rag_platform"
_GRPC_PORT = 6334
_KEEPALIVE = {"grpc.keepalive_time_ms": 30_000, "grpc.keepalive_timeout_ms": 10_000}
"""Without pings a call on a connection whose server lost power waits for its whole deadline."""
_LOOK_SECONDS = 0.5
_CALM_LOOKS = 3
"""The optimizer starts a moment after it was told to."""
_OPTIMIZE_SECONDS = 6 * 3600.0
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the metadata of a collection say: how it was built, and whether its points carry their samples."""

    spec: GenerationSpec
    encoder: str
    sampled: bool


class QdrantIndex:
    """See `VectorIndex`."""

    def __init__(
        self,
        client: QdrantClient,
        layout: QdrantLayout = ONE_NODE,
        *,
        local: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`local` means qdrant-client's in-memory mode: not thread-safe, without payload indexes and optimizer."""
        self._layout = layout
        self._pause = pause
        self._client = client
        self._local = local
        self._one_at_a_time = threading.RLock()
        self._known: dict[str, _Kept] = {}

    @classmethod
    def connect(cls, url: str, api_key: str | None, timeout: float, layout: QdrantLayout = ONE_NODE) -> QdrantIndex:
        """A client for `http(s)://host:port` of the gRPC interface. Connects at the first call.

        Raises `ConfigError` (`CONFIG_INVALID`) for a URL without host.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(Reason.CONFIG_INVALID, "RAG_QDRANT_URL must be http(s)://host:port (Qdrant's gRPC port)")
        client = QdrantClient(
            host=parts.hostname,
            grpc_port=parts.port or _GRPC_PORT,
            https=parts.scheme == "https",
            prefer_grpc=True,
            api_key=api_key,
            timeout=max(1, round(timeout)),
            check_compatibility=False,  # it asks over HTTP, which need not be reachable
            grpc_options=_KEEPALIVE,
        )
        return cls(client, layout)

    @classmethod
    def in_memory(cls) -> QdrantIndex:
        """Brute force in Python, for contract tests."""
        return cls(QdrantClient(":memory:"), local=True)

    def create(self, spec: GenerationSpec) -> None:
        checks.check_spec(spec)
        self._known.pop(spec.name, None)  # another process may have dropped it
        existing = self._find(spec.name)
        if existing is not None:
            if existing.spec != spec:
                raise Conflict(Reason.GENERATION_STATE, f"generation {spec.name} exists and was built differently")
            return
        self._call(
            lambda client: client.create_collection(
                spec.name,
                **self._layout.collection(spec.dimensions),
                metadata={_METADATA: _described(spec)},
            )
        )
        self._create_payload_indexes(spec.name)

    def drop(self, generation: str) -> None:
        if self.alias() == generation:
            raise Conflict(Reason.GENERATION_STATE, f"generation {generation} is active; promote another one first")
        self._known.pop(generation, None)
        if self._call(lambda client: client.collection_exists(generation)):
            self._call(lambda client: client.delete_collection(generation))

    def reset(self, generation: str) -> None:
        self._spec(generation)
        everything = models.FilterSelector(filter=models.Filter())
        self._call(lambda client: client.delete(generation, everything, wait=True))

    def generations(self) -> list[GenerationSpec]:
        collections = self._call(lambda client: client.get_collections()).collections
        found = (self._find(collection.name) for collection in collections)
        return sorted((known.spec for known in found if known is not None), key=lambda spec: spec.name)

    def alias(self) -> str | None:
        aliases = self._call(lambda client: client.get_aliases()).aliases
        return next((alias.collection_name for alias in aliases if alias.alias_name == ALIAS), None)

    def promote(self, generation: str) -> None:
        self._spec(generation)
        # The first generation of an installation is promoted empty: nobody optimizes it by hand.
        self._call(lambda client: client.update_collection(generation, optimizers_config=self._layout.graph_later()))
        create = models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=generation, alias_name=ALIAS)
        )
        remove = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=ALIAS))
        # One request: readers see the old or the new target, never none.
        steps: list[Any] = [create] if self.alias() is None else [remove, create]
        self._call(lambda client: client.update_collection_aliases(steps))

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        checks.check_updates(updates, self._spec(generation).dimensions)
        newest, stale = checks.latest(updates)
        work = list(newest.values())
        reader = self._reader(generation)
        upserted = removed = 0
        for start in range(0, len(work), READ_DOCUMENTS):
            some = work[start : start + READ_DOCUMENTS]
            planned = plan(some, reader.identities([update.doc_id for update in some]))
            upserted += self._upsert(generation, planned.updates)
            failpoints.reach("before_stale_delete")
            self._remove(generation, planned.leftovers)
            removed += len(planned.leftovers)
            stale += planned.stale
        return ApplyResult(upserted, removed, stale)

    def search(self, request: SearchRequest) -> SearchResult:
        name = request.generation or self.alias()
        if name is None:
            raise Unavailable(Reason.INDEX_EMPTY, "no index generation has been promoted yet; run the pipeline once")
        return SearchResult(name, retrieval.search(self._reader(name), request, self._spec(name).dimensions))

    def count(self, generation: str, *, tenant: str | None = None, source: str | None = None) -> int:
        return self._reader(generation).count(within(DIALECT, tenant=tenant, source=source))

    def scroll(self, generation: str, *, batch: int = 1000, with_vectors: bool = True) -> Iterator[list[Point]]:
        return self._reader(generation).scroll(batch, with_vectors=with_vectors)

    def fetch(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> list[Point]:
        return self._reader(generation).fetch(chunk_ids)

    def delete_points(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> int:
        existing = [point.chunk_id for point in self.fetch(generation, chunk_ids)]
        self._remove(generation, existing)
        return len(existing)

    def optimize(self, generation: str) -> None:
        """Let the server build its search graphs, which it was told to leave, and wait until it is done."""
        self._spec(generation)
        self._call(lambda client: client.update_collection(generation, optimizers_config=self._layout.graph_later()))
        deadline = time.monotonic() + _OPTIMIZE_SECONDS
        calm = 0
        while calm < _CALM_LOOKS:
            if time.monotonic() > deadline:
                raise Unavailable(Reason.INDEX_UNAVAILABLE, f"generation {generation} is still being optimized")
            busy = (
                self._call(lambda client: client.get_collection(generation)).status is not models.CollectionStatus.GREEN
            )
            calm = 0 if busy else calm + 1
            self._pause(_LOOK_SECONDS)

    def close(self) -> None:
        self._client.close()

    def _call(self, request: Callable[[QdrantClient], Result]) -> Result:
        with engine_errors():
            if not self._local:
                return request(self._client)
            with self._one_at_a_time:
                return request(self._client)

    def _reader(self, generation: str) -> QdrantReader:
        return QdrantReader(
            self._call, generation, sampled=self._kept(generation).sampled, dense_search=self._layout.dense_search()
        )

    def _spec(self, generation: str) -> GenerationSpec:
        return self._kept(generation).spec

    def _kept(self, generation: str) -> _Kept:
        known = self._find(generation)
        if known is None:
            raise NotFound(Reason.GENERATION_NOT_FOUND, "no such index generation")
        if known.encoder != lexical.FINGERPRINT:
            raise Conflict(
                Reason.GENERATION_STATE,
                f"generation {generation} was built with another lexical encoder; build a new one with this version",
            )
        return known

    def _find(self, name: str) -> _Kept | None:
        if name not in self._known:
            if not self._call(lambda client: client.collection_exists(name)):
                return None
            metadata = self._call(lambda client: client.get_collection(name)).config.metadata or {}
            stored = metadata.get(_METADATA)
            if not isinstance(stored, dict):
                return None
            spec = GenerationSpec(name, int(stored["dimensions"]), str(stored["embedder"]), str(stored["chunker"]))
            self._known[name] = _Kept(spec, str(stored["lexical"]), stored.get("sampled") is True)
        return self._known[name]

    def _create_payload_indexes(self, collection: str) -> None:
        if self._local:
            return
        kinds = self._layout.payload_indexes()

        def create_all(client: QdrantClient) -> None:
            for field, kind in kinds.items():
                client.create_payload_index(collection, field, kind, wait=True)

        self._call(create_all)

    def _upsert(self, generation: str, updates: Sequence[DocumentUpdate]) -> int:
        written = 0
        for batch in operations(updates):
            terms = lexical.encode_documents([point.lexical_text or point.payload.text for point, _ in batch])
            structs = [to_struct(point, total, sparse) for (point, total), sparse in zip(batch, terms, strict=True)]
            self._send(generation, structs)
            written += len(structs)
        return written

    def _send(self, generation: str, structs: list[models.PointStruct]) -> None:
        self._call(lambda client: client.upsert(generation, structs, wait=True))

    def _remove(self, generation: str, ids: Sequence[uuid.UUID]) -> None:
        def remove_all(client: QdrantClient) -> None:
            for some in slices(ids):
                points = models.PointIdsList(points=[str(chunk_id) for chunk_id in some])
                client.delete(generation, points, wait=True)

        self._call(remove_all)


def _described(spec: GenerationSpec) -> dict[str, Any]:
    return {
        "dimensions": spec.dimensions,
        "embedder": spec.embedder,
        "chunker": spec.chunker,
        "lexical": lexical.FINGERPRINT,
        "sampled": True,
    }
