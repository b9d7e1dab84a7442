"""Compare the bundled model's networks: processor time on one thread, and cosine to the same weights in float32.

The networks take turns with every batch, so that the load of the machine affects them alike. Processor time, unlike the
wall clock, hardly depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.report import Cell, Progress, Table
from benchmarks.timing import median
from rag_core.content.embedding import Vectors
from rag_core.content.embedding.bundle import Bundle, open_bundle
from rag_core.content.embedding.networks import (
    Network,
    NetworkName,
    Tokens,
    TokenTable,
    open_network,
    open_session,
    packed_inputs,
    plan_runs,
)
from rag_core.content.embedding.packed_graph import build_packed_graph

BATCHES = (1, 4, 8)
_BASE: NetworkName = "dynamic-int8"

Run = Callable[[Sequence[Tokens]], Vectors]


def compare_networks(
    model_dir: Path, texts: Mapping[str, Sequence[Tokens]], rounds: int, progress: Progress
) -> tuple[Table, Table]:
    """Processor time and cosine of each network over each kind of text, given as token ids."""
    bundle = open_bundle()
    networks = {name: open_network(name, model_dir, bundle) for name in get_args(NetworkName)}
    names = sorted(networks, key=lambda name: name != _BASE)
    runs: dict[str, Run] = {name: _as_shipped(networks[name]) for name in names}
    exact = _float32(bundle)
    times: list[tuple[Cell, ...]] = []
    cosines: list[tuple[Cell, ...]] = []
    for done, (kind, ids) in enumerate(texts.items()):
        expected = np.concatenate([exact([one]) for one in ids])
        for name in names:
            found = np.concatenate([runs[name]([one]) for one in ids])
            near = (_unit(found) * _unit(expected)).sum(axis=1)
            cosines.append((kind, name, float(near.min()), float(near.mean())))
        for batch in BATCHES:
            progress(done * len(BATCHES) + BATCHES.index(batch), len(texts) * len(BATCHES))
            spent = _interleaved(runs, names, ids, batch, rounds)
            ratios = [base / new for base, new in zip(spent[names[0]], spent[names[1]], strict=True)]
            times.append((kind, batch, *(median(spent[name]) for name in names), median(ratios)))
    columns = ("texts", "batch", *(f"{name}, CPU ms/text" for name in names), "ratio")
    return (
        Table("Networks, one thread", columns, tuple(times)),
        Table("Cosine to float32", ("texts", "network", "least", "mean"), tuple(cosines)),
    )


def _interleaved(
    runs: Mapping[str, Run], names: Sequence[str], ids: Sequence[Tokens], batch: int, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of processor time a text, pair by pair."""
    spent: dict[str, list[float]] = {name: [] for name in names}
    groups = [ids[start : start + batch] for start in range(0, len(ids) - batch + 1, batch)]
    for number in range(rounds):
        for place, group in enumerate(groups):
            for name in names if (place + number) % 2 else reversed(names):
                started = time.process_time()
                runs[name](group)
                spent[name].append((time.process_time() - started) * 1000 / len(group))
    return spent


def _as_shipped(network: Network) -> Run:
    """A batch in the runs that the embedder makes of it on one thread; vectors come in the order of the runs."""

    def run(group: Sequence[Tokens]) -> Vectors:
        runs = plan_runs([len(ids) for ids in group], network.texts_per_run, threads=1)
        return np.concatenate([network.run([group[row] for row in rows]) for rows in runs])

    return run


def _float32(bundle: Bundle) -> Run:
    session, table = open_session(build_packed_graph(bundle, None)), TokenTable(bundle)
    return lambda group: session.run(["vectors"], packed_inputs(table, group))[0]


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
