"""Blocking calls: the loop stays free, a caller that leaves is let go, and a hung part is not waited for."""

from __future__ import annotations

import asyncio
import threading

import pytest
from prometheus_client import CollectorRegistry, Gauge

from query_server.runtime.blocking import BlockingPool
from rag_core.errors import Reason, Unavailable


class Hang:
    """A call that returns when the test says so."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self) -> str:
        self.entered.release()
        assert self.release.wait(20)
        return "done"


def make_pool(threads: int) -> BlockingPool:
    return BlockingPool(threads, name="test", stuck=Gauge("stuck", "stuck", registry=CollectorRegistry()))


async def enter(pool: BlockingPool, hang: Hang) -> asyncio.Task[str]:
    task = asyncio.create_task(pool.run(hang))
    assert await asyncio.to_thread(hang.entered.acquire, timeout=10)
    return task


async def test_results_and_errors_come_through() -> None:
    pool = make_pool(1)
    assert await pool.run(sorted, [2, 1], reverse=True) == [2, 1]
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    pool.close()


@pytest.mark.catalogue("F35")
async def test_when_every_thread_is_stuck_calls_fail_at_once_until_one_returns() -> None:
    pool, hang = make_pool(2), Hang()
    for _ in range(2):
        task = await enter(pool, hang)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert pool.open
    with pytest.raises(Unavailable) as caught:
        await pool.run(str)
    assert caught.value.reason is Reason.INDEX_UNAVAILABLE
    hang.release.set()
    async with asyncio.timeout(10):
        while pool.stuck:  # noqa: ASYNC110  the pool has no event for it
            await asyncio.sleep(0)
    assert await pool.run(str) == ""
    pool.close()


@pytest.mark.catalogue("F34")
async def test_a_call_that_had_not_begun_is_never_succeeded() -> None:
    pool, hang = make_pool(1), Hang()
    first = await enter(pool, hang)
    ran: list[int] = []
    waiting = asyncio.create_task(pool.run(ran.append, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not pool.stuck
    hang.release.set()
    assert await first == "done"
    await pool.run(str)
    assert ran == []
    pool.close()
