"""Which fusion of the two legs is best: `python -m benchmarks.retrieval.fusion DATA`.

Whole documents, exact search, the real embedder and lexical encoder. Every rule sees the best `CANDIDATES` of each
leg, as in the engine. Sets that share their query ids with another set are asked across languages too. The last lines
leave each set out in turn, choose by the mean of the others, and say what the choice scores on the one left out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.vectors import VectorCache
from rag_core.embedding import open_embedder
from rag_core.evaluation.dataset import Dataset, load_datasets
from rag_core.evaluation.metrics import ndcg
from rag_core.index.fusion import CANDIDATES
from rag_core.index.lexical import Sparse, encode_documents, encode_query
from rag_core.settings import Settings

Matrix = npt.NDArray[np.float32]
"""Scores, shape [queries, documents]; -inf is no candidate."""
Rule = Callable[[Matrix, Matrix], Matrix]
_NONE = -np.inf


def main(folder: Path) -> None:
    """Print the table."""
    datasets = load_datasets(folder)
    settings = Settings.load()
    embedder = open_embedder(settings)
    cache = VectorCache(settings.home / "bench" / "vectors", embedder)
    cases = {dataset.name: (dataset, dataset) for dataset in datasets}
    cases |= {
        f"{asked.name} on {held.name}": (held, asked)
        for held in datasets
        for asked in datasets
        if held is not asked and held.queries.keys() == asked.queries.keys()
    }
    table: dict[str, dict[str, float]] = {name: {} for name in RULES}
    for case, (held, asked) in cases.items():
        dense, lexical = _best(_dense(held, asked, cache)), _best(_lexical(held, asked))
        for name, rule in RULES.items():
            table[name][case] = _score(rule(dense, lexical), held, asked)
    cache.close()
    embedder.close()
    _print(table, [dataset.name for dataset in datasets])


def _texts(dataset: Dataset) -> list[str]:
    return [f"{document.title}\n\n{document.text}".strip() for document in dataset.documents]


def _dense(held: Dataset, asked: Dataset, cache: VectorCache) -> Matrix:
    scores: Matrix = cache.queries(list(asked.queries.values())) @ cache.passages(_texts(held)).T
    return scores


def _lexical(held: Dataset, asked: Dataset) -> Matrix:
    """BM25 as the engine computes it: stored weight x query weight x ln((N - n + 0.5) / (n + 0.5) + 1)."""
    documents = encode_documents(_texts(held))
    postings: dict[int, list[tuple[int, float]]] = {}
    for row, sparse in enumerate(documents):
        for term, weight in _pairs(sparse):
            postings.setdefault(term, []).append((row, weight))
    scores = np.zeros((len(asked.queries), len(documents)), np.float32)
    for row, text in enumerate(asked.queries.values()):
        for term, weight in _pairs(encode_query(text)):
            held_by = postings.get(term, [])
            idf = np.log((len(documents) - len(held_by) + 0.5) / (len(held_by) + 0.5) + 1)
            for column, stored in held_by:
                scores[row, column] += weight * stored * idf
    return np.where(scores > 0, scores, _NONE)


def _pairs(sparse: Sparse) -> zip[tuple[int, float]]:
    return zip(sparse.indices, sparse.values, strict=True)


def _best(scores: Matrix) -> Matrix:
    cut = min(CANDIDATES, scores.shape[1])
    floor = np.partition(scores, -cut, axis=1)[:, -cut : scores.shape[1] - cut + 1]
    return np.where(scores >= floor, scores, _NONE)


def _rrf(k: int) -> Rule:
    def rule(dense: Matrix, lexical: Matrix) -> Matrix:
        return _sum(_reciprocal(dense, k), _reciprocal(lexical, k), dense, lexical)

    return rule


def _reciprocal(scores: Matrix, k: int) -> Matrix:
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(np.isfinite(scores), 1 / (k + ranks + 1), 0).astype(np.float32)


def _weighted(scale: Callable[[Matrix], Matrix], share: float) -> Rule:
    def rule(dense: Matrix, lexical: Matrix) -> Matrix:
        return _sum(share * scale(dense), (1 - share) * scale(lexical), dense, lexical)

    return rule


def _min_max(scores: Matrix) -> Matrix:
    known = np.isfinite(scores)
    low = np.where(known, scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(known, scores, -np.inf).max(axis=1, keepdims=True)
    return _where_known(scores, lambda: (scores - low) / np.maximum(high - low, 1e-9))


def _distribution(scores: Matrix) -> Matrix:
    known = np.isfinite(scores)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, scores, 0).sum(axis=1, keepdims=True) / count
    spread = np.where(known, (scores - mean) ** 2, 0).sum(axis=1, keepdims=True) / np.maximum(count - 1, 1)
    deviation = np.sqrt(spread)
    scaled = _where_known(scores, lambda: (scores - mean + 3 * deviation) / np.maximum(6 * deviation, 1e-9))
    return np.where(known & (deviation == 0), 0.5, scaled).astype(np.float32)


def _where_known(scores: Matrix, scaled: Callable[[], Any]) -> Matrix:
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(scores), scaled(), 0).astype(np.float32)


def _sum(first: Matrix, second: Matrix, dense: Matrix, lexical: Matrix) -> Matrix:
    return np.where(np.isfinite(dense) | np.isfinite(lexical), first + second, _NONE).astype(np.float32)


def _score(fused: Matrix, held: Dataset, asked: Dataset) -> float:
    names = [document.id for document in held.documents]
    total = 0.0
    for query, row in zip(asked.queries, fused, strict=True):
        order = [int(place) for place in np.argsort(-row, kind="stable")[:10] if np.isfinite(row[place])]
        total += ndcg([names[place] for place in order], held.judgements[query])
    return total / len(asked.queries)


RULES: dict[str, Rule] = {
    "dense alone": lambda dense, _: dense,
    "BM25 alone": lambda _, lexical: lexical,
    "RRF, k 60": _rrf(60),
    "RRF, k 2": _rrf(2),
    **{f"min-max, dense {share}": _weighted(_min_max, share) for share in (0.4, 0.5, 0.6)},
    **{f"DBSF, dense {share}": _weighted(_distribution, share) for share in (0.4, 0.5, 0.6)},
}


def _print(table: dict[str, dict[str, float]], sets: list[str]) -> None:
    cases = list(next(iter(table.values())))
    print("| rule |", " | ".join(cases), "| mean of sets |")
    print("|---" * (len(cases) + 2) + "|")
    for name, scores in table.items():
        mean = np.mean([scores[case] for case in sets])
        print(f"| {name} |", " | ".join(f"{scores[case]:.3f}" for case in cases), f"| {mean:.4f} |")
    for out in sets:
        means = {name: np.mean([table[name][case] for case in sets if case != out]) for name in table}
        chosen = max(means, key=lambda name: means[name])
        best = max(table[name][out] for name in table)
        print(f"without {out}: {chosen}, scores {table[chosen][out]:.3f} there (best of all {best:.3f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
