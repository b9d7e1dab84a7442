"""Reads of one collection: a `rag_core.search.hybrid.Engine` over qdrant-client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from qdrant_client import QdrantClient, models

from rag_core.embedding import Vectors
from rag_core.index import IDENTITY, Identity, IndexPoint, from_json_or_blank
from rag_core.index.qdrant.filters import FILTER_BUILDER, QdrantFilterBuilder, point_id, scored
from rag_core.index.qdrant.layout import DENSE, LEXICAL
from rag_core.search import KNOWN_HITS, Fusion, Scored, Scores, Sparse, leg, lexical_weight, returned
from rag_tracing import recording

Result = TypeVar("Result")
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
        dense_search: models.SearchParams | None = None,
        timeout: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`timeout` is called before each request and returns its server-side limit in seconds.

        `shard` is the key of the shards that are read, `None` for all.
        """
        self._shard = shard
        self._timeout = timeout
        self._dense_search = dense_search
        self._call = call
        self._collection = collection
        self.has_idf_samples = has_idf_samples

    def fused(
        self,
        vector: Vectors,
        terms: Sparse,
        within: models.Filter,
        idf_corpus: models.Filter,
        *,
        fusion: Fusion,
    ) -> list[Scored]:
        words = {
            "shard_key": self._shard,
            "query": to_sparse(terms),
            "using": LEXICAL,
            "filter": within,
            "params": _statistics(idf_corpus),
        }
        requests = [
            models.QueryRequest(
                shard_key=self._shard,
                query=vector.tolist(),
                using=DENSE,
                filter=within,
                limit=fusion.candidates,
                params=self._dense_search,
            ),
            models.QueryRequest(**words, limit=fusion.candidates),
            # In the same round trip: the terms of the best hits decide the weight of the lexical leg.
            models.QueryRequest(**words, limit=KNOWN_HITS, with_vector=[LEXICAL]),
        ]
        near, matching, known = self._each_leg(requests, fusion) if recording() else self._batch(requests)
        weight = lexical_weight(terms.indices, [_terms(point) for point in known.points if point.score > 0])
        lexical = {chunk_id: score for chunk_id, score in _scores(matching).items() if score > 0}
        return fusion.best(_scores(near), lexical, weight, self._payloads)

    def _batch(self, requests: Sequence[models.QueryRequest]) -> list[models.QueryResponse]:
        return self._read(
            lambda client, seconds: client.query_batch_points(self._collection, requests, timeout=seconds)
        )

    def _each_leg(self, requests: Sequence[models.QueryRequest], fusion: Fusion) -> list[models.QueryResponse]:
        """In a round trip each, so that the time of each can be seen."""
        with leg(DENSE, fusion.candidates) as block:
            near = self._batch(requests[:1])
            returned(block, len(near[0].points))
        with leg(LEXICAL, fusion.candidates) as block:
            words = self._batch(requests[1:])
            returned(block, len(words[0].points))
        return [*near, *words]

    def _payloads(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Mapping[str, Any]]:
        """Payloads by id, without points that were removed meanwhile."""
        wanted = [str(chunk_id) for chunk_id in ids]
        records = self._read(
            lambda client, seconds: client.retrieve(
                self._collection, wanted, with_payload=True, timeout=seconds, shard_key_selector=self._shard
            )
        )
        return {point_id(record): record.payload or {} for record in records}

    def dense(self, vector: Vectors, within: models.Filter, limit: int) -> list[Scored]:
        return self._query(
            query=vector.tolist(), using=DENSE, query_filter=within, limit=limit, search_params=self._dense_search
        )

    def lexical(self, terms: Sparse, within: models.Filter, idf_corpus: models.Filter, limit: int) -> list[Scored]:
        return self._query(
            query=to_sparse(terms),
            using=LEXICAL,
            query_filter=within,
            limit=limit,
            search_params=_statistics(idf_corpus),
        )

    def cosines(self, ids: Sequence[uuid.UUID], vector: Vectors) -> Scores:
        these = models.Filter(must=[models.HasIdCondition(has_id=[str(chunk_id) for chunk_id in ids])])
        request = models.QueryRequest(
            shard_key=self._shard, query=vector.tolist(), using=DENSE, filter=these, limit=len(ids)
        )
        (found,) = self._read(
            lambda client, seconds: client.query_batch_points(self._collection, [request], timeout=seconds)
        )
        return _scores(found)

    def vectors(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Vectors]:
        wanted = [str(chunk_id) for chunk_id in ids]
        records = self._read(
            lambda client, seconds: client.retrieve(
                self._collection,
                wanted,
                with_payload=False,
                with_vectors=[DENSE],
                timeout=seconds,
                shard_key_selector=self._shard,
            )
        )
        found = {}
        for record in records:
            stored = record.vector.get(DENSE) if isinstance(record.vector, dict) else None
            if stored is not None:
                found[point_id(record)] = np.asarray(stored, dtype=np.float32)
        return found

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
        wanted = [str(chunk_id) for chunk_id in ids]
        records = self._read(
            lambda client, seconds: client.retrieve(
                self._collection, wanted, with_payload=True, timeout=seconds, shard_key_selector=self._shard
            )
        )
        return [_point(record) for record in records]

    def _read(self, request: Callable[[QdrantClient, int | None], Result]) -> Result:
        seconds = self._timeout()
        return self._call(lambda client: request(client, seconds))

    def _query(self, **arguments: Any) -> list[Scored]:
        return scored(
            self._read(
                lambda client, seconds: client.query_points(
                    self._collection, with_payload=True, timeout=seconds, shard_key_selector=self._shard, **arguments
                )
            ).points
        )

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


def _statistics(idf_corpus: models.Filter) -> models.SearchParams:
    return models.SearchParams(idf=models.IdfCorpusParams(corpus=idf_corpus))


def _scores(response: models.QueryResponse) -> dict[uuid.UUID, float]:
    return {point_id(point): point.score for point in response.points}


def _point(record: models.Record) -> IndexPoint:
    stored = record.vector.get(DENSE) if isinstance(record.vector, dict) else None
    vector = _EMPTY if stored is None else np.asarray(stored, dtype=np.float32)
    return IndexPoint(point_id(record), vector, from_json_or_blank(record.payload))
