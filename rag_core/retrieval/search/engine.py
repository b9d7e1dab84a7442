"""The interface that a hybrid search needs of an engine."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from rag_core.content.embedding import Vectors
from rag_core.retrieval.index import FilterBuilder, Visibility
from rag_core.retrieval.search.fusion import Legs, Number
from rag_core.retrieval.search.lexical import Sparse
from rag_core.retrieval.search.statistics import TermStatistics

Filter = TypeVar("Filter")
Scores = Mapping[Number, float]
"""Chunks with their scores, best first where they are hits."""


class Stored(NamedTuple):
    """The payload of a point, and its cosine to the query if that was asked for."""

    payload: Mapping[str, Any]
    cosine: float | None


class OwnVector(NamedTuple):
    """The dense vector of a stored point, and who may find it."""

    vector: Vectors
    tenant: str
    acl: tuple[str, ...]
    doc_id: str


class Effort(StrEnum):
    """The search for the nearest vectors: along few paths of the search graph, as searches of callers do,
    or by comparing every vector in full."""

    QUICK = "quick"
    GRAPH = "graph"
    EXACT = "exact"


QUICK_EF = 16
"""Candidates considered by a quick search."""


class Engine(Protocol[Filter]):
    """One generation as a search reads it. `within` limits the points.

    `idf_corpus` are the points of the term statistics, which the engine gathers; `None`: the terms are weighted.
    """

    @property
    def filter_builder(self) -> FilterBuilder[Filter]: ...

    def statistics(self, seen: Visibility) -> TermStatistics | None:
        """The term statistics of a caller when they are known."""
        ...

    def idf_corpus(self, seen: Visibility) -> Filter:
        """The points that the engine gathers the term statistics of a caller from (`search.statistics`)."""
        ...

    def replaced(self) -> frozenset[str] | None:
        """Ids of documents that may have points of two versions now; `None` when every document may.

        A document that was replaced while a search ran is among them, or was when the search began.
        """
        ...

    def legs(self, vector: Vectors, terms: Sparse, within: Filter, idf_corpus: Filter | None, candidates: int) -> Legs:
        """Both legs of a hybrid search, of `candidates` points each."""
        ...

    def dense(self, vector: Vectors, within: Filter, limit: int) -> Scores: ...

    def lexical(self, terms: Sparse, within: Filter, idf_corpus: Filter | None, limit: int) -> Scores: ...

    def read(self, numbers: Sequence[Number], vector: Vectors | None) -> Mapping[Number, Stored]:
        """Points, without those that were removed meanwhile, with their cosines to a vector if one is given."""
        ...

    def vectors(self, ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Vectors]:
        """The dense vectors of given points."""
        ...

    def own_vectors(self, ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, OwnVector]:
        """The dense vectors of given points, with what their readers are found by."""
        ...

    def nearest(self, queries: Sequence[tuple[Vectors, Filter]], limit: int, effort: Effort) -> Sequence[Scores]:
        """A dense search for each query."""
        ...

    def any_newer(self, versions: Mapping[str, int]) -> bool:
        """Return whether one of these documents has points of a higher version than the given one."""
        ...

    def one(self, within: Filter) -> Mapping[str, Any] | None:
        """The payload of an arbitrary point."""
        ...

    def count(self, within: Filter) -> int: ...
