"""The engine's shard of one Edge generation: its configuration and its reads.

Measured with qdrant-edge-py 0.9.0: every call holds the GIL from start to end. While a batch of 100 exact queries ran
for 88 ms, no other Python thread ran, and two threads answered no more queries per second than one. A process therefore
serves searches one after the other, writes are split into operations of about ten milliseconds, and the only long call,
`optimize`, runs in a separate process (`rag_core.index.edge.writer`).
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import qdrant_edge as edge

from rag_core.embedding import Vectors
from rag_core.errors import Reason, Unavailable
from rag_core.index import IDENTITY, IDF_SAMPLES, KEYWORDS, Identity, IndexPoint, from_json, from_json_or_blank
from rag_core.index.edge.filters import (
    FILTER_BUILDER,
    EdgeFilterBuilder,
    engine_errors,
    point_id,
    scored,
    vectors_of,
)
from rag_core.search import (
    KNOWN_HITS,
    Fusion,
    Scored,
    Scores,
    Sparse,
    encode_query,
    leg,
    lexical_weight,
    returned,
)
from rag_tracing import recording

DENSE = "dense"
LEXICAL = "lexical"
Result = TypeVar("Result")
_EMPTY: Vectors = np.empty(0, dtype=np.float32)


def config(dimensions: int) -> edge.EdgeConfig:
    """The shard's configuration. The write-ahead log is on: acknowledged writes survive a kill."""
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
        sparse_vectors={LEXICAL: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        wal_enabled=True,
    )


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


class ShardReader:
    """Reads of a shard; a `rag_core.search.hybrid.Engine`. The shard may be replaced by an equal one (`use`)."""

    filter_builder: EdgeFilterBuilder = FILTER_BUILDER

    def __init__(self, shard: edge.EdgeShard, *, has_idf_samples: bool) -> None:
        self._shard: edge.EdgeShard | None = shard
        self._reads: Counter[edge.EdgeShard] = Counter()
        self._read_ended = threading.Condition()
        self.has_idf_samples = has_idf_samples

    @property
    def shard(self) -> edge.EdgeShard:
        """The shard, for writes. Raises `Unavailable` (`INDEX_UNAVAILABLE`) when closed."""
        if self._shard is None:
            raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index is closed")
        return self._shard

    def use(self, shard: edge.EdgeShard | None) -> None:
        """Replace the shard, and close the previous one once no read uses it.

        The engine refuses to close a shard during a call of another thread ("Already borrowed").
        """
        with self._read_ended:
            before, self._shard = self._shard, shard
            if before is None:
                return
            self._read_ended.wait_for(lambda: not self._reads[before])
            del self._reads[before]
        with engine_errors():
            before.close()

    def close(self) -> None:
        """Close the shard once no read uses it. Idempotent."""
        self.use(None)

    def call(self, read: Callable[[edge.EdgeShard], Result]) -> Result:
        """Run a read in the shard of this moment, which stays open until it ends."""
        with self._borrowed() as shard, engine_errors():
            return read(shard)

    @contextmanager
    def _borrowed(self) -> Iterator[edge.EdgeShard]:
        with self._read_ended:
            shard = self.shard
            self._reads[shard] += 1
        try:
            yield shard
        finally:
            with self._read_ended:
                self._reads[shard] -= 1
                self._read_ended.notify_all()

    def fused(
        self,
        vector: Vectors,
        terms: Sparse,
        within: edge.Filter,
        idf_corpus: edge.Filter,
        *,
        fusion: Fusion,
    ) -> list[Scored]:
        near_query = edge.QueryRequest(limit=fusion.candidates, query=_near(vector), filter=within)
        words_query = edge.QueryRequest(
            limit=fusion.candidates, query=_matching(terms), filter=within, params=_statistics(idf_corpus)
        )
        if recording():  # each leg by itself, so that its time can be seen; the engine runs one after the other anyway
            with leg(DENSE, fusion.candidates) as block:
                near = self.call(lambda shard: shard.query(near_query))
                returned(block, len(near))
            with leg(LEXICAL, fusion.candidates) as block:
                words = self.call(lambda shard: shard.query(words_query))
                returned(block, len(words))
        else:
            batch = edge.QueryBatchRequest([near_query, words_query])
            near, words = self.call(lambda shard: shard.query_batch(batch))
        matching = {point_id(hit): hit.score for hit in words if hit.score > 0}
        nearest = {point_id(hit): hit.score for hit in near}
        return fusion.best(nearest, matching, self._weight(terms, matching), self._payloads)

    def _weight(self, terms: Sparse, matching: Mapping[uuid.UUID, float]) -> float:
        ids: list[edge.PointId] = [*islice(matching, KNOWN_HITS)]
        records = self.call(lambda shard: shard.retrieve(ids, with_payload=False, with_vector=[LEXICAL]))
        known = {point_id(record): vectors_of(record)[LEXICAL].indices for record in records}
        return lexical_weight(terms.indices, [known[chunk_id] for chunk_id in matching if chunk_id in known])

    def _payloads(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Mapping[str, Any]]:
        """Payloads by id, without points that were removed meanwhile."""
        records = self.call(lambda shard: shard.retrieve([*ids], with_payload=True, with_vector=False))
        return {point_id(record): record.payload or {} for record in records}

    def dense(self, vector: Vectors, within: edge.Filter, limit: int) -> list[Scored]:
        request = edge.QueryRequest(limit=limit, query=_near(vector), filter=within, with_payload=True)
        return scored(self.call(lambda shard: shard.query(request)))

    def lexical(self, terms: Sparse, within: edge.Filter, idf_corpus: edge.Filter, limit: int) -> list[Scored]:
        request = edge.QueryRequest(
            limit=limit, query=_matching(terms), filter=within, params=_statistics(idf_corpus), with_payload=True
        )
        return scored(self.call(lambda shard: shard.query(request)))

    def cosines(self, ids: Sequence[uuid.UUID], vector: Vectors) -> Scores:
        these = edge.Filter(must=[edge.HasIdCondition(set(ids))])
        request = edge.QueryRequest(limit=len(ids), query=_near(vector), filter=these)
        return {point_id(hit): hit.score for hit in self.call(lambda shard: shard.query(request))}

    def vectors(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Vectors]:
        records = self.call(lambda shard: shard.retrieve(list(ids), with_payload=False, with_vector=[DENSE]))
        return {point_id(record): np.asarray(vectors_of(record)[DENSE], dtype=np.float32) for record in records}

    def one(self, within: edge.Filter) -> Mapping[str, Any] | None:
        request = edge.ScrollRequest(limit=1, filter=within, with_payload=True, with_vector=False)
        records, _ = self.call(lambda shard: shard.scroll(request))
        return records[0].payload if records else None

    def count(self, within: edge.Filter | None) -> int:
        return self.call(lambda shard: shard.count(edge.CountRequest(exact=True, filter=within)))

    def points_count(self) -> int:
        """Number of points from the engine's counters, without a scan."""
        return self.call(lambda shard: shard.info().points_count)

    def points_without_graph(self) -> int:
        """Number of points whose dense vector is in no search graph. Sparse vectors always count as indexed."""
        info = self.call(lambda shard: shard.info())
        return max(0, 2 * info.points_count - info.indexed_vectors_count)

    def identities(self, doc_ids: Sequence[uuid.UUID], batch: int = 1000) -> Iterator[Identity]:
        """Chunk id, document id and version of every point of these documents."""
        within = FILTER_BUILDER.any_of("doc_id", list(map(str, doc_ids)))
        fields = edge.PayloadSelector.Include(IDENTITY)
        for records in self._pages(batch, filter=within, with_payload=fields, with_vector=False):
            for record in records:
                payload = record.payload or {}
                yield point_id(record), str(payload.get("doc_id")), int(payload.get("version", 0))

    def scroll(self, batch: int, *, with_vectors: bool) -> Iterator[list[IndexPoint]]:
        for records in self._pages(batch, with_payload=True, with_vector=with_vectors):
            yield [_point(record) for record in records]

    def read_all(self, batch: int = 256) -> None:
        """Read every point, and search by one per page. Raises `DataCorruption` (`INDEX_CORRUPT`)."""
        for records in self._pages(batch, with_payload=True, with_vector=True):
            for record in records:
                payload = from_json(record.payload)
            vector = _point(record).vector
            within = FILTER_BUILDER.any_of("tenant", [payload.tenant])
            if vector.size:
                self.dense(vector, within, 1)
            if terms := encode_query(payload.text):
                self.lexical(terms, within, within, 1)

    def _pages(self, batch: int, **arguments: Any) -> Iterator[list[edge.Record]]:
        offset: edge.PointId | None = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=batch, **arguments)
            records, offset = self.call(_scrolling(request))
            if records:
                yield records
            if offset is None:
                return

    def matching(self, within: edge.Filter, limit: int) -> list[IndexPoint]:
        """Points by filter, `limit` at most."""
        request = edge.ScrollRequest(limit=limit, filter=within, with_payload=True, with_vector=False)
        records, _ = self.call(lambda shard: shard.scroll(request))
        return [_point(record) for record in records]

    def fetch(self, ids: Sequence[uuid.UUID]) -> list[IndexPoint]:
        records = self.call(lambda shard: shard.retrieve(list(ids), with_payload=True, with_vector=False))
        return [_point(record) for record in records]


def _scrolling(
    request: edge.ScrollRequest,
) -> Callable[[edge.EdgeShard], tuple[list[edge.Record], edge.PointId | None]]:
    return lambda shard: shard.scroll(request)


def _near(vector: Vectors) -> edge.Query:
    return edge.Query.Nearest(vector.tolist(), DENSE)


def _matching(terms: Sparse) -> edge.Query:
    return edge.Query.Nearest(edge.SparseVector(terms.indices, terms.values), LEXICAL)


def _statistics(idf_corpus: edge.Filter) -> edge.SearchParams:
    return edge.SearchParams(idf=edge.IdfParams(idf_corpus))


def _point(record: edge.Record) -> IndexPoint:
    stored = vectors_of(record).get(DENSE)
    vector = _EMPTY if stored is None else np.asarray(stored, dtype=np.float32)
    return IndexPoint(point_id(record), vector, from_json_or_blank(record.payload))
