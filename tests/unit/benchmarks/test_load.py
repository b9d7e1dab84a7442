"""The load loops count what they sent."""

from __future__ import annotations

import asyncio
from itertools import islice

from benchmarks.query.load import closed_loop, open_loop, questions


async def test_a_closed_loop_keeps_exactly_so_many_calls_going() -> None:
    running = most = 0

    async def call(_: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    outcome = await closed_loop(call, questions(["q"], 0), in_flight=3, seconds=0.1)
    assert most == 3
    assert outcome.rate > 0
    assert outcome.failed == 0
    assert outcome.p50 <= outcome.p95 <= outcome.p99


async def test_failed_calls_are_counted_and_not_timed() -> None:
    async def call(_: str) -> None:
        await asyncio.sleep(0.001)
        raise OSError

    outcome = await closed_loop(call, questions(["q"], 0), in_flight=2, seconds=0.05)
    assert outcome.failed > 0
    assert outcome.rate == 0


async def test_an_open_loop_does_not_wait_for_answers() -> None:
    asked = 0
    release = asyncio.Event()

    async def call(_: str) -> None:
        nonlocal asked
        asked += 1
        if asked == 20:
            release.set()
        await release.wait()

    outcome = await open_loop(call, questions(["q"], 0), rate=200, seconds=0.1)
    assert asked == 20
    assert outcome.failed == 0


def test_no_two_questions_are_equal() -> None:
    asked = list(islice(questions(["a", "b"], 0), 50)) + list(islice(questions(["a", "b"], 1000), 50))
    assert len(set(asked)) == 100
