"""A Qdrant server or cluster through qdrant-client (gRPC), or qdrant-client's local mode in tests.

A generation is a collection with our specification in its metadata (`qdrant_collections`); the alias is a real
collection alias. Writes wait until the server has applied them.
"""

from __future__ import annotations

import functools
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from qdrant_client import QdrantClient, models

from rag_core import failpoints
from rag_core.errors import ConfigError, Conflict, NotFound, Reason, Unavailable
from rag_core.filters import FieldType
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
from rag_core.index.qdrant_collections import Collections, Held, Installation
from rag_core.index.qdrant_dialect import DIALECT, engine_errors
from rag_core.index.qdrant_layout import ONE_NODE, QdrantLayout
from rag_core.index.qdrant_reader import QdrantReader, to_struct
from rag_core.logging import get_logger

log = get_logger(__name__)
_GRPC_PORT, _REST_PORT = 6334, 6333
_KEEPALIVE = {"grpc.keepalive_time_ms": 30_000, "grpc.keepalive_timeout_ms": 10_000}
"""Without pings a call on a connection whose server lost power waits for its whole deadline."""
_LOOK_SECONDS = 0.5
_CALM_LOOKS = 3
"""The optimizer starts a moment after it was told to."""
_OPTIMIZE_SECONDS = 6 * 3600.0
Result = TypeVar("Result")


def _alone() -> Installation:
    """For tests: a server that nobody else uses."""
    return Installation("rag", "alone")


class QdrantIndex:
    """See `VectorIndex`."""

    def __init__(
        self,
        client: QdrantClient,
        installation: Callable[[], Installation] = _alone,
        *,
        metadata: Mapping[str, FieldType] | None = None,
        layout: QdrantLayout = ONE_NODE,
        local: bool = False,
        tls: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`installation` says whose collections these are, when it is first needed; `metadata` are the declared fields.

        `local` means qdrant-client's in-memory mode: not thread-safe, without payload indexes and optimizer.
        """
        self._pause = pause
        self._client = client
        self._local, self._tls = local, tls
        self._one_at_a_time = threading.RLock()
        self._layout = layout
        self._collections = Collections(self._call, installation, metadata or {}, layout, local=local)

    @classmethod
    def connect(
        cls,
        url: str,
        api_key: str | None,
        timeout: float,
        *,
        installation: Callable[[], Installation] = _alone,
        metadata: Mapping[str, FieldType] | None = None,
        layout: QdrantLayout = ONE_NODE,
        tls: Mapping[str, bytes] | None = None,
    ) -> QdrantIndex:
        """A client for `http(s)://host:port` of the gRPC interface. Connects at the first call.

        `tls` are certificates as gRPC names them (`root_certificates`, `private_key`, `certificate_chain`). Raises
        `ConfigError` (`CONFIG_INVALID`) for a URL that is more or less than that.
        """
        parts = urlsplit(url)
        port = checked_port(parts)
        if api_key is not None and parts.scheme == "http":
            _warn_of_key_in_clear()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
            client = QdrantClient(
                host=parts.hostname,
                grpc_port=port or _GRPC_PORT,
                https=parts.scheme == "https",
                prefer_grpc=True,
                api_key=api_key,
                timeout=max(1, round(timeout)),
                grpc_options={**_KEEPALIVE, **(tls or {})},
                check_compatibility=False,  # it asks over HTTP, which need not be reachable
            )
        return cls(client, installation, metadata=metadata, layout=layout, tls=parts.scheme == "https")

    @classmethod
    def in_memory(cls) -> QdrantIndex:
        """Brute force in Python, for contract tests."""
        return cls(QdrantClient(":memory:"), local=True)

    def create(self, spec: GenerationSpec) -> None:
        checks.check_spec(spec)
        self._collections.forget(spec.name)  # another process may have dropped it
        existing = self._collections.find(spec.name)
        if existing is None:
            self._collections.create(spec)
        elif existing.spec != spec:
            raise Conflict(Reason.GENERATION_STATE, f"generation {spec.name} exists and was built differently")
        else:
            self._collections.ensure_indexes(existing.collection)  # what a process that died left out

    def drop(self, generation: str) -> None:
        if self.alias() == generation:
            raise Conflict(Reason.GENERATION_STATE, f"generation {generation} is active; promote another one first")
        self._collections.forget(generation)
        held = self._collections.find(generation)
        self._collections.forget(generation)
        if held is not None:
            self._call(lambda client: client.delete_collection(held.collection))

    def reset(self, generation: str) -> None:
        collection = self._kept(generation).collection
        everything = models.FilterSelector(filter=models.Filter())
        self._call(lambda client: client.delete(collection, everything, wait=True))

    def generations(self) -> list[GenerationSpec]:
        return sorted((held.spec for held in self._collections.all()), key=lambda spec: spec.name)

    def alias(self) -> str | None:
        return self._collections.target(self._aliases())

    def promote(self, generation: str) -> None:
        collection = self._kept(generation).collection
        self._collections.ensure_indexes(collection)
        # The first generation of an installation is promoted empty: nobody optimizes it by hand.
        self._call(lambda client: client.update_collection(collection, optimizers_config=self._layout.graph_later()))
        named, steps = self._aliases(), list[Any]()
        # One request: readers see the old or the new target, never none.
        for alias in self._collections.aliases(named):
            if alias in named:
                steps.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
            created = models.CreateAlias(collection_name=collection, alias_name=alias)
            steps.append(models.CreateAliasOperation(create_alias=created))
        self._call(lambda client: client.update_collection_aliases(steps))

    def differences(self, generation: str) -> list[str]:
        """What of the collection's configuration is not as the generation needs it; repairs what can be repaired."""
        held = self._kept(generation)
        self._collections.ensure_indexes(held.collection)
        return self._collections.differences(held)

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        held = self._kept(generation)
        checks.check_updates(updates, held.spec.dimensions)
        self._collections.ensure_indexes(held.collection)
        newest, stale = checks.latest(updates)
        work = list(newest.values())
        reader = self._reader(generation)
        upserted = removed = 0
        for start in range(0, len(work), READ_DOCUMENTS):
            some = work[start : start + READ_DOCUMENTS]
            planned = plan(some, reader.identities([update.doc_id for update in some]))
            upserted += self._upsert(held.collection, planned.updates)
            failpoints.reach("before_stale_delete")
            self._remove(held.collection, planned.leftovers)
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
        self._remove(self._kept(generation).collection, existing)
        return len(existing)

    def optimize(self, generation: str) -> None:
        """Let the server build its search graphs, which it was told to leave, and wait until it is done."""
        collection = self._kept(generation).collection
        self._collections.ensure_indexes(collection)
        self._call(lambda client: client.update_collection(collection, optimizers_config=self._layout.graph_later()))
        deadline = time.monotonic() + _OPTIMIZE_SECONDS
        calm = 0
        while calm < _CALM_LOOKS:
            if time.monotonic() > deadline:
                raise Unavailable(Reason.INDEX_UNAVAILABLE, f"generation {generation} is still being optimized")
            busy = (
                self._call(lambda client: client.get_collection(collection)).status is not models.CollectionStatus.GREEN
            )
            calm = 0 if busy else calm + 1
            self._pause(_LOOK_SECONDS)

    def close(self) -> None:
        self._client.close()

    def _call(self, request: Callable[[QdrantClient], Result]) -> Result:
        with engine_errors(tls=self._tls):
            if not self._local:
                return request(self._client)
            with self._one_at_a_time:
                return request(self._client)

    def _aliases(self) -> dict[str, str]:
        self._collections.require_server()
        found = self._call(lambda client: client.get_aliases()).aliases
        return {alias.alias_name: alias.collection_name for alias in found}

    def _reader(self, generation: str) -> QdrantReader:
        held = self._kept(generation)
        return QdrantReader(self._call, held.collection, sampled=held.sampled, dense_search=self._layout.dense_search())

    def _spec(self, generation: str) -> GenerationSpec:
        return self._kept(generation).spec

    def _kept(self, generation: str) -> Held:
        held = self._collections.find(generation)
        if held is None:
            raise NotFound(Reason.GENERATION_NOT_FOUND, "no such index generation")
        if held.encoder != lexical.FINGERPRINT:
            raise Conflict(
                Reason.GENERATION_STATE,
                f"generation {generation} was built with another lexical encoder; build a new one with this version",
            )
        return held

    def _upsert(self, collection: str, updates: Sequence[DocumentUpdate]) -> int:
        written = 0
        for batch in operations(updates):
            terms = lexical.encode_documents([point.lexical_text or point.payload.text for point, _ in batch])
            structs = [to_struct(point, total, sparse) for (point, total), sparse in zip(batch, terms, strict=True)]
            self._send(collection, structs)
            written += len(structs)
        return written

    def _send(self, collection: str, structs: list[models.PointStruct]) -> None:
        self._call(lambda client: client.upsert(collection, structs, wait=True))

    def _remove(self, collection: str, ids: Sequence[uuid.UUID]) -> None:
        def remove_all(client: QdrantClient) -> None:
            for some in slices(ids):
                points = models.PointIdsList(points=[str(chunk_id) for chunk_id in some])
                client.delete(collection, points, wait=True)

        self._call(remove_all)


@functools.cache
def _warn_of_key_in_clear() -> None:
    """Once a process, not at each client."""
    log.warning("qdrant_key_in_clear", message="RAG_QDRANT_API_KEY is sent without TLS; use https:// outside a host")


def checked_port(url: SplitResult) -> int | None:
    """The port of a Qdrant URL. Raises `ConfigError` (`CONFIG_INVALID`) for what a gRPC client would not use."""
    shape = "RAG_QDRANT_URL must be http(s)://host:port (Qdrant's gRPC port, 6334)"
    try:
        port = url.port
    except ValueError:
        raise ConfigError(Reason.CONFIG_INVALID, f"{shape}; its port is none") from None
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ConfigError(Reason.CONFIG_INVALID, shape)
    if url.username is not None or url.password is not None:
        raise ConfigError(Reason.CONFIG_INVALID, f"{shape}, without a user: the key is RAG_QDRANT_API_KEY")
    if url.path not in {"", "/"} or url.query or url.fragment:
        raise ConfigError(Reason.CONFIG_INVALID, f"{shape}, without a path: gRPC has none")
    if port == _REST_PORT:
        raise ConfigError(Reason.CONFIG_INVALID, f"{shape}; {_REST_PORT} is the port of its REST interface")
    return port
