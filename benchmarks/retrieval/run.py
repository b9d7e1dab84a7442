"""Scores every search mode on every set, and hybrid against the better of its legs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.report import Cell, Progress, Report, Table, Target
from benchmarks.retrieval.indexing import TENANT, best_chunks, chunk_corpus, fill
from benchmarks.vectors import VectorCache
from rag_core.embedding import open_embedder
from rag_core.evaluation.dataset import Dataset, load_datasets
from rag_core.evaluation.metrics import CUT, ndcg, recall, reciprocal_rank
from rag_core.index.base import SearchMode, SearchRequest, VectorIndex
from rag_core.index.edge import EdgeIndex
from rag_core.models import EVERYONE
from rag_core.settings import Settings
from rag_core.text import open_chunker

MODES = {SearchMode.DENSE: "dense", SearchMode.LEXICAL: "BM25", SearchMode.HYBRID: "hybrid"}
# Deep enough that 10 documents remain when each long one fills many places with its chunks.
_DEPTH = 100

Scores = tuple[float, float, float]


def run(
    settings: Settings, data: Path, *, whole_documents: bool, max_queries: int | None, progress: Progress
) -> Report:
    """Index each set under a temporary folder and ask all its queries in each mode."""
    datasets = load_datasets(data, max_queries)
    embedder = open_embedder(settings)
    vectors = VectorCache(settings.home / "bench" / "vectors", embedder)
    chunker = None if whole_documents else open_chunker(settings)
    rows: list[tuple[Cell, ...]] = []
    targets: list[Target] = []
    try:
        for dataset in datasets:
            chunked = chunk_corpus(dataset, chunker)
            with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder:
                index = EdgeIndex(folder)
                try:
                    fill(index, dataset, chunked, vectors, progress)
                    scores = {mode: _score(index, dataset, vectors, mode, progress) for mode in MODES}
                finally:
                    index.close()
            points = sum(len(chunks) for _, chunks in chunked)
            rows += [
                (dataset.name, len(chunked), points, len(dataset.queries), MODES[mode], *scores[mode]) for mode in MODES
            ]
            targets.append(_target(dataset, scores))
    finally:
        vectors.close()
        embedder.close()
    columns = ("set", "documents", "points", "queries", "mode", f"nDCG@{CUT}", f"Recall@{CUT}", f"MRR@{CUT}")
    note = (
        "one point per document"
        if whole_documents
        else f"chunks of {settings.chunk_tokens} tokens, a document scores as its best chunk"
    )
    return Report("bench retrieval", (Table("Retrieval", columns, tuple(rows)),), tuple(targets), (note,))


def _score(index: VectorIndex, dataset: Dataset, vectors: VectorCache, mode: SearchMode, progress: Progress) -> Scores:
    """Means over the queries."""
    embedded = vectors.queries(list(dataset.queries.values()), progress)
    totals = [0.0, 0.0, 0.0]
    for (query, text), vector in zip(dataset.queries.items(), embedded, strict=True):
        request = SearchRequest(TENANT, (EVERYONE,), _DEPTH, mode, text, vector)
        ranking = best_chunks([hit.payload.locator for hit in index.search(request).hits])
        gains = dataset.judgements[query]
        for place, metric in enumerate((ndcg, recall, reciprocal_rank)):
            totals[place] += metric(ranking, gains)
    ndcg_mean, recall_mean, rank_mean = (total / len(dataset.queries) for total in totals)
    return ndcg_mean, recall_mean, rank_mean


def _target(dataset: Dataset, scores: dict[SearchMode, Scores]) -> Target:
    better = max(scores[SearchMode.DENSE][0], scores[SearchMode.LEXICAL][0])
    return Target(
        f"hybrid nDCG@{CUT} on {dataset.name}",
        scores[SearchMode.HYBRID][0],
        better,
        "the better leg alone",
        at_least=True,
    )
