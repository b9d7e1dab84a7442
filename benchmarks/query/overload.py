"""More calls than the system can answer: what is refused, how fast, and what still gets through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from benchmarks.query.load import Call, questions
from benchmarks.query.systems import System
from benchmarks.report import Cell, Table, Target
from benchmarks.timing import percentile

if TYPE_CHECKING:
    from benchmarks.query.run import Sizes

WAVES = 5
FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Wave:
    """One wave: rates per second, times in milliseconds. `other` are failures that are no refusal."""

    knee: float
    sent: float
    answered: float
    refused: int
    refused_p99: float
    answered_p99: float
    other: int


async def overload(system: System, texts: list[str], knee: float, sizes: Sizes) -> tuple[Wave, ...]:
    """Five waves at three times the knee, with a pause of one second between them."""
    waves = []
    async with system() as call:
        for number in range(WAVES):
            waves.append(await _wave(call, texts, knee, sizes.seconds, 950_000_000 + number * 1_000_000))
            await asyncio.sleep(1)
    return tuple(waves)


async def _wave(call: Call, texts: list[str], knee: float, seconds: float, first: int) -> Wave:
    good: list[float] = []
    refused: list[float] = []
    other = 0
    asked = questions(texts, first)
    started = time.perf_counter()

    async def one() -> None:
        nonlocal other
        begun = time.perf_counter()
        try:
            await call(next(asked))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                refused.append(time.perf_counter() - begun)
            else:
                other += 1
        else:
            good.append(time.perf_counter() - begun)

    count = int(knee * FACTOR * seconds)
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / (knee * FACTOR) - time.perf_counter()))
            group.create_task(one())
        sending = time.perf_counter() - started
    wall = time.perf_counter() - started
    return Wave(knee, count / sending, len(good) / wall, len(refused), _p99(refused), _p99(good), other)


def _p99(times: Sequence[float]) -> float:
    return percentile(times, 99) * 1000 if times else 0.0


def overload_table(waves: Sequence[Wave]) -> Table:
    """One row for each wave."""
    columns = (
        "wave",
        "knee/s",
        "sent/s",
        "answered/s",
        "refused",
        "refused p99 ms",
        "answered p99 ms",
        "failed",
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (number, w.knee, w.sent, w.answered, w.refused, w.refused_p99, w.answered_p99, w.other)
        for number, w in enumerate(waves, start=1)
    )
    return Table("Overload at three times the knee, through the gateway", columns, rows)


def overload_targets(waves: Sequence[Wave]) -> tuple[Target, ...]:
    """The worst wave against CATALOGUE F33."""
    if not waves:
        return ()
    slowest, least = max(wave.refused_p99 for wave in waves), min(wave.answered / wave.knee for wave in waves)
    return (
        Target("p99 of a refusal, worst of five waves, ms", slowest, 20, "three times the knee"),
        Target("answered / knee, worst of five waves", least, 0.9, "three times the knee", at_least=True),
    )
