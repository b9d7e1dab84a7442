"""Writes of points to one collection, one after the other or side by side.

Side by side no write waits. The server then says only that it has an operation, not that it could apply it, so that
one operation that every shard applies after those before it ends them, and what is stored is compared with what was
sent. Only then may a caller mark the documents as held.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from qdrant_client import models

from rag_core.errors import Reason, Unavailable
from rag_core.index import DocumentUpdate, Point, operations, to_json
from rag_core.index.qdrant.collections import StoredCollection
from rag_core.index.qdrant.filters import FILTER_BUILDER
from rag_core.index.qdrant.layout import DENSE, LEXICAL
from rag_core.index.qdrant.reader import Call, QdrantReader, to_sparse
from rag_core.search import lexical
from rag_core.settings import QdrantSettings

_NO_DOCUMENT: Final = str(uuid.UUID(int=0))
_Batch = list[tuple[Point, int]]


class QdrantWriter:
    """One collection."""

    def __init__(self, call: Call, held: StoredCollection, reader: QdrantReader, settings: QdrantSettings) -> None:
        self._call = call
        self._collection = held.collection
        self._shards = held.shards
        self._reader = reader
        self._size = settings.qdrant_write_points
        self._parallel = settings.qdrant_write_parallel

    def upsert(self, updates: Sequence[DocumentUpdate]) -> int:
        """Write the points of updates; the number of points, all of which the server has applied.

        Raises what the first failed write raises, and `Unavailable` (`INDEX_UNAVAILABLE`) when the server took an
        operation and did not apply it.
        """
        grouped = self._shards.grouped(updates).items()
        batches = [(batch, shard) for shard, some in grouped for batch in operations(some, self._size)]
        if self._parallel == 1 or len(batches) < 2:
            for batch, shard in batches:
                self._send(batch, shard, wait=True)
        else:
            self._send_all(batches)
            self._flush()
            self._require_stored(updates)
        return sum(len(batch) for batch, _ in batches)

    def _send_all(self, batches: Iterable[tuple[_Batch, str | None]]) -> None:
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="qdrant-write") as pool:
            sent: list[Future[None]] = [pool.submit(self._send, *one, wait=False) for one in batches]
            try:
                for future in sent:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)  # those that have begun still end before the block does
                raise

    def _send(self, batch: _Batch, shard: str | None, *, wait: bool) -> None:
        terms = lexical.encode_documents([point.lexical_text or point.payload.text for point, _ in batch])
        structs = [_struct(point, total, sparse) for (point, total), sparse in zip(batch, terms, strict=True)]
        self._call(lambda client: client.upsert(self._collection, structs, wait=wait, shard_key_selector=shard))

    def _flush(self) -> None:
        """An operation by filter goes to every shard, and each applies its operations in their order."""
        nothing = models.FilterSelector(filter=FILTER_BUILDER.any_of("doc_id", [_NO_DOCUMENT]))
        everywhere = self._shards.keys
        self._call(lambda client: client.delete(self._collection, nothing, wait=True, shard_key_selector=everywhere))

    def _require_stored(self, updates: Sequence[DocumentUpdate]) -> None:
        stored = {chunk: version for chunk, _, version in self._reader.identities([one.doc_id for one in updates])}
        missing = sum(stored.get(point.chunk_id, -1) < one.version for one in updates for point in one.points)
        if missing:
            raise Unavailable(
                Reason.INDEX_UNAVAILABLE, f"the Qdrant server took {missing} points and did not store them; see its log"
            )


def _struct(point: Point, total: int, terms: lexical.Sparse) -> models.PointStruct:
    return models.PointStruct(
        id=str(point.chunk_id),
        vector={DENSE: point.vector.tolist(), LEXICAL: to_sparse(terms)},
        payload=to_json(point, total),
    )
