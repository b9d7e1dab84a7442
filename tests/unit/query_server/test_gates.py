"""The concurrency gate: slots, a bounded queue, quick refusal, and no slot lost in any way out."""

from __future__ import annotations

import asyncio

import pytest

from query_server.interceptors.gates import ConcurrencyGate
from query_server.metrics import Metrics
from query_server.policies import Gate
from rag_core.errors import Exhausted, Reason


class Crowd:
    """Callers that stay inside until released."""

    def __init__(self, *, slots: int, queue: int) -> None:
        self.gate = ConcurrencyGate(Gate.SEARCH, slots=slots, queue=queue, metrics=Metrics())
        self.inside = 0
        self.most = 0
        self.release = asyncio.Event()

    async def call(self) -> None:
        async with self.gate.enter():
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await self.release.wait()
            finally:
                self.inside -= 1


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_f33_the_limit_holds_in_waves() -> None:
    crowd = Crowd(slots=3, queue=2)
    for _wave in range(5):
        crowd.release.clear()
        calls = [asyncio.create_task(crowd.call()) for _ in range(9)]
        await settle()
        assert crowd.inside == 3
        refused = [call for call in calls if call.done()]
        assert len(refused) == 4
        crowd.release.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, Exhausted) and result.reason is Reason.OVERLOADED for result in results) == 4
    assert crowd.most == 3


@pytest.mark.parametrize("waiting", [False, True])
async def test_f34_a_caller_that_leaves_frees_its_place(waiting: bool) -> None:
    crowd = Crowd(slots=1, queue=1)
    first = asyncio.create_task(crowd.call())
    await settle()
    second = asyncio.create_task(crowd.call())
    await settle()
    (second if waiting else first).cancel()
    await settle()
    third = asyncio.create_task(crowd.call())
    await settle()
    assert not third.done()
    assert crowd.inside == 1
    crowd.release.set()
    results = await asyncio.gather(first, second, third, return_exceptions=True)
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 1


async def test_without_a_queue_the_next_caller_is_refused_at_once() -> None:
    crowd = Crowd(slots=1, queue=0)
    first = asyncio.create_task(crowd.call())
    await settle()
    with pytest.raises(Exhausted):
        await crowd.call()
    crowd.release.set()
    await first
