"""Reads of the engine's shard of one Edge generation.

Measured with qdrant-edge-py 0.9.0: every call holds the GIL from start to end. While a batch of 100 exact queries ran
for 88 ms, no other Python thread ran, and two threads answered no more queries per second than one. A process therefore
serves searches one after the other, writes are split into operations of about ten milliseconds, and the only long call,
`optimize`, runs in a separate process (`rag_core.retrieval.engines.edge.writer`).
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import qdrant_edge as edge

from rag_core.content.embedding import Vectors
from rag_core.errors import Reason, Unavailable
from rag_core.retrieval.engines.edge.filters import (
    FILTER_BUILDER,
    EdgeFilterBuilder,
    engine_errors,
    point_id,
    vectors_of,
)
from rag_core.retrieval.engines.edge.layout import DENSE, LEXICAL
from rag_core.retrieval.engines.edge.replacements import Replacements
from rag_core.retrieval.engines.edge.requests import (
    SEARCHES,
    matching_request,
    near_query,
    nearest_request,
    numbered,
    own_vector,
    point_of,
    retrieving,
    scores_of,
    scrolling,
)
from rag_core.retrieval.index import (
    IDENTITY,
    DocumentUpdate,
    Identity,
    IndexPoint,
    Visibility,
    any_newer_points,
    from_json,
    scope,
    slices,
)
from rag_core.retrieval.search import (
    KNOWN_HITS,
    Effort,
    Legs,
    Number,
    OwnVector,
    Scores,
    Sparse,
    StatisticsCache,
    Stored,
    TermStatistics,
    encode_query,
    idf_sample_of,
    leg,
    lexical_weight,
    returned,
)
from rag_tracing import recording

Result = TypeVar("Result")
_PAGE = 256
"""Points of one read in the background: it holds the interpreter lock for about a millisecond."""


class ShardReader:
    """Reads of a shard; a `rag_core.retrieval.search.hybrid.Engine`. The shard may be replaced by an equal one
    (`use`)."""

    filter_builder: EdgeFilterBuilder = FILTER_BUILDER

    def __init__(self, shard: edge.EdgeShard, *, has_idf_samples: bool) -> None:
        self._shard: edge.EdgeShard | None = shard
        self._reads: Counter[edge.EdgeShard] = Counter()
        self._read_ended = threading.Condition()
        self.has_idf_samples = has_idf_samples
        self.kept = StatisticsCache(self._count_terms)
        self.replacements = Replacements()

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
        self.kept.close()
        self.replacements.close()
        self.use(None)

    def statistics(self, seen: Visibility) -> TermStatistics | None:
        return self.kept.get(seen) if self.has_idf_samples else None

    def idf_corpus(self, seen: Visibility) -> edge.Filter:
        return idf_sample_of(self, scope(FILTER_BUILDER, seen))[1]

    def any_newer(self, versions: Mapping[str, int]) -> bool:
        return self.one(any_newer_points(FILTER_BUILDER, versions)) is not None

    def _count_terms(self, seen: Visibility) -> tuple[str, TermStatistics]:
        sample, within = idf_sample_of(self, scope(FILTER_BUILDER, seen))
        pages = self._pages(_PAGE, filter=within, with_payload=False, with_vector=[LEXICAL])
        return sample, TermStatistics.of([vectors_of(record)[LEXICAL].indices for record in page] for page in pages)

    def replaced(self) -> frozenset[str] | None:
        return self.replacements.documents

    @contextmanager
    def changing(self, updates: Sequence[DocumentUpdate], removed: Sequence[uuid.UUID]) -> Iterator[None]:
        """A write of these points: statistics that counted one of them are not used again."""
        points = defaultdict[str, set[uuid.UUID]](set)
        for update in updates:
            for point in update.points:
                points[point.payload.tenant].add(point.chunk_id)
        for chunk_id, payload in self._fields(removed, ["tenant"]).items():
            points[str(payload.get("tenant"))].add(chunk_id)
        self._forget(points)
        try:
            yield
        finally:
            self._forget(points)

    def _forget(self, points: Mapping[str, Collection[uuid.UUID]]) -> None:
        for tenant, ids in points.items():
            self.kept.changed(tenant, ids)

    def _fields(self, ids: Sequence[uuid.UUID], fields: list[str]) -> dict[uuid.UUID, Mapping[str, Any]]:
        wanted = edge.PayloadSelector.Include(fields)
        found: dict[uuid.UUID, Mapping[str, Any]] = {}
        for some in slices(ids):
            records = self.call(retrieving(some, wanted))
            found |= {point_id(record): record.payload or {} for record in records}
        return found

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

    def legs(
        self,
        vector: Vectors,
        terms: Sparse,
        within: edge.Filter,
        idf_corpus: edge.Filter | None,
        candidates: int,
    ) -> Legs:
        dense = nearest_request(vector, within, candidates)
        lexical = matching_request(terms, within, idf_corpus, candidates)
        if recording():  # each leg by itself, so that its time can be seen; the engine runs one after the other anyway
            with leg(DENSE, candidates) as block:
                near = self.call(lambda shard: shard.query(dense))
                returned(block, len(near))
            with leg(LEXICAL, candidates) as block:
                words = self.call(lambda shard: shard.query(lexical))
                returned(block, len(words))
        else:
            batch = edge.QueryBatchRequest([dense, lexical])
            near, words = self.call(lambda shard: shard.query_batch(batch))
        found = [(hit.id, score) for hit in words if (score := hit.score) > 0]
        best = [identity for identity, _ in found[:KNOWN_HITS]]
        return Legs(scores_of(near), numbered(found), self._weight(terms, best))

    def _weight(self, terms: Sparse, best: list[edge.PointId]) -> float:
        records = self.call(lambda shard: shard.retrieve(best, with_payload=False, with_vector=[LEXICAL]))
        # Only the place of the first matters, and making an id takes as long as reading the terms of its point.
        first = next((at for one in best for at, record in enumerate(records) if record.id == one), None)
        held = [vectors_of(record)[LEXICAL].indices for record in records]
        return lexical_weight(terms.indices, held if first is None else [held.pop(first), *held])

    def read(self, numbers: Sequence[Number], vector: Vectors | None) -> dict[Number, Stored]:
        ids: list[edge.PointId] = [uuid.UUID(int=number) for number in numbers]
        if vector is None:
            records = self.call(lambda shard: shard.retrieve(ids, with_payload=True, with_vector=False))
            return {point_id(record).int: Stored(record.payload or {}, None) for record in records}
        these = edge.Filter(must=[edge.HasIdCondition(set(ids))])
        # By the full vectors: the cosine of a hit is shown, and may decide that it is not relevant.
        request = edge.QueryRequest(
            limit=len(ids), query=near_query(vector), filter=these, with_payload=True, params=SEARCHES[Effort.EXACT]
        )
        hits = self.call(lambda shard: shard.query(request))
        return {point_id(hit).int: Stored(hit.payload or {}, hit.score) for hit in hits}

    def dense(self, vector: Vectors, within: edge.Filter, limit: int) -> Scores:
        request = nearest_request(vector, within, limit)
        return scores_of(self.call(lambda shard: shard.query(request)))

    def nearest(self, queries: Sequence[tuple[Vectors, edge.Filter]], limit: int, effort: Effort) -> list[Scores]:
        params = SEARCHES[effort]
        batch = edge.QueryBatchRequest([nearest_request(vector, within, limit, params) for vector, within in queries])
        return [scores_of(hits) for hits in self.call(lambda shard: shard.query_batch(batch))]

    def lexical(self, terms: Sparse, within: edge.Filter, idf_corpus: edge.Filter | None, limit: int) -> Scores:
        request = matching_request(terms, within, idf_corpus, limit)
        return scores_of(self.call(lambda shard: shard.query(request)))

    def vectors(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Vectors]:
        records = self.call(lambda shard: shard.retrieve(list(ids), with_payload=False, with_vector=[DENSE]))
        return {point_id(record): np.asarray(vectors_of(record)[DENSE], dtype=np.float32) for record in records}

    def own_vectors(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, OwnVector]:
        fields = edge.PayloadSelector.Include(["tenant", "acl", "doc_id"])
        records = self.call(lambda shard: shard.retrieve([*ids], with_payload=fields, with_vector=[DENSE]))
        return {point_id(record): own_vector(record) for record in records}

    def one(self, within: edge.Filter) -> Mapping[str, Any] | None:
        request = edge.ScrollRequest(limit=1, filter=within, with_payload=True, with_vector=False)
        records, _ = self.call(lambda shard: shard.scroll(request))
        return records[0].payload if records else None

    def count(self, within: edge.Filter | None) -> int:
        return self.call(lambda shard: shard.count(edge.CountRequest(exact=True, filter=within)))

    def points_count(self) -> int:
        """Number of points from the engine's counters, without a scan."""
        return self.call(lambda shard: shard.info().points_count)

    def indexed_vectors(self) -> int:
        """Number of dense vectors in search graphs and of sparse vectors, from the engine's counters.

        Those of points that were removed or written again count too while their segments are kept. So what the number
        grows by are points that were written outside of the graphs, and what it exceeds the points by is no graph.
        """
        return self.call(lambda shard: shard.info().indexed_vectors_count)

    def identities(self, doc_ids: Sequence[uuid.UUID], batch: int = 1000) -> Iterator[Identity]:
        """Chunk id, document id and version of every point of these documents."""
        within = FILTER_BUILDER.any_of("doc_id", list(map(str, doc_ids)))
        for page in self.identity_pages(within, batch):
            yield from page

    def identity_pages(self, within: edge.Filter | None = None, batch: int = _PAGE) -> Iterator[list[Identity]]:
        """Chunk id, document id and version of points, of all without a filter."""
        fields = edge.PayloadSelector.Include(IDENTITY)
        for records in self._pages(batch, filter=within, with_payload=fields, with_vector=False):
            payloads = [(point_id(record), record.payload or {}) for record in records]
            yield [(chunk_id, str(one.get("doc_id")), int(one.get("version", 0))) for chunk_id, one in payloads]

    def scroll(self, batch: int, *, with_vectors: bool) -> Iterator[list[IndexPoint]]:
        for records in self._pages(batch, with_payload=True, with_vector=with_vectors):
            yield [point_of(record) for record in records]

    def read_all(self, batch: int = 256) -> None:
        """Read every point, and search by one per page. Raises `DataCorruption` (`INDEX_CORRUPT`)."""
        for records in self._pages(batch, with_payload=True, with_vector=True):
            for record in records:
                payload = from_json(record.payload)
            vector = point_of(record).vector
            within = FILTER_BUILDER.any_of("tenant", [payload.tenant])
            if vector.size:
                self.dense(vector, within, 1)
            if terms := encode_query(payload.text):
                self.lexical(terms, within, within, 1)

    def _pages(self, batch: int, **arguments: Any) -> Iterator[list[edge.Record]]:
        offset: edge.PointId | None = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=batch, **arguments)
            records, offset = self.call(scrolling(request))
            if records:
                yield records
            if offset is None:
                return

    def matching(self, within: edge.Filter, limit: int) -> list[IndexPoint]:
        """Points by filter, `limit` at most."""
        request = edge.ScrollRequest(limit=limit, filter=within, with_payload=True, with_vector=False)
        records, _ = self.call(lambda shard: shard.scroll(request))
        return [point_of(record) for record in records]

    def fetch(self, ids: Sequence[uuid.UUID]) -> list[IndexPoint]:
        records = self.call(lambda shard: shard.retrieve(list(ids), with_payload=True, with_vector=False))
        return [point_of(record) for record in records]
