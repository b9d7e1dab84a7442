"""Runs the variants in turn, round after round, so that a busy neighbour harms them alike."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.embed.variants import Runner, Tokens, Variant, tokenise
from benchmarks.machine import resident_mb
from benchmarks.report import Cell, Progress, Report, Table
from benchmarks.texts import chinese_passages, english_passages
from benchmarks.timing import median, percentile, seconds
from rag_core.embedding.base import Embedder, Vectors
from rag_core.embedding.onnx import OnnxEmbedder, usable_cores
from rag_core.embedding.tokenizer import E5TokenCounter
from rag_core.settings import Settings

_QUERIES = 300


def run(settings: Settings, *, texts: int, tokens: int, rounds: int, processes: bool, progress: Progress) -> Report:
    """Sweep threads and batches over passages of both languages; then time single queries of the shipped embedder."""
    counter = E5TokenCounter(settings.model_dir)
    passages = {
        "en": english_passages(texts, tokens, counter),
        "zh": chinese_passages(texts, tokens, counter),
    }
    ids = {language: tokenise(settings.model_dir, group) for language, group in passages.items()}
    sweep = _sweep(settings, ids, rounds, _variants(usable_cores(), processes=processes), progress)
    embedder = OnnxEmbedder(settings.model_dir, threads=settings.embed_threads)
    try:
        shipped = _shipped(embedder, [text for group in passages.values() for text in group], rounds)
        queries = _queries(embedder, [text[:60] for text in passages["en"] + passages["zh"]])
    finally:
        embedder.close()
    mean = np.mean([len(tokens) for group in ids.values() for tokens in group])
    notes = (
        f"{texts} passages a language, {mean:.0f} tokens on average, {rounds} interleaved rounds, medians",
        "drift: largest distance (1 - cosine) of a vector from the one computed alone",
    )
    return Report("bench embed", (sweep, shipped, queries), notes=notes)


def _variants(cores: int, *, processes: bool) -> list[Variant]:
    threads = sorted({1, cores})
    variants = [Variant(callers, 1, batch) for callers, batch in itertools.product(threads, (1, 4, 8, 16))]
    if cores > 1:
        variants += [Variant(1, cores, batch) for batch in (1, 4, 8, 16)]
    if processes:
        variants += [Variant(cores, 1, batch, processes=True) for batch in (1, 8)]
    return variants


def _sweep(
    settings: Settings, ids: dict[str, list[Tokens]], rounds: int, variants: Sequence[Variant], progress: Progress
) -> Table:
    runners = {variant: Runner(variant, settings.model_dir) for variant in variants}
    rates: dict[tuple[Variant, str], list[float]] = {}
    drift: dict[Variant, float] = {}
    try:
        alone = {language: runners[variants[0]].embed(group) for language, group in ids.items()}
        steps = list(itertools.product(range(rounds), variants, ids))
        for done, (_, variant, language) in enumerate(steps):
            progress(done, len(steps))
            taken, vectors = seconds(lambda v=variant, key=language: runners[v].embed(ids[key]))  # type: ignore[misc]
            rates.setdefault((variant, language), []).append(len(ids[language]) / taken)
            drift[variant] = max(drift.get(variant, 0.0), _drift(alone[language], vectors))
    finally:
        for runner in runners.values():
            runner.close()
    rows: list[tuple[Cell, ...]] = [
        (variant.label, variant.batch, *(median(rates[variant, key]) for key in ids), drift[variant])
        for variant in variants
    ]
    return Table("Threads and batches", ("how", "batch", *(f"{key} passages/s" for key in ids), "drift"), tuple(rows))


def _drift(alone: Vectors, vectors: Vectors) -> float:
    return float(np.clip(1 - (alone * vectors).sum(axis=1), 0, 2).max().round(6))


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
