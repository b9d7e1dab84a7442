"""Report of the embedding benchmark: throughput of the shipped embedder, and the time of single queries."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np

from benchmarks.machine import resident_mb
from benchmarks.report import Report, Table
from benchmarks.texts import chinese_passages, english_passages
from benchmarks.timing import median, percentile, seconds
from rag_core.content.embedding import Embedder, prepare_model
from rag_core.content.embedding.onnx import OnnxEmbedder
from rag_core.content.embedding.tokenizer import E5TokenCounter
from rag_core.settings import Settings

_QUERIES = 300


def run(settings: Settings, *, texts: int, tokens: int, rounds: int) -> Report:
    """Time passages of both languages, and single queries."""
    prepare_model(settings)
    counter = E5TokenCounter(settings.model_dir)
    english, chinese = english_passages(texts, tokens, counter), chinese_passages(texts, tokens, counter)
    passages = english + chinese
    with closing(OnnxEmbedder(settings.model_dir, threads=settings.embed_threads)) as embedder:
        shipped = _shipped(embedder, passages, rounds)
        queries = _queries(embedder, [text[:60] for text in passages])
    mean = np.mean(counter.count_many(passages))
    notes = (f"{texts} passages a language, {mean:.0f} tokens on average; {rounds} rounds, medians",)
    return Report("bench embed", (shipped, queries), notes=notes)


def _shipped(embedder: Embedder, passages: list[str], rounds: int) -> Table:
    rates = [len(passages) / seconds(lambda: embedder.embed_passages(passages))[0] for _ in range(rounds)]
    row = (median(rates), max(rates), resident_mb())
    return Table("The shipped embedder, both languages mixed", ("passages/s", "best round", "RSS MB"), (row,))


def _queries(embedder: Embedder, texts: list[str]) -> Table:
    def one(text: str) -> float:
        return seconds(lambda: embedder.embed_queries([text]))[0] * 1000

    rows = []
    for callers in (1, 8):
        with ThreadPoolExecutor(callers) as pool:
            wall, times = seconds(lambda p=pool: list(p.map(one, itertools.islice(itertools.cycle(texts), _QUERIES))))  # type: ignore[misc]
        rows.append((callers, _QUERIES / wall, percentile(times, 50), percentile(times, 95), percentile(times, 99)))
    return Table("Queries, one text a call", ("callers", "queries/s", "p50 ms", "p95 ms", "p99 ms"), tuple(rows))
