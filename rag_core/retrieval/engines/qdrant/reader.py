"""Reads of one collection: a `rag_core.retrieval.search.hybrid.Engine` over qdrant-client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from qdrant_client import QdrantClient, models

from rag_core.content.embedding import Vectors
from rag_core.retrieval.engines.qdrant.filters import FILTER_BUILDER, QdrantFilterBuilder, point_id
from rag_core.retrieval.engines.qdrant.layout import DENSE, LEXICAL
from rag_core.retrieval.index import (
    IDENTITY,
    Identity,
    IndexPoint,
    Visibility,
    any_newer_points,
    from_json_or_blank,
    scope,
)
from rag_core.retrieval.search import (
    KNOWN_HITS,
    Effort,
    Legs,
    Number,
    OwnVector,
    Scores,
    Sparse,
    Stored,
    idf_sample_of,
    leg,
    lexical_weight,
    returned,
    sample_of,
)
from rag_tracing import recording

Result = TypeVar("Result")
_VERSION = ["doc_id", "version"]
_EMPTY: Vectors = np.empty(0, dtype=np.float32)


class Call(Protocol):
    """Runs a request with the client and translates errors."""

    def __call__(self, request: Callable[[QdrantClient], Result]) -> Result: ...


class QdrantReader:
    """One collection. Each method is one or two requests."""

    filter_builder: QdrantFilterBuilder = FILTER_BUILDER

    def __init__(
        self,
        call: Call,
        collection: str,
        *,
        has_idf_samples: bool,
        shard: str | None = None,
        dense_searches: Mapping[Effort, models.SearchParams] | None = None,
        timeout: Callable[[], int | None] = lambda: None,
        samples: MutableMapping[Visibility, str] | None = None,
    ) -> None:
        """For one search, or a few other reads. `timeout` is called before each request and returns its server-side
        limit in seconds. `samples` are the samples that were chosen for callers, which is remembered in it.

        `shard` is the key of the shards that are read, `None` for all.
        """
        self._shard = shard
        self._timeout = timeout
        self._dense_searches = dense_searches or {}
        self._call = call
        self._collection = collection
        self.has_idf_samples = has_idf_samples
        self._samples: MutableMapping[Visibility, str] = {} if samples is None else samples
        self._identities: dict[Number, tuple[str, int]] = {}
        """Document and version of the candidates."""
        self._not_newer: dict[str, int] = {}
        """Documents without points of a higher version than this."""

    def statistics(self, seen: Visibility) -> None:
        """Not kept: other processes write, so nobody here knows how long they are true. The server gathers them."""
        return

    def idf_corpus(self, seen: Visibility) -> models.Filter:
        """The points that the server gathers them from. How many a caller sees decides only the size of the sample, so
        it is not counted again for each search."""
        visible = scope(FILTER_BUILDER, seen)
        name = self._samples.get(seen)
        if name is None:
            name = idf_sample_of(self, visible)[0]
            if seen.may_be_remembered:
                self._samples[seen] = name
        return sample_of(FILTER_BUILDER, visible, name)

    def any_newer(self, versions: Mapping[str, int]) -> bool:
        if all(self._not_newer.get(doc_id, version + 1) <= version for doc_id, version in versions.items()):
            return False
        return self.one(any_newer_points(FILTER_BUILDER, versions)) is not None

    def replaced(self) -> None:
        """Not known: other processes write."""
        return

    def legs(
        self,
        vector: Vectors,
        terms: Sparse,
        within: models.Filter,
        idf_corpus: models.Filter | None,
        candidates: int,
    ) -> Legs:
        words = {
            "shard_key": self._shard,
            "query": to_sparse(terms),
            "using": LEXICAL,
            "filter": within,
            "params": _statistics(idf_corpus),
            "with_payload": _VERSION,
        }
        requests = [
            models.QueryRequest(
                shard_key=self._shard,
                query=vector.tolist(),
                using=DENSE,
                filter=within,
                limit=candidates,
                params=self._dense_searches.get(Effort.GRAPH),
                with_payload=_VERSION,
            ),
            models.QueryRequest(**words, limit=candidates),
            # In the same round trip: the terms of the best hits decide the weight of the lexical leg.
            models.QueryRequest(**words, limit=KNOWN_HITS, with_vector=[LEXICAL]),
        ]
        near, matching, known = self._each_leg(requests, candidates) if recording() else self._batch(*requests)
        self._identify(near, matching)
        weight = lexical_weight(terms.indices, [_terms(point) for point in known.points if point.score > 0])
        lexical = {number: score for number, score in _scores(matching).items() if score > 0}
        return Legs(_scores(near), lexical, weight)

    def _each_leg(self, requests: Sequence[models.QueryRequest], candidates: int) -> list[models.QueryResponse]:
        """In a round trip each, so that the time of each can be seen."""
        with leg(DENSE, candidates) as block:
            near = self._batch(*requests[:1])
            returned(block, len(near[0].points))
        with leg(LEXICAL, candidates) as block:
            words = self._batch(*requests[1:])
            returned(block, len(words[0].points))
        return [*near, *words]

    def read(self, numbers: Sequence[Number], vector: Vectors | None) -> dict[Number, Stored]:
        # In one round trip: the points, and whether there are newer versions of their documents.
        these = models.Filter(must=[models.HasIdCondition(has_id=[str(uuid.UUID(int=number)) for number in numbers])])
        points = models.QueryRequest(shard_key=self._shard, filter=these, limit=len(numbers), with_payload=True)
        if vector is not None:  # by the full vectors: the cosine of a hit is shown
            points.query, points.using, points.params = vector.tolist(), DENSE, self._dense_searches.get(Effort.EXACT)
        versions: dict[str, int] = {}
        for doc_id, version in (self._identities[number] for number in numbers if number in self._identities):
            versions[doc_id] = max(version, versions.get(doc_id, version))
        newer = any_newer_points(FILTER_BUILDER, versions)
        found, more = self._batch(
            points, models.QueryRequest(shard_key=self._shard, filter=newer, limit=1, with_payload=False)
        )
        self._not_newer = {} if more.points else versions
        return {
            point_id(point).int: Stored(point.payload or {}, None if vector is None else point.score)
            for point in found.points
        }

    def dense(self, vector: Vectors, within: models.Filter, limit: int) -> Scores:
        return self._query(
            query=vector.tolist(),
            using=DENSE,
            query_filter=within,
            limit=limit,
            search_params=self._dense_searches.get(Effort.GRAPH),
        )

    def lexical(self, terms: Sparse, within: models.Filter, idf_corpus: models.Filter | None, limit: int) -> Scores:
        return self._query(
            query=to_sparse(terms),
            using=LEXICAL,
            query_filter=within,
            limit=limit,
            search_params=_statistics(idf_corpus),
        )

    def vectors(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Vectors]:
        records = self._retrieve(ids, with_payload=False, with_vectors=[DENSE])
        return {point_id(record): vector for record in records if (vector := _dense(record)).size}

    def own_vectors(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, OwnVector]:
        records = self._retrieve(ids, with_payload=["tenant", "acl", "doc_id"], with_vectors=[DENSE])
        return {point_id(record): _own_vector(record) for record in records}

    def nearest(self, queries: Sequence[tuple[Vectors, models.Filter]], limit: int, effort: Effort) -> list[Scores]:
        requests = [
            models.QueryRequest(
                shard_key=self._shard,
                query=vector.tolist(),
                using=DENSE,
                filter=within,
                limit=limit,
                params=self._dense_searches.get(effort),
            )
            for vector, within in queries
        ]
        return [_scores(response) for response in self._batch(*requests)]

    def one(self, within: models.Filter) -> Mapping[str, Any] | None:
        records, _ = self._read(
            lambda client, seconds: client.scroll(
                self._collection,
                scroll_filter=within,
                limit=1,
                with_payload=True,
                timeout=seconds,
                shard_key_selector=self._shard,
            )
        )
        return records[0].payload if records else None

    def count(self, within: models.Filter | None) -> int:
        return self._read(
            lambda client, seconds: client.count(
                self._collection, count_filter=within, exact=True, timeout=seconds, shard_key_selector=self._shard
            )
        ).count

    def identities(self, doc_ids: Sequence[uuid.UUID], batch: int = 1000) -> Iterator[Identity]:
        """(chunk id, document id, version) of every point of these documents."""
        within = FILTER_BUILDER.any_of("doc_id", list(map(str, doc_ids)))
        for records in self._pages(batch, scroll_filter=within, with_payload=IDENTITY, with_vectors=False):
            for record in records:
                payload = record.payload or {}
                yield point_id(record), str(payload.get("doc_id")), int(payload.get("version", 0))

    def scroll(self, batch: int, *, with_vectors: bool) -> Iterator[list[IndexPoint]]:
        wanted = [DENSE] if with_vectors else False
        for records in self._pages(batch, with_payload=True, with_vectors=wanted):
            yield [_point(record) for record in records]

    def matching(self, within: models.Filter, limit: int) -> list[IndexPoint]:
        """Points by filter, `limit` at most."""
        records, _ = self._read(self._scrolling(limit=limit, scroll_filter=within, with_payload=True))
        return [_point(record) for record in records]

    def fetch(self, ids: Sequence[uuid.UUID]) -> list[IndexPoint]:
        return [_point(record) for record in self._retrieve(ids, with_payload=True)]

    def _retrieve(self, ids: Sequence[uuid.UUID], **fields: Any) -> list[models.Record]:
        wanted = [str(chunk_id) for chunk_id in ids]
        return self._read(
            lambda client, seconds: client.retrieve(
                self._collection, wanted, timeout=seconds, shard_key_selector=self._shard, **fields
            )
        )

    def _read(self, request: Callable[[QdrantClient, int | None], Result]) -> Result:
        seconds = self._timeout()
        return self._call(lambda client: request(client, seconds))

    def _batch(self, *requests: models.QueryRequest) -> list[models.QueryResponse]:
        return self._read(
            lambda client, seconds: client.query_batch_points(self._collection, [*requests], timeout=seconds)
        )

    def _query(self, **arguments: Any) -> Scores:
        found = self._read(
            lambda client, seconds: client.query_points(
                self._collection, with_payload=_VERSION, timeout=seconds, shard_key_selector=self._shard, **arguments
            )
        )
        self._identify(found)
        return _scores(found)

    def _identify(self, *found: models.QueryResponse) -> None:
        for point in (point for response in found for point in response.points):
            payload = point.payload or {}
            self._identities[point_id(point).int] = str(payload.get("doc_id")), int(payload.get("version", 0))

    def _pages(self, batch: int, **arguments: Any) -> Iterator[list[models.Record]]:
        offset: Any = None
        while True:
            records, offset = self._read(self._scrolling(limit=batch, offset=offset, **arguments))
            if records:
                yield records
            if offset is None:
                return

    def _scrolling(self, **arguments: Any) -> Callable[[QdrantClient, int | None], tuple[list[models.Record], Any]]:
        return lambda client, seconds: client.scroll(
            self._collection, timeout=seconds, shard_key_selector=self._shard, **arguments
        )


def to_sparse(terms: Sparse) -> models.SparseVector:
    """Convert a sparse vector to qdrant-client's class."""
    return models.SparseVector(indices=terms.indices, values=terms.values)


def _terms(point: models.ScoredPoint) -> Sequence[int]:
    stored = point.vector.get(LEXICAL) if isinstance(point.vector, dict) else None
    return stored.indices if isinstance(stored, models.SparseVector) else ()


def _statistics(idf_corpus: models.Filter | None) -> models.SearchParams | None:
    return None if idf_corpus is None else models.SearchParams(idf=models.IdfCorpusParams(corpus=idf_corpus))


def _scores(response: models.QueryResponse) -> dict[Number, float]:
    return {point_id(point).int: point.score for point in response.points}


def _point(record: models.Record) -> IndexPoint:
    return IndexPoint(point_id(record), _dense(record), from_json_or_blank(record.payload))


def _own_vector(record: models.Record) -> OwnVector:
    payload = record.payload or {}
    tenant, doc_id = str(payload.get("tenant")), str(payload.get("doc_id"))
    return OwnVector(_dense(record), tenant, tuple(payload.get("acl", ())), doc_id)


def _dense(record: models.Record) -> Vectors:
    stored = record.vector.get(DENSE) if isinstance(record.vector, dict) else None
    return _EMPTY if stored is None else np.asarray(stored, dtype=np.float32)
