"""Report of the embedding benchmark: the sweep, the shipped embedder and single queries; or the networks compared."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np

from benchmarks.embed.networks import compare_networks
from benchmarks.embed.sweep import sweep, variants
from benchmarks.embed.variants import tokenise
from benchmarks.machine import resident_mb
from benchmarks.report import Progress, Report, Table
from benchmarks.texts import chinese_passages, english_passages
from benchmarks.timing import median, percentile, seconds
from rag_core.content.embedding import Embedder, prepare_model
from rag_core.content.embedding.onnx import QUERY_PREFIX, OnnxEmbedder, usable_cores
from rag_core.content.embedding.tokenizer import E5TokenCounter, load_tokenizer
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
    chosen = variants(usable_cores(), processes=processes)
    compared = sweep(settings.model_dir, ids, rounds, chosen, progress)
    with closing(
        OnnxEmbedder(settings.model_dir, threads=settings.embed_threads, network=settings.embed_network)
    ) as embedder:
        shipped = _shipped(embedder, [text for group in passages.values() for text in group], rounds)
        queries = _queries(embedder, [text[:60] for text in passages["en"] + passages["zh"]])
    mean = np.mean([len(tokens) for group in ids.values() for tokens in group])
    notes = (
        f"{texts} passages a language, {mean:.0f} tokens on average, {rounds} interleaved rounds, medians",
        "of the shipped: rate against the first row's in the same round and language; its median and middle half",
        "drift: largest distance (1 - cosine) of a vector from the one computed alone",
    )
    return Report("bench embed", (compared, shipped, queries), notes=notes)


def run_networks(settings: Settings, *, texts: int, tokens: int, rounds: int, progress: Progress) -> Report:
    """Compare the networks over passages, short passages and queries of both languages."""
    counter = E5TokenCounter(settings.model_dir)
    prepare_model(settings)
    whole = english_passages(texts, tokens, counter) + chinese_passages(texts, tokens, counter)
    short = english_passages(texts, 40, counter) + chinese_passages(texts, 40, counter)
    tokenizer = load_tokenizer(settings.model_dir)
    ids = {
        "passages": tokenise(settings.model_dir, whole),
        "short passages": tokenise(settings.model_dir, short),
        "queries": [tokenizer.encode(QUERY_PREFIX + _beginning(text)).ids for text in whole],
    }
    ids = {f"{kind} ({np.mean([len(one) for one in group]):.0f} tokens)": group for kind, group in ids.items()}
    tables = compare_networks(settings.model_dir, ids, rounds, progress)
    notes = (
        f"{2 * texts} texts of each kind, half of them Chinese; {rounds} interleaved rounds; medians, ratio of pairs",
        "a batch is what a caller gives; the dynamic network computes its texts one by one, so that none drifts",
    )
    return Report("bench embed --networks", tables, notes=notes)


def _beginning(text: str) -> str:
    """About as long as a question."""
    return text[:60] if text.isascii() else text[:18]


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
