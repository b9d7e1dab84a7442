"""Load generators: closed loop and open loop."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.timing import percentile

Call = Callable[[str], Awaitable[list[str]]]
"""Ask one question and wait for the texts found, best first; raises when it fails."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Answers per second, latencies in milliseconds, how many calls failed, and the milliseconds of processor time that
    each process took for an answer, where they were measured."""

    rate: float
    p50: float
    p95: float
    p99: float
    failed: int
    processor: Mapping[str, float] = field(default_factory=dict)


async def closed_loop(call: Call, questions: Iterator[str], *, in_flight: int, seconds: float) -> Outcome:
    """Keep `in_flight` calls going for a time: each caller asks again as soon as it has its answer."""
    times: list[float] = []
    failed = 0
    started = time.perf_counter()

    async def caller() -> None:
        nonlocal failed
        while time.perf_counter() - started < seconds:
            begun = time.perf_counter()
            try:
                await call(next(questions))
            except Exception:
                failed += 1
            else:
                times.append(time.perf_counter() - begun)

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return _outcome(times, failed, time.perf_counter() - started)


async def open_loop(call: Call, questions: Iterator[str], *, rate: float, seconds: float) -> Outcome:
    """Send calls at fixed moments whatever the answers do; latency counts from the moment a call was due."""
    times: list[float] = []
    failed = 0
    started = time.perf_counter()

    async def one(due: float) -> None:
        nonlocal failed
        try:
            await call(next(questions))
        except Exception:
            failed += 1
        else:
            times.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    return _outcome(times, failed, time.perf_counter() - started)


def questions(texts: list[str], start: int) -> Iterator[str]:
    """Endless questions, no two equal, so that no cache answers them; another `start` gives others."""
    return (f"{texts[number % len(texts)]} {number}" for number in itertools.count(start))


def _outcome(times: list[float], failed: int, wall: float) -> Outcome:
    if not times:
        return Outcome(0, 0, 0, 0, failed)
    p50, p95, p99 = (percentile(times, share) * 1000 for share in (50, 95, 99))
    return Outcome(len(times) / wall, p50, p95, p99, failed)
