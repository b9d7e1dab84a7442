"""The two legs of a search as matrices: exact dense search, and BM25 as the engine computes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.vectors import VectorCache
from rag_core.answering.evaluation import Dataset
from rag_core.retrieval.search import KNOWN_HITS, Sparse, encode_documents, encode_query
from rag_core.retrieval.search.fusion import CANDIDATES

Matrix = npt.NDArray[np.float32]
"""Scores, shape [queries, documents]; -inf is no candidate."""
NONE = -np.inf


@dataclass(frozen=True, slots=True)
class Legs:
    """The best `CANDIDATES` of each leg. `known` is the share of each query's terms that the best lexical hits have
    between them, `matched` the share that the very best has, shape [queries, 1]."""

    dense: Matrix
    lexical: Matrix
    known: Matrix
    matched: Matrix


def texts_of(dataset: Dataset) -> list[str]:
    """The text of each document to embed."""
    return [f"{document.title}\n\n{document.text}".strip() for document in dataset.documents]


def legs(dataset: Dataset, vectors: VectorCache) -> Legs:
    """Both legs of every query of a set."""
    texts, queries = texts_of(dataset), list(dataset.queries.values())
    documents = encode_documents(texts)
    asked = [encode_query(text) for text in queries]
    dense: Matrix = vectors.queries(queries) @ vectors.passages(texts).T
    lexical = best(bm25(asked, documents))
    return Legs(best(dense), lexical, *_known(asked, documents, lexical))


def bm25(queries: list[Sparse], documents: list[Sparse]) -> Matrix:
    """Stored weight x query weight x ln((N - n + 0.5) / (n + 0.5) + 1); documents without a query term are out."""
    held: dict[int, tuple[list[int], list[float]]] = {}
    for row, sparse in enumerate(documents):
        for term, weight in zip(sparse.indices, sparse.values, strict=True):
            rows, weights = held.setdefault(term, ([], []))
            rows.append(row)
            weights.append(weight)
    postings = {term: (np.asarray(rows), np.asarray(weights)) for term, (rows, weights) in held.items()}
    scores = np.zeros((len(queries), len(documents)), np.float32)
    for row, sparse in enumerate(queries):
        for term, weight in zip(sparse.indices, sparse.values, strict=True):
            if term in postings:
                columns, stored = postings[term]
                rarity = np.log((len(documents) - len(columns) + 0.5) / (len(columns) + 0.5) + 1)
                scores[row, columns] += weight * stored * rarity
    return np.where(scores > 0, scores, NONE).astype(np.float32)


def best(scores: Matrix) -> Matrix:
    """Only the candidates that a leg hands to the fusion."""
    cut = min(CANDIDATES, scores.shape[1])
    floor = np.partition(scores, -cut, axis=1)[:, -cut : scores.shape[1] - cut + 1]
    return np.where(scores >= floor, scores, NONE).astype(np.float32)


def _known(queries: list[Sparse], documents: list[Sparse], lexical: Matrix) -> tuple[Matrix, Matrix]:
    known = np.zeros((len(queries), 1), np.float32)
    matched = np.zeros_like(known)
    for row, (sparse, scores) in enumerate(zip(queries, lexical, strict=True)):
        wanted = set(sparse.indices)
        hits = [int(place) for place in np.argsort(-scores, kind="stable")[:KNOWN_HITS] if np.isfinite(scores[place])]
        found = [wanted.intersection(documents[place].indices) for place in hits]
        if found:
            known[row], matched[row] = len(set().union(*found)) / len(wanted), len(found[0]) / len(wanted)
    return known, matched
