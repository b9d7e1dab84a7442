"""Score every search mode on every set, and hybrid against the better of its legs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.own_text import open_embedder
from benchmarks.report import Cell, Progress, Report, Table, Target
from benchmarks.retrieval.indexing import TENANT, Chunked, best_chunks, chunk_corpus, fill
from benchmarks.vectors import VectorCache
from rag_core.answering.evaluation import CUT, Dataset, load_datasets, ndcg, paired, recall, reciprocal_rank
from rag_core.content.chunking import Chunker, open_chunker
from rag_core.governance.access import EVERYONE
from rag_core.ingestion.generations import CHUNKING
from rag_core.retrieval.engines.edge import EdgeIndex
from rag_core.retrieval.index import SearchMode, SearchRequest, VectorIndex
from rag_core.settings import Settings

MODES = {SearchMode.DENSE: "dense", SearchMode.LEXICAL: "BM25", SearchMode.HYBRID: "hybrid"}
# Deep enough that 10 documents remain when each long one fills many ranks with its chunks.
_DEPTH = 100

METRICS = (ndcg, recall, reciprocal_rank)
Scores = npt.NDArray[np.float64]
"""One row per query, a column per metric."""
Columns = tuple[str, ...]
_COLUMNS: Columns = ("set", "chunker", "points", "queries", "mode", f"nDCG@{CUT}", f"Recall@{CUT}", f"MRR@{CUT}")
_SURE: Columns = ("set", "chunker", "hybrid - dense", "hybrid - BM25", "hybrid - better leg")


def run(
    settings: Settings,
    data: Path,
    *,
    whole_documents: bool,
    max_queries: int | None,
    progress: Progress,
    sweep: Sequence[tuple[int, int, bool]] = (),
) -> Report:
    """Index each set under a temporary folder and ask all its queries in each mode.

    `sweep` lists chunkers as (tokens, overlap, with headings) to compare; without it the configured one is used.
    """
    datasets = load_datasets(data, max_queries)
    embedder = open_embedder(settings)
    vectors = VectorCache(settings.home / "bench" / "vectors", embedder)
    rows: list[tuple[Cell, ...]] = []
    sure: list[tuple[Cell, ...]] = []
    targets: list[Target] = []
    try:
        for name, chunker in _chunkers(settings, sweep, whole=whole_documents):
            for dataset in datasets:
                chunked = chunk_corpus(dataset, chunker)
                scores = _scored(dataset, chunked, vectors, progress)
                points = sum(len(chunks) for _, chunks in chunked)
                rows += [
                    (
                        dataset.name,
                        name,
                        points,
                        len(dataset.queries),
                        MODES[mode],
                        *map(float, scores[mode].mean(axis=0)),
                    )
                    for mode in MODES
                ]
                sure.append((dataset.name, name, *_differences(scores)))
                targets.append(_target(dataset, name, scores))
    finally:
        vectors.close()
        embedder.close()
    tables = (Table("Retrieval", _COLUMNS, tuple(rows)), Table(f"Differences of nDCG@{CUT}", _SURE, tuple(sure)))
    notes = (
        "a document scores as its best chunk",
        "differences: mean [95 % interval], paired bootstrap over the queries",
    )
    return Report("bench retrieval", tables, tuple(targets), notes)


def _chunkers(
    settings: Settings, sweep: Sequence[tuple[int, int, bool]], *, whole: bool
) -> Iterator[tuple[str, Chunker | None]]:
    if whole:
        yield "whole documents", None
        return
    own = (settings.chunk_tokens, settings.chunk_overlap, settings.chunk_context)
    for chosen in sweep or [own]:
        tokens, overlap, context = chosen
        name = f"{tokens} tokens, overlap {overlap}{'' if context else ', without headings'}"
        yield name, open_chunker(settings.model_copy(update=dict(zip(CHUNKING, chosen, strict=True))))


def _scored(dataset: Dataset, chunked: Chunked, vectors: VectorCache, progress: Progress) -> dict[SearchMode, Scores]:
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as folder, closing(EdgeIndex(folder)) as index:
        fill(index, dataset, chunked, vectors, progress)
        return {mode: _score(index, dataset, vectors, mode, progress) for mode in MODES}


def _score(index: VectorIndex, dataset: Dataset, vectors: VectorCache, mode: SearchMode, progress: Progress) -> Scores:
    embedded = vectors.queries(list(dataset.queries.values()), progress)
    scores = np.zeros((len(dataset.queries), len(METRICS)))
    for row, ((query, text), vector) in enumerate(zip(dataset.queries.items(), embedded, strict=True)):
        request = SearchRequest(TENANT, (EVERYONE,), _DEPTH, mode, text, vector)
        ranking = best_chunks([hit.payload.locator for hit in index.search(request).hits])
        scores[row] = [metric(ranking, dataset.judgements[query]) for metric in METRICS]
    return scores


def _differences(scores: dict[SearchMode, Scores]) -> tuple[str, str, str]:
    hybrid, dense, lexical = (scores[mode][:, 0] for mode in (SearchMode.HYBRID, SearchMode.DENSE, SearchMode.LEXICAL))
    better = dense if dense.mean() > lexical.mean() else lexical
    against_dense, against_lexical, against_better = (str(paired(hybrid, leg)) for leg in (dense, lexical, better))
    return against_dense, against_lexical, against_better


def _target(dataset: Dataset, chunker: str, scores: dict[SearchMode, Scores]) -> Target:
    means = {mode: float(scores[mode][:, 0].mean()) for mode in MODES}
    return Target(
        f"hybrid nDCG@{CUT} on {dataset.name}, {chunker}",
        means[SearchMode.HYBRID],
        max(means[SearchMode.DENSE], means[SearchMode.LEXICAL]),
        "the better leg alone",
        at_least=True,
    )
