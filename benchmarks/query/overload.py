"""Overload: how many calls are refused, how fast, and the latency of those that are answered."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import psutil

from benchmarks.query.load import Call, closed_loop, questions
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


async def overload(system: System, texts: list[str], in_flight: int, sizes: Sizes) -> tuple[Wave, ...]:
    """Five waves at three times the knee, which is measured with `in_flight` calls before and after each of them: a
    machine that others use as well changes by more within a minute than refusals cost."""
    asked = questions(texts, 950_000_000)
    waves = []
    with _clients_apart():
        async with system() as call:

            async def knee() -> float:
                return (await closed_loop(call, asked, in_flight=in_flight, seconds=sizes.seconds)).rate

            before = await knee()
            for _ in range(WAVES):
                wave = await _wave(call, asked, before, sizes.seconds)
                after = await knee()
                waves.append(replace(wave, knee=(before + after) / 2))
                before = after
    return tuple(waves)


@contextmanager
def _clients_apart() -> Iterator[None]:
    """Leave the last core to the clients, which are this process, and the others to what it has started.

    Callers have machines of their own; what it costs them to be refused must not be taken from the answers.
    """
    cores = os.sched_getaffinity(0)
    own = {max(cores)}
    others = cores - own or own
    started = psutil.Process().children(recursive=True)
    try:
        _pin(os.getpid(), own)
        for process in started:
            _pin(process.pid, others)
        yield
    finally:
        for pid in (os.getpid(), *(process.pid for process in started)):
            _pin(pid, cores)


def _pin(pid: int, cores: set[int]) -> None:
    """All threads of a process; those that they start later inherit it."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


async def _wave(call: Call, asked: Iterator[str], knee: float, seconds: float) -> Wave:
    good: list[float] = []
    refused: list[float] = []
    other = 0
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
    return Table(
        "Overload at three times the knee, through the gateway; the clients have a core of their own", columns, rows
    )


def overload_targets(waves: Sequence[Wave]) -> tuple[Target, ...]:
    """The worst wave against CATALOGUE F33."""
    if not waves:
        return ()
    slowest, least = max(wave.refused_p99 for wave in waves), min(wave.answered / wave.knee for wave in waves)
    overall = sum(wave.answered for wave in waves) / sum(wave.knee for wave in waves)
    return (
        Target("p99 of a refusal, worst of five waves, ms", slowest, 20, "three times the knee"),
        Target("answered / knee, five waves together", overall, 0.9, "three times the knee", at_least=True),
        Target("answered / knee, worst of five waves", least, 0.9, "three times the knee", at_least=True),
    )
