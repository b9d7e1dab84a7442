"""Usage that two servers share through a counter in memory, and what happens without it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from limits.aio.storage import MemoryStorage
from sqlalchemy import text

from query_server.auth.usage import UsageMeter
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from rag_core.database import Store, open_store
from rag_core.governance.access import NameHash
from rag_core.governance.usage import Budget, Meter, Owner, Usage
from rag_core.governance.usage import store as rows
from rag_core.settings import Settings
from tests.support.usage_contract import ACME, MakeCounter, SharedUsageContract, calls, two_meters
from tests.support.waiting import eventually

WAITS = text("""
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted
""")


class TestMemory(SharedUsageContract):
    @pytest.fixture
    def make_counter(self) -> MakeCounter:
        storage = MemoryStorage()
        return lambda: storage


class Away(MemoryStorage):
    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        raise ConnectionError("refused")


async def test_without_the_counter_budgets_follow_the_rows(settings: Settings, store: Store) -> None:
    with store.engine.begin() as connection:
        rows.set_budget(connection, ACME, Budget(calls_per_day=6), actor="t/test")
    async with two_meters(settings, Away) as (one, other):
        assert calls(one, 4) == 4
        await one.share()
        await one.exchange()
        await other.exchange()
        assert calls(other, 5) == 2


class Silent(MemoryStorage):
    """A Redis that takes its time to say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        self.asked += 1
        raise TimeoutError


async def test_a_silent_counter_is_asked_a_few_times_whatever_the_number_of_budgets(
    settings: Settings, store: Store
) -> None:
    with store.engine.begin() as connection:
        for number in range(100):
            rows.set_budget(connection, Owner("acme", f"k{number}"), Budget(calls_per_day=6), actor="t/test")
    counters = [Silent(), Silent()]
    async with two_meters(settings, iter(counters).__next__) as (one, _):
        for number in range(100):
            calls(one, 1, f"k{number}")
        await one.share()
    assert 0 < counters[0].asked <= 16


@pytest.mark.parametrize(("days", "calls_counted"), [(1, 5), (3, 3)])
async def test_usage_of_a_server_that_was_cut_off_is_counted_once_or_given_up(
    settings: Settings, store: Store, days: int, calls_counted: int
) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def sum_up() -> None:  # as the daily job does
        with store.engine.begin() as connection:
            rows.maintain(connection, now.date() - timedelta(days=2), before=date(2026, 1, 1))

    opened = LazyStore(lambda: open_store(settings))
    server = UsageMeter(opened, Metrics(), seconds=60, hashes=NameHash(), meter=Meter(lambda: now))
    calls(server, 3)
    await server.exchange()
    calls(server, 2)
    now += timedelta(days=days)
    sum_up()
    await server.exchange()
    now += timedelta(days=9)
    sum_up()
    await server.close()
    opened.close()
    with store.engine.connect() as connection:
        (found,) = rows.days(connection, since=date(2026, 1, 1), tenant="acme", limit=9)
    assert found.usage.calls == calls_counted


def test_rows_written_twice_count_once_and_days_that_are_over_are_summed(store: Store) -> None:
    today = date(2026, 11, 26)
    yesterday, old = today - timedelta(days=1), today - timedelta(days=500)
    key = Owner("acme", "k")
    with store.engine.begin() as connection:
        for at in (yesterday, old, today):
            for writer in ("a", "b"):
                for _ in range(2):
                    rows.write(connection, at, writer, {ACME: Usage(calls=3), key: Usage(calls=2, prompt_tokens=7)})
        for _ in range(2):
            rows.maintain(connection, today, before=today - timedelta(days=400))
        found = rows.days(connection, since=old, tenant="acme", limit=100)
    assert [(day.at, day.owner.key_id, day.usage.calls, day.usage.prompt_tokens) for day in found] == [
        (today, "", 6, 0),
        (today, "k", 4, 14),
        (yesterday, "", 6, 0),
        (yesterday, "k", 4, 14),
    ]


def test_two_operators_who_set_different_limits_at_once_lose_none(store: Store) -> None:
    def set_documents() -> None:
        with store.engine.begin() as connection:
            rows.set_limits(connection, ACME, {"documents": 7}, actor="t/second")

    with ThreadPoolExecutor(1) as pool:
        with store.engine.begin() as connection:
            assert rows.set_limits(connection, ACME, {"calls_per_day": 6}, actor="t/first") == Budget(calls_per_day=6)
            second = pool.submit(set_documents)
            assert eventually(lambda: second.done() or connection.scalar(WAITS) == 1)
        second.result(60)
    with store.engine.begin() as connection:
        assert rows.budgets(connection)[ACME] == Budget(calls_per_day=6, documents=7)
