"""Which fusion of the two legs is best: `python -m benchmarks.retrieval.fusion DATA`.

Whole documents, exact search, the real embedder and lexical encoder. Every rule sees the best `CANDIDATES` of each
leg, as in the engine. Sets that share their query ids with another set are asked across languages too. The last lines
leave each family of sets out in turn (those that share texts), choose by the mean of the others among the rules that
lose on none of them, and say what the choice scores on what was left out.
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
from rag_core.index.fusion import CANDIDATES, KNOWN_HITS
from rag_core.index.lexical import Sparse, encode_documents, encode_query
from rag_core.settings import Settings

Matrix = npt.NDArray[np.float32]
"""Scores, shape [queries, documents]; -inf is no candidate."""
Rule = Callable[[Matrix, Matrix, Matrix], Matrix]
"""From the scores of both legs and how much of each query the lexical one knows, shape [queries, 1]."""
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
        known = _known(held, asked, lexical)
        for name, rule in RULES.items():
            table[name][case] = _score(rule(dense, lexical, known), held, asked)
    cache.close()
    embedder.close()
    _print(table)


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
    def rule(dense: Matrix, lexical: Matrix, _known: Matrix) -> Matrix:
        return _sum(_reciprocal(dense, k), _reciprocal(lexical, k), dense, lexical)

    return rule


def _reciprocal(scores: Matrix, k: int) -> Matrix:
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1, kind="stable")
    return np.where(np.isfinite(scores), 1 / (k + ranks + 1), 0).astype(np.float32)


def _weighted(scale: Callable[[Matrix], Matrix], share: float) -> Rule:
    def rule(dense: Matrix, lexical: Matrix, _known: Matrix) -> Matrix:
        return _sum(share * scale(dense), (1 - share) * scale(lexical), dense, lexical)

    return rule


def _by_known(full: float) -> Rule:
    """DBSF whose lexical leg counts in full from this share of known query terms, and in proportion below it."""

    def rule(dense: Matrix, lexical: Matrix, known: Matrix) -> Matrix:
        return _sum(_distribution(dense), np.minimum(1, known / full) * _distribution(lexical), dense, lexical)

    return rule


def _known(held: Dataset, asked: Dataset, lexical: Matrix) -> Matrix:
    """Share of each query's terms that its best lexical hits know together."""
    terms = [set(sparse.indices) for sparse in encode_documents(_texts(held))]
    shares = []
    for text, row in zip(asked.queries.values(), lexical, strict=True):
        wanted = set(encode_query(text).indices)
        best = [int(place) for place in np.argsort(-row, kind="stable")[:KNOWN_HITS] if np.isfinite(row[place])]
        shares.append(len(wanted & set().union(*(terms[place] for place in best))) / max(1, len(wanted)))
    return np.asarray(shares, np.float32)[:, None]


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
    "dense alone": lambda dense, _lexical, _known: dense,
    "BM25 alone": lambda _dense, lexical, _known: lexical,
    "RRF, k 60": _rrf(60),
    "RRF, k 2": _rrf(2),
    **{f"min-max, dense {share}": _weighted(_min_max, share) for share in (0.4, 0.5, 0.6)},
    **{f"DBSF, dense {share}": _weighted(_distribution, share) for share in (0.4, 0.5, 0.6, 0.65, 0.7)},
    **{f"DBSF, known {full}": _by_known(full) for full in (0.3, 0.5, 0.7)},
}


def _print(table: dict[str, dict[str, float]]) -> None:
    cases = list(next(iter(table.values())))
    print("| rule |", " | ".join(cases), "| mean | least margin |")
    print("|---" * (len(cases) + 3) + "|")
    for name, scores in table.items():
        shown = " | ".join(f"{scores[case]:.3f}" for case in cases)
        print(f"| {name} | {shown} | {_mean(scores, cases):.4f} | {_margin(table, name, cases):+.4f} |")
    for family in sorted({_family(case) for case in cases}):
        kept = [case for case in cases if _family(case) != family]
        out = [case for case in cases if _family(case) == family]
        never = [name for name in table if _margin(table, name, kept) >= 0] or list(table)
        chosen = max(never, key=lambda name: _mean(table[name], kept))
        mean, margin = _mean(table[chosen], out), _margin(table, chosen, out)
        print(f"without {family}: {chosen}, mean {mean:.4f} there, least margin {margin:+.4f}")


def _mean(scores: dict[str, float], cases: list[str]) -> float:
    return float(np.mean([scores[case] for case in cases]))


def _margin(table: dict[str, dict[str, float]], name: str, cases: list[str]) -> float:
    """How much the rule is above the better leg, where it is least."""
    legs = ("dense alone", "BM25 alone")
    return min(table[name][case] - max(table[leg][case] for leg in legs) for case in cases)


def _family(case: str) -> str:
    return case.partition("-")[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
