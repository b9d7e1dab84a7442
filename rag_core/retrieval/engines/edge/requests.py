"""Requests of an Edge shard, and its results as the values of a search."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import qdrant_edge as edge

from rag_core.content.embedding import Vectors
from rag_core.retrieval.engines.edge.filters import point_id, vectors_of
from rag_core.retrieval.engines.edge.layout import DENSE, LEXICAL, dense_searches
from rag_core.retrieval.index import IndexPoint, from_json_or_blank
from rag_core.retrieval.search import Effort, Number, OwnVector, Sparse

SEARCHES = dense_searches()
_EMPTY: Vectors = np.empty(0, dtype=np.float32)
_NOTHING = edge.Filter(must=[edge.HasIdCondition(set())])
_IDF_OF_NOTHING = math.log(2)


def retrieving(ids: Sequence[uuid.UUID], fields: edge.PayloadSelector) -> Callable[[edge.EdgeShard], list[edge.Record]]:
    """A read of points by id, with some fields of their payloads."""
    return lambda shard: shard.retrieve([*ids], with_payload=fields, with_vector=False)


def scrolling(
    request: edge.ScrollRequest,
) -> Callable[[edge.EdgeShard], tuple[list[edge.Record], edge.PointId | None]]:
    """A read of a page of points."""
    return lambda shard: shard.scroll(request)


def nearest_request(
    vector: Vectors, within: edge.Filter, limit: int, params: edge.SearchParams = SEARCHES[Effort.GRAPH]
) -> edge.QueryRequest:
    """The dense leg."""
    return edge.QueryRequest(limit=limit, query=near_query(vector), filter=within, params=params)


def near_query(vector: Vectors) -> edge.Query:
    """The order by the cosine to a vector."""
    return edge.Query.Nearest(vector.tolist(), DENSE)


def matching_request(
    terms: Sparse, within: edge.Filter, idf_corpus: edge.Filter | None, limit: int
) -> edge.QueryRequest:
    """The lexical leg. The engine multiplies each term by its inverse document frequency in `idf_corpus`; of terms that
    are weighted already by that of no points, which is the same for all."""
    values, corpus = terms.values, idf_corpus
    if corpus is None:
        values, corpus = [value / _IDF_OF_NOTHING for value in values], _NOTHING
    return edge.QueryRequest(
        limit=limit,
        query=edge.Query.Nearest(edge.SparseVector(terms.indices, values), LEXICAL),
        filter=within,
        params=edge.SearchParams(idf=edge.IdfParams(corpus)),
    )


def scores_of(hits: Sequence[edge.ScoredPoint]) -> dict[Number, float]:
    """Ids and scores of hits, in their order."""
    return numbered([(hit.id, hit.score) for hit in hits])


def numbered(found: Iterable[tuple[edge.PointId, float]]) -> dict[Number, float]:
    """Ids as numbers."""
    # Without a function for each: there are hundreds.
    return {one.int if isinstance(one, uuid.UUID) else int(one): score for one, score in found}


def own_vector(record: edge.Record) -> OwnVector:
    """A record that was read with its dense vector, tenant, ACL and document."""
    payload = record.payload or {}
    vector = np.asarray(vectors_of(record).get(DENSE, ()), dtype=np.float32)
    return OwnVector(vector, str(payload.get("tenant")), tuple(payload.get("acl", ())), str(payload.get("doc_id")))


def point_of(record: edge.Record) -> IndexPoint:
    """A record as a point."""
    stored = vectors_of(record).get(DENSE)
    vector = _EMPTY if stored is None else np.asarray(stored, dtype=np.float32)
    return IndexPoint(point_id(record), vector, from_json_or_blank(record.payload))
