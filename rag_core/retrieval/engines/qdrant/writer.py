"""Write points to one collection, sequentially or in parallel.

Parallel writes do not wait: the server confirms that it has received an operation, not that it has applied it. So a
final operation, which every shard applies after all earlier ones, is awaited, and the stored points are compared with
the sent ones. Only then may a caller mark the documents as indexed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from qdrant_client import models

from rag_core.errors import Reason, Unavailable
from rag_core.retrieval.engines.qdrant.collections import StoredCollection
from rag_core.retrieval.engines.qdrant.filters import FILTER_BUILDER
from rag_core.retrieval.engines.qdrant.layout import DENSE, LEXICAL
from rag_core.retrieval.engines.qdrant.reader import Call, QdrantReader, to_sparse
from rag_core.retrieval.index import DocumentUpdate, IndexPoint, operations, to_json
from rag_core.retrieval.search import lexical
from rag_core.settings import QdrantSettings

_NO_DOCUMENT: Final = str(uuid.UUID(int=0))
_Batch = list[tuple[IndexPoint, int]]


class QdrantWriter:
    """Writes to one collection."""

    def __init__(self, call: Call, held: StoredCollection, reader: QdrantReader, settings: QdrantSettings) -> None:
        self._call = call
        self._collection = held.collection
        self._shards = held.shards
        self._reader = reader
        self._size = settings.qdrant_write_points
        self._parallel = settings.qdrant_write_parallel

    def upsert(self, updates: Sequence[DocumentUpdate]) -> int:
        """Write the points of updates; returns their number once the server has applied all of them.

        Raises the error of the first failed write, and `Unavailable` (`INDEX_UNAVAILABLE`) when the server received an
        operation but did not apply it.
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
                pool.shutdown(wait=False, cancel_futures=True)  # running writes still end before the block does
                raise

    def _send(self, batch: _Batch, shard: str | None, *, wait: bool) -> None:
        terms = lexical.encode_documents([point.lexical_text or point.payload.text for point, _ in batch])
        structs = [_struct(point, total, sparse) for (point, total), sparse in zip(batch, terms, strict=True)]
        self._call(lambda client: client.upsert(self._collection, structs, wait=wait, shard_key_selector=shard))

    def _flush(self) -> None:
        """Wait for an operation by filter: it goes to every shard, and each shard applies operations in order."""
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


def _struct(point: IndexPoint, total: int, terms: lexical.Sparse) -> models.PointStruct:
    return models.PointStruct(
        id=str(point.chunk_id),
        vector={DENSE: point.vector.tolist(), LEXICAL: to_sparse(terms)},
        payload=to_json(point, total),
    )
