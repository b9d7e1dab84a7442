"""Budgets as one process sees them: its own counts, the rows of the others, a faster counter, and midnight."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rag_core.errors import InvalidInput, QuotaExceeded, Reason
from rag_core.governance.usage import Budget, Meter, Owner, Usage, require_budget

EVENING = datetime(2026, 11, 26, 22, 30, tzinfo=UTC)
ACME = Owner("acme")
KEY = Owner("acme", "k1")


class Clock:
    def __init__(self) -> None:
        self.now = EVENING

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    return Meter(clock)


def admitted(meter: Meter, calls: int, key_id: str = "", tenant: str = "acme") -> int:
    found = 0
    for _ in range(calls):
        try:
            meter.admit(tenant, key_id)
            found += 1
        except QuotaExceeded:
            continue
    return found


def test_a_tenants_budget_is_about_all_its_callers_and_says_when_it_renews(meter: Meter) -> None:
    meter.budgets = {ACME: Budget(calls_per_day=5)}
    assert admitted(meter, 3) + admitted(meter, 4, "k1") == 5
    with pytest.raises(QuotaExceeded) as caught:
        meter.admit("acme", "k2")
    error = caught.value
    assert error.reason is Reason.QUOTA_EXCEEDED
    assert error.metadata == {
        "budget": "calls",
        "limit": "5",
        "used": "5",
        "scope": "tenant",
        "renews_at": "2026-11-27T00:00:00Z",
        "retry_seconds": "5400",
    }
    assert "it renews at 2026-11-27T00:00:00Z" in error.message
    assert admitted(meter, 9, tenant="beta") == 9


def test_a_key_has_a_budget_of_its_own_within_its_tenants(meter: Meter) -> None:
    meter.budgets = {ACME: Budget(calls_per_day=5), KEY: Budget(calls_per_day=2)}
    assert admitted(meter, 4, "k1") == 2
    assert admitted(meter, 9) == 3
    assert meter.used(KEY) == Usage(calls=2, refused=2)


def test_what_other_processes_used_counts_and_a_call_that_is_taken_back_does_not(meter: Meter) -> None:
    budgets = {ACME: Budget(calls_per_day=10)}
    meter.read(meter.day, budgets, {ACME: Usage(calls=7)})
    assert admitted(meter, 2) == 2
    meter.add_calls("acme", "", -1)
    assert admitted(meter, 9) == 2
    meter.read(meter.day, budgets, {ACME: Usage(calls=6)})
    assert admitted(meter, 9) == 1


def test_model_tokens_are_those_read_and_written(meter: Meter) -> None:
    meter.budgets = {ACME: Budget(model_tokens_per_day=100)}
    meter.add_tokens("acme", "k1", prompt=60, completion=39)
    assert meter.tokens_used_up("acme", "") is None
    meter.add_tokens("acme", "", prompt=0, completion=1)
    problem = meter.tokens_used_up("acme", "k1")
    assert problem is not None
    assert problem.metadata["budget"] == "model_tokens"
    assert admitted(meter, 3) == 3


def test_a_day_begins_at_midnight_and_what_was_not_written_of_the_one_before_is_kept(
    meter: Meter, clock: Clock
) -> None:
    meter.budgets = {ACME: Budget(calls_per_day=2)}
    assert admitted(meter, 5) == 2
    clock.now = datetime(2026, 11, 27, 0, 0, 1, tzinfo=UTC)
    assert admitted(meter, 5) == 2
    (before, old), (today, new) = meter.unwritten()
    assert (str(before), str(today)) == ("2026-11-26", "2026-11-27")
    assert old == new == {ACME: Usage(calls=2, refused=3)}
    meter.wrote(before, old)
    assert [at for at, _ in meter.unwritten()] == [today]


def test_totals_are_written_once_and_again_when_they_changed(meter: Meter) -> None:
    admitted(meter, 2)
    ((at, rows),) = meter.unwritten()
    meter.wrote(at, rows)
    assert meter.unwritten() == []
    admitted(meter, 1)
    assert meter.unwritten() == [(at, {ACME: Usage(calls=3)})]


def test_a_faster_counter_counts_until_it_was_emptied(meter: Meter) -> None:
    meter.budgets = {ACME: Budget(calls_per_day=10)}
    admitted(meter, 3)
    assert meter.unsent() == {ACME: Usage(calls=3)}
    meter.sent(meter.day, ACME, Usage(calls=3), Usage(calls=8))  # five are of another server
    assert meter.unsent() == {}
    assert admitted(meter, 9) == 2
    # Redis lost everything: the rows of the other server are what is known.
    meter.read(meter.day, meter.budgets, {ACME: Usage(calls=4)})
    meter.sent(meter.day, ACME, Usage(calls=5), Usage(calls=0))
    assert meter.used(ACME).calls == 9


@pytest.mark.parametrize(
    ("owner", "budget", "said"),
    [
        (ACME, Budget(calls_per_day=-1), "calls_per_day: must be 0 to"),
        (ACME, Budget(model_tokens_per_day=10**18), "model_tokens_per_day: must be 0 to"),
        (ACME, Budget(documents=2**70), "documents: must be 0 to"),
        (KEY, Budget(documents=1), "documents: belong to a tenant"),
        (Owner("no such name"), Budget(), "tenant: 1 to 64 letters"),
        (Owner("acme", "k\0"), Budget(), "without line breaks"),
        (Owner("acme", "k" * 65), Budget(), "key_id: at most 64"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(owner: Owner, budget: Budget, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        require_budget(owner, budget)
    assert caught.value.reason is Reason.FIELD_INVALID


def test_a_budget_may_be_nothing_and_very_much() -> None:
    require_budget(ACME, Budget(0, 10**15, 0))
