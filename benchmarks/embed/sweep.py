"""Compare embedding variants in turn, each with the shipped one of the same round, so that load affects them alike."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.embed.variants import Runner, Variant
from benchmarks.report import Cell, Progress, Table
from benchmarks.timing import median, percentile
from rag_core.content.embedding import Vectors
from rag_core.content.embedding.networks import Tokens

_BATCHES = (1, 4, 8)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a variant over the passages of a language. Processor time is of this process only."""

    round: int
    language: str
    variant: Variant
    rate: float
    cpu_ms: float
    drift: float


def variants(cores: int, *, processes: bool) -> list[Variant]:
    """The shipped variant first, then the ones it is compared with."""
    threads = sorted({1, cores}, reverse=True)
    chosen = [Variant(callers, 1, batch) for callers, batch in itertools.product(threads, _BATCHES)]
    if cores > 1:
        chosen += [Variant(1, cores, batch) for batch in _BATCHES]
    if processes:
        chosen += [Variant(cores, 1, batch, processes=True) for batch in (1, 8)]
    return chosen


def sweep(
    model_dir: Path, ids: dict[str, list[Tokens]], rounds: int, chosen: Sequence[Variant], progress: Progress
) -> Table:
    """Rates, paired ratios to the shipped variant, processor time and drift of each variant."""
    runners = {variant: Runner(variant, model_dir) for variant in chosen}
    trials: list[Trial] = []
    try:
        alone = {language: runners[chosen[0]].embed(group) for language, group in ids.items()}
        steps = list(itertools.product(range(rounds), ids, range(len(chosen))))
        for done, (number, language, place) in enumerate(steps):
            progress(done, len(steps))
            # Another order in each round: the load of a neighbour may follow a rhythm.
            variant = chosen[(place + number) % len(chosen)]
            trials.append(_trial(number, language, variant, runners[variant], ids[language], alone[language]))
    finally:
        for runner in runners.values():
            runner.close()
    columns = (
        *("how", "batch", *(f"{language} passages/s" for language in ids)),
        *("of the shipped", "middle half", "CPU ms/passage", "drift"),
    )
    return Table(
        "Threads and batches", columns, tuple(_row(variant, chosen[0], trials, list(ids)) for variant in chosen)
    )


def _trial(
    number: int, language: str, variant: Variant, runner: Runner, ids: Sequence[Tokens], alone: Vectors
) -> Trial:
    wall, cpu = time.perf_counter(), time.process_time()
    vectors = runner.embed(ids)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    drift = float(np.clip(1 - (alone * vectors).sum(axis=1), 0, 2).max().round(6))
    return Trial(number, language, variant, len(ids) / wall, cpu / len(ids) * 1000, drift)


def _row(variant: Variant, shipped: Variant, trials: Sequence[Trial], languages: Sequence[str]) -> tuple[Cell, ...]:
    mine = [trial for trial in trials if trial.variant == variant]
    theirs = {(trial.round, trial.language): trial.rate for trial in trials if trial.variant == shipped}
    ratios = [trial.rate / theirs[trial.round, trial.language] for trial in mine]
    rates = [median([trial.rate for trial in mine if trial.language == language]) for language in languages]
    spread = f"{percentile(ratios, 25):.2f}-{percentile(ratios, 75):.2f}"
    cpu = None if variant.processes else median([trial.cpu_ms for trial in mine])
    return (variant.label, variant.batch, *rates, median(ratios), spread, cpu, max(trial.drift for trial in mine))
