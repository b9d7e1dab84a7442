"""The concurrency gate: slots, a bounded queue, quick refusal, and no slot lost in any way out. The bytes that a
tenant's answers may take: two seconds' worth at once, then what the rate allows."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Literal

import pytest

from query_server.auth.policies import ConcurrencyClass
from query_server.interceptors import concurrency, volume
from query_server.interceptors.concurrency import ConcurrencyLimiter, RecentTenants
from query_server.interceptors.stack import build_limiters
from query_server.interceptors.volume import VolumeLimiter
from query_server.runtime.metrics import Metrics
from rag_core.errors import Exhausted, Reason
from rag_core.settings import Settings


class Crowd:
    """Callers that stay inside until released."""

    def __init__(self, *, slots: int, queue: int, share: float = 1, paced: bool = False) -> None:
        self.gate = ConcurrencyLimiter(
            ConcurrencyClass.SEARCH, slots=slots, queue=queue, share=share, metrics=Metrics(), paced=paced
        )
        self.order: list[str] = []
        self.inside = 0
        self.most = 0
        self.release = asyncio.Event()

    async def call(self, tenant: str = "acme") -> None:
        async with self.gate.enter(tenant):
            self.order.append(tenant)
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await self.release.wait()
            finally:
                self.inside -= 1


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.catalogue("F33")
async def test_the_limit_holds_in_waves() -> None:
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


@pytest.mark.catalogue("F34")
@pytest.mark.parametrize("waiting", [False, True])
async def test_a_caller_that_leaves_frees_its_place(waiting: bool) -> None:
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


async def test_a_tenant_holds_no_more_than_its_share_of_slots_and_queue() -> None:
    crowd = Crowd(slots=8, queue=4, share=0.75)
    flood = [asyncio.create_task(crowd.call("flood")) for _ in range(50)]
    await settle()
    assert crowd.inside == 6
    assert sum(call.done() for call in flood) == 50 - 6 - 3
    others = [asyncio.create_task(crowd.call("other")) for _ in range(2)]
    await settle()
    assert crowd.inside == 8
    assert not any(call.done() for call in others)
    crowd.release.set()
    results = await asyncio.gather(*flood, *others, return_exceptions=True)
    assert sum(isinstance(result, Exhausted) for result in results) == 50 - 6 - 3


async def test_of_one_slot_even_a_small_share_is_the_slot() -> None:
    crowd = Crowd(slots=1, queue=1, share=0.1)
    calls = [asyncio.create_task(crowd.call()) for _ in range(2)]
    await settle()
    assert crowd.inside == 1
    crowd.release.set()
    await asyncio.gather(*calls)


async def test_a_free_slot_goes_to_the_waiting_tenant_that_holds_fewest_and_equals_take_turns() -> None:
    crowd = Crowd(slots=1, queue=9)
    tenants = ["a", "a", "a", "a", "b", "b", "c"]
    calls = []
    for tenant in tenants:
        calls.append(asyncio.create_task(crowd.call(tenant)))
        await settle()
    crowd.release.set()
    await asyncio.gather(*calls)
    assert crowd.order == ["a", "a", "b", "c", "a", "b", "a"]


async def test_callers_that_leave_at_the_moment_a_slot_comes_lose_none() -> None:
    crowd = Crowd(slots=1, queue=9)
    first = asyncio.create_task(crowd.call())
    await settle()
    waiting = [asyncio.create_task(crowd.call(tenant)) for tenant in ("a", "b", "a", "b")]
    await settle()
    crowd.release.set()
    waiting[0].cancel()
    await first
    waiting[1].cancel()
    waiting[2].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert results[3] is None
    await crowd.call("c")
    assert crowd.inside == 0


async def test_a_paced_tenant_has_one_slot_beside_others_and_rests_after_each_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed = 0.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: time.monotonic() + passed)
    monkeypatch.setattr(concurrency, "LONGEST_REST_SECONDS", 1000)
    crowd = Crowd(slots=5, queue=9, paced=True)
    calls = [asyncio.create_task(crowd.call(tenant)) for tenant in ("other", "busy", "busy", "busy")]
    await settle()
    assert crowd.order == ["other", "busy"]
    passed = 100
    calls.append(asyncio.create_task(crowd.call("other")))
    await settle()
    crowd.release.set()
    await calls[1]
    await asyncio.create_task(crowd.call("third"))
    assert crowd.order == ["other", "busy", "other", "third"]  # the slot of the busy tenant rests for 200 s
    passed = 400
    await asyncio.gather(*calls)
    assert crowd.order[4:] == ["busy", "busy"]


async def test_a_paced_tenant_alone_has_its_share_and_no_rest() -> None:
    crowd = Crowd(slots=4, queue=9, paced=True)
    calls = [asyncio.create_task(crowd.call("busy")) for _ in range(5)]
    await settle()
    assert crowd.inside == 4
    crowd.release.set()
    await calls[0]
    await settle()
    assert crowd.order == ["busy"] * 5
    await asyncio.gather(*calls)


@pytest.mark.parametrize(("answerer", "inside"), [("extractive", 1), ("openai", 2)])
async def test_answers_that_are_composed_here_are_paced_beside_the_searches_of_others(
    tmp_path: Path, answerer: Literal["extractive", "openai"], inside: int
) -> None:
    settings = Settings(
        home=tmp_path, answerer=answerer, answer_url="http://127.0.0.1:1/v1", answer_model="m",
        max_concurrent_answers=4, max_tenant_share=1,
    )  # fmt: skip
    limiters = build_limiters(settings, Metrics(), RecentTenants())
    busy = Crowd(slots=1, queue=0)
    busy.gate = limiters[ConcurrencyClass.ANSWER]
    async with limiters[ConcurrencyClass.SEARCH].enter("other"):
        calls = [asyncio.create_task(busy.call()) for _ in range(2)]
        await settle()
        assert busy.inside == inside
    busy.release.set()
    await asyncio.gather(*calls)


class Clock:
    """A time that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def allowed(limiter: VolumeLimiter, tenant: str = "acme") -> bool:
    try:
        limiter.charge(tenant, limiter.reserve(tenant), 0)
    except Exhausted:
        return False
    return True


def answer(limiter: VolumeLimiter, size: int, tenant: str = "acme") -> None:
    limiter.charge(tenant, limiter.reserve(tenant), size)


def test_a_burst_of_two_seconds_passes_and_its_excess_is_paid_off_by_time() -> None:
    clock = Clock()
    limiter = VolumeLimiter(100, clock=clock)
    answer(limiter, 200)
    assert allowed(limiter)
    answer(limiter, 100)
    assert not allowed(limiter)
    assert allowed(limiter, "globex")
    clock.now += 1
    assert allowed(limiter)


def test_calls_that_run_at_the_same_time_pass_only_as_far_as_their_usual_answers_are_allowed() -> None:
    clock = Clock()
    limiter = VolumeLimiter(100, clock=clock)
    answer(limiter, 100)
    clock.now += 60
    running = []
    while allowed(limiter):
        running.append(limiter.reserve("acme"))
    assert running == [100.0, 100.0, 100.0]
    for reserved in running:
        limiter.charge("acme", reserved, 0)
    assert allowed(limiter), "there was no answer, so nothing is owed"


async def test_a_quarter_is_left_while_another_tenant_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "BESIDE_SECONDS", 600)
    clock, recent = Clock(), RecentTenants()
    limiter = VolumeLimiter(100, recent, clock=clock)
    recent.note("acme")
    answer(limiter, 150)
    assert allowed(limiter), "alone, within the burst"
    clock.now += 60
    recent.note("globex")
    answer(limiter, 75)
    assert not allowed(limiter), "beside another, three seconds are owed"
    clock.now += 1
    assert allowed(limiter)


def test_tenants_that_owe_nothing_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "_REMEMBERED", 100)
    clock = Clock()
    limiter = VolumeLimiter(100, clock=clock)
    answer(limiter, 10_000, "debtor")
    for number in range(500):
        clock.now += 0.1
        answer(limiter, 1, f"tenant-{number}")
    assert not allowed(limiter, "debtor")
    assert len(limiter) <= 101
