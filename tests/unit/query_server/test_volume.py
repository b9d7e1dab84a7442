"""The bytes that a tenant's answers may take: two seconds' worth at once, then what the rate allows."""

from __future__ import annotations

import pytest

from query_server.interceptors import volume
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
        limiter.check(tenant)
    except Exhausted:
        return False
    return True


def test_a_burst_of_two_seconds_passes_and_its_excess_is_paid_off_by_time() -> None:
    clock = Clock()
    limiter = VolumeLimiter(100, clock=clock)
    limiter.charge("acme", 200)
    assert allowed(limiter)
    limiter.charge("acme", 100)
    assert not allowed(limiter)
    assert allowed(limiter, "globex")
    clock.now += 1
    assert allowed(limiter)


def test_tenants_that_owe_nothing_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "_REMEMBERED", 100)
    clock = Clock()
    limiter = VolumeLimiter(100, clock=clock)
    limiter.charge("debtor", 10_000)
    for number in range(500):
        clock.now += 0.1
        limiter.charge(f"tenant-{number}", 1)
    assert not allowed(limiter, "debtor")
    assert len(limiter) <= 101
