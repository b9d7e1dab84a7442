"""Background tasks: one that ends, in whatever way, is counted and started again; stopping always ends all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter

from query_server.runtime.polling import BackgroundTasks


class Panic(BaseException):
    """As the engine raises them: no `Exception`."""


def fail() -> None:
    raise ValueError("a bug")


def panic() -> None:
    raise Panic


def cancelled_by_somebody_else() -> None:
    raise asyncio.CancelledError


def return_early() -> None:
    return


@pytest.fixture
def failures() -> Counter:
    return Counter("failures", "failures", ["task"], registry=CollectorRegistry())


@pytest.mark.parametrize("end", [fail, panic, cancelled_by_somebody_else, return_early])
async def test_a_task_that_ends_is_counted_and_started_again(failures: Counter, end: Callable[[], None]) -> None:
    tasks, again = BackgroundTasks(failures, pause=0), asyncio.Event()
    starts = 0

    async def run() -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            end()
            return
        again.set()
        await asyncio.Event().wait()

    tasks.start("poller", run)
    async with asyncio.timeout(10):
        await again.wait()
    assert failures.labels("poller")._value.get() == 2
    await tasks.stop()


async def test_stopping_ends_every_task_although_one_fails_while_it_is_cancelled(failures: Counter) -> None:
    tasks, ended, started = BackgroundTasks(failures), asyncio.Event(), asyncio.Barrier(3)

    async def fails_at_the_end() -> None:
        try:
            await started.wait()
            await asyncio.Event().wait()
        finally:
            raise ValueError("a bug in the cleanup")

    async def ends() -> None:
        try:
            await started.wait()
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks.start("bad", fails_at_the_end)
    tasks.start("good", ends)
    await started.wait()
    async with asyncio.timeout(10):
        await tasks.stop()
    assert ended.is_set()
