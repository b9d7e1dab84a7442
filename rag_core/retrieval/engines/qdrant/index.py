"""The index on a Qdrant server or cluster through qdrant-client (gRPC), or its local mode in tests.

A generation is a collection with its specification in the metadata (`qdrant.collections`); the alias is a collection
alias. A write returns when the server has applied it (`qdrant.writer`).
"""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from qdrant_client import QdrantClient, models

from rag_core import failpoints
from rag_core.errors import Conflict, NotFound, Reason, Unavailable
from rag_core.retrieval.engines.qdrant.collections import Collections, Installation, StoredCollection, require_version
from rag_core.retrieval.engines.qdrant.filters import FILTER_BUILDER
from rag_core.retrieval.engines.qdrant.layout import IN_MEMORY, ONE_NODE, QdrantLayout
from rag_core.retrieval.engines.qdrant.nodes import Node, Nodes, connected, whole_seconds
from rag_core.retrieval.engines.qdrant.reader import Call, QdrantReader
from rag_core.retrieval.engines.qdrant.writer import QdrantWriter
from rag_core.retrieval.index import (
    READ_DOCUMENTS,
    ApplyResult,
    ChunkRange,
    DocumentUpdate,
    GenerationSpec,
    IndexPoint,
    SearchRequest,
    SearchResult,
    SelfRetrieval,
    Visibility,
    at_places,
    checks,
    plan,
    slices,
    within,
)
from rag_core.retrieval.search import hybrid as retrieval
from rag_core.retrieval.search import lexical, self_retrieval
from rag_core.settings import FieldType

_STATUS_POLL_SECONDS = 0.5
_CALM_POLLS = 3
"""Polls without activity before it counts as done: the optimizer starts with a delay after it is enabled."""
_OPTIMIZE_SECONDS = 6 * 3600.0
_SAMPLE_SECONDS = 60.0
"""After which the points that callers see are counted again, to choose the size of the sample for term statistics."""
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")
Method = Callable[Concatenate["QdrantIndex", Arguments], Result]


def _patient(method: Method[Arguments, Result]) -> Method[Arguments, Result]:
    """Repeat an idempotent method while no node can be reached."""

    @functools.wraps(method)
    def repeated(self: QdrantIndex, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return self._nodes.persist(lambda: method(self, *args, **kwargs))

    return repeated


def _alone() -> Installation:
    """For tests: a server without other installations."""
    return Installation("rag", "alone")


class QdrantIndex:
    """See `VectorIndex`."""

    def __init__(
        self,
        nodes: QdrantClient | Sequence[Node],
        installation: Callable[[], Installation] = _alone,
        *,
        metadata: Mapping[str, FieldType] | None = None,
        layout: QdrantLayout = ONE_NODE,
        timeout: float = 60,
        retry: float = 0,
        local: bool = False,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`installation` returns the owner of the collections at first use; `metadata` are the declared fields.

        `timeout` limits one read on the server in seconds; a call waits up to `retry` seconds for an unavailable
        server. `local` means qdrant-client's in-memory mode: not thread-safe, without payload indexes and optimizer.
        """
        self._pause = pause
        self._timeout = timeout
        self._nodes = Nodes([Node(nodes)] if isinstance(nodes, QdrantClient) else nodes, retry=retry, local=local)
        self._call = self._nodes.call
        self._samples: dict[str, dict[Visibility, str]] = {}
        self._sampled_in = -1
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
        retry: float = 0,
        tls: Mapping[str, bytes] | None = None,
    ) -> QdrantIndex:
        """Connect to the server at `url`: one or more gRPC addresses, separated by commas; see `connected`.

        `tls` are certificates as gRPC names them (`root_certificates`, `private_key`, `certificate_chain`).
        """
        nodes = connected(url, api_key, timeout, tls or {})
        return cls(nodes, installation, metadata=metadata, layout=layout, timeout=timeout, retry=retry)

    @classmethod
    def in_memory(cls) -> QdrantIndex:
        """An index in memory (brute force in Python), for contract tests."""
        return cls(QdrantClient(":memory:"), layout=IN_MEMORY, local=True)

    def check_server(self) -> None:
        """Read the server's version and collections, to check the connection.

        Raises `Unavailable` (`INDEX_UNAVAILABLE`) that names the problem with the address, the key or the certificates,
        and `ConfigError` (`INDEX_VERSION`).
        """
        require_version(self._ask(lambda client: client.info()).version)
        self._ask(lambda client: client.get_collections())

    @_patient
    def create(self, spec: GenerationSpec) -> None:
        checks.check_spec(spec)
        self._collections.invalidate(spec.name)  # another process may have dropped it
        existing = self._collections.find(spec.name)
        if existing is None:
            self._collections.create(spec)
        elif existing.spec != spec:
            raise Conflict(Reason.GENERATION_STATE, f"generation {spec.name} exists and was built differently")
        else:
            self._collections.complete(existing.collection, existing.shards)  # what a process that died did not create

    @_patient
    def drop(self, generation: str) -> None:
        if self.alias() == generation:
            raise Conflict(Reason.GENERATION_STATE, f"generation {generation} is active; promote another one first")
        self._collections.invalidate(generation)
        held = self._collections.find(generation)
        self._collections.invalidate(generation)
        if held is not None:
            self._call(lambda client: client.delete_collection(held.collection))

    def discard(self) -> None:
        """Remove the alias and every generation of this installation, after a benchmark or a test."""
        if steps := self._collections.alias_steps(self._aliases()):
            self._ask(lambda client: client.update_collection_aliases(steps))
        for spec in self.generations():
            self.drop(spec.name)

    @_patient
    def reset(self, generation: str) -> None:
        held = self._kept(generation)
        everything = models.FilterSelector(filter=models.Filter())
        self._call(
            lambda client: client.delete(held.collection, everything, wait=True, shard_key_selector=held.shards.keys)
        )

    @_patient
    def generations(self) -> list[GenerationSpec]:
        return sorted((held.spec for held in self._collections.all()), key=lambda spec: spec.name)

    @_patient
    def alias(self) -> str | None:
        return self._collections.target(self._aliases())

    @_patient
    def promote(self, generation: str) -> None:
        collection = self._writable(generation).collection
        # The first generation of an installation is promoted empty: no build optimizes it later.
        self._call(lambda client: client.update_collection(collection, optimizers_config=self._layout.graph_later()))
        # One request: the alias always has a target.
        steps = self._collections.alias_steps(self._aliases(), collection)
        self._call(lambda client: client.update_collection_aliases(steps))

    @_patient
    def differences(self, generation: str) -> list[str]:
        """Repair the collection's configuration; returns the remaining differences from the generation's needs."""
        return self._collections.differences(self._writable(generation))

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        checks.check_updates(updates, self._writable(generation).spec.dimensions)
        newest, stale = checks.latest(updates)
        work = list(newest.values())
        upserted = removed = 0
        step = READ_DOCUMENTS * self._layout.settings.qdrant_write_parallel
        for start in range(0, len(work), step):
            done = self._apply_some(generation, work[start : start + step])
            upserted, removed, stale = upserted + done.upserted, removed + done.removed, stale + done.stale
        return ApplyResult(upserted, removed, stale)

    @_patient
    def _apply_some(self, generation: str, some: Sequence[DocumentUpdate]) -> ApplyResult:
        # Repeated including its reads: versions written during an outage are not overwritten.
        held = self._writable(generation)
        reader = self._reader(generation)
        planned = plan(some, reader.identities([update.doc_id for update in some]))
        upserted = QdrantWriter(self._call, held, reader, self._layout.settings).upsert(planned.updates)
        failpoints.reach("before_stale_delete")
        self._remove(held, planned.leftovers)
        return ApplyResult(upserted, len(planned.leftovers), planned.stale)

    @_patient
    def search(self, request: SearchRequest) -> SearchResult:
        name = request.generation or self.alias()
        if name is None:
            raise Unavailable(Reason.INDEX_EMPTY, "no index generation has been promoted yet; run the pipeline once")
        reader = self._reader(name, deadline=request.deadline, tenant=request.tenant)
        return SearchResult(name, retrieval.search(reader, request, self._spec(name).dimensions))

    @_patient
    def around(self, request: SearchRequest, places: Sequence[ChunkRange]) -> list[IndexPoint]:
        name, limit = request.generation or self.alias(), checks.check_places(request, places)
        if name is None or not limit:
            return []
        reader = self._reader(name, deadline=request.deadline, tenant=request.tenant)
        return reader.matching(at_places(FILTER_BUILDER, request, places), limit)

    @_patient
    def count(self, generation: str, *, tenant: str | None = None, source: str | None = None) -> int:
        return self._reader(generation, tenant=tenant).count(within(FILTER_BUILDER, tenant=tenant, source=source))

    def scroll(self, generation: str, *, batch: int = 1000, with_vectors: bool = True) -> Iterator[list[IndexPoint]]:
        reader = self._reader(generation, self._ask)
        return reader.scroll(batch, with_vectors=with_vectors)

    @_patient
    def fetch(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> list[IndexPoint]:
        return self._reader(generation).fetch(chunk_ids)

    def delete_points(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> int:
        existed: set[uuid.UUID] = set()  # a repetition does not find points that were removed before

        def remove() -> None:
            existing = [point.chunk_id for point in self.fetch(generation, chunk_ids)]
            existed.update(existing)
            self._remove(self._kept(generation), existing)

        self._nodes.persist(remove)
        return len(existed)

    @_patient
    def self_retrieval(self, generation: str, chunk_ids: Sequence[uuid.UUID]) -> SelfRetrieval:
        return self_retrieval(self._reader(generation), chunk_ids)

    def optimize(self, generation: str) -> None:
        """Enable and await the server's search graphs, which are disabled during bulk writes."""
        collection = self._writable(generation).collection
        self._ask(lambda client: client.update_collection(collection, optimizers_config=self._layout.graph_later()))
        deadline = time.monotonic() + _OPTIMIZE_SECONDS
        calm = 0
        while calm < _CALM_POLLS:
            if time.monotonic() > deadline:
                raise Unavailable(Reason.INDEX_UNAVAILABLE, f"generation {generation} is still being optimized")
            status = self._ask(lambda client: client.get_collection(collection)).status
            calm = calm + 1 if status is models.CollectionStatus.GREEN else 0
            self._pause(_STATUS_POLL_SECONDS)

    def close(self) -> None:
        self._nodes.close()

    def _aliases(self) -> dict[str, str]:
        self._collections.require_server()
        found = self._call(lambda client: client.get_aliases()).aliases
        return {alias.alias_name: alias.collection_name for alias in found}

    def _ask(self, request: Callable[[QdrantClient], Result]) -> Result:
        """Send a request that may be repeated on its own."""
        return self._nodes.persist(lambda: self._call(request))

    @_patient
    def _writable(self, generation: str) -> StoredCollection:
        held = self._kept(generation)
        self._collections.complete(held.collection, held.shards)
        return held

    def _reader(
        self, generation: str, call: Call | None = None, *, deadline: float | None = None, tenant: str | None = None
    ) -> QdrantReader:
        held = self._kept(generation)
        return QdrantReader(
            call or self._call,
            held.collection,
            has_idf_samples=held.has_idf_samples,
            shard=held.shards.of(tenant),
            dense_searches=self._layout.dense_searches(),
            samples=self._samples_of(held.collection),
            timeout=functools.partial(whole_seconds, self._timeout, deadline),
        )

    def _samples_of(self, collection: str) -> dict[Visibility, str]:
        period = int(time.monotonic() / _SAMPLE_SECONDS)
        if period != self._sampled_in:
            self._samples, self._sampled_in = {}, period
        return self._samples.setdefault(collection, {})

    def _spec(self, generation: str) -> GenerationSpec:
        return self._kept(generation).spec

    @_patient
    def _kept(self, generation: str) -> StoredCollection:
        held = self._collections.find(generation)
        if held is None:
            raise NotFound(Reason.GENERATION_NOT_FOUND, "no such index generation")
        if held.encoder != lexical.FINGERPRINT:
            raise Conflict(
                Reason.GENERATION_STATE,
                f"generation {generation} was built with another lexical encoder; build a new one with this version",
            )
        return held

    def _remove(self, held: StoredCollection, ids: Sequence[uuid.UUID]) -> None:
        def remove_all(client: QdrantClient) -> None:
            for some in slices(ids):
                points = models.PointIdsList(points=[str(chunk_id) for chunk_id in some])
                client.delete(held.collection, points, wait=True, shard_key_selector=held.shards.keys)

        self._call(remove_all)
