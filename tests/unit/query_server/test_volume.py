"""The bytes that a tenant's answers may take: two seconds' worth at once, then what the rate allows."""

from __future__ import annotations

import pytest

from query_server.interceptors import concurrency, volume
from query_server.interceptors.concurrency import RecentTenants
from query_server.interceptors.volume import VolumeLimiter
from rag_core.errors import Exhausted


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
