"""What a counter of usage that servers share must do, in Redis or in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from query_server.auth.usage import SharedCounter, UsageMeter
from query_server.runtime.dependencies import LazyStore
from query_server.runtime.metrics import Metrics
from rag_core.database import Store, open_store
from rag_core.errors import QuotaExceeded
from rag_core.governance.access import NameHash
from rag_core.governance.usage import Budget, Owner
from rag_core.governance.usage import store as rows
from rag_core.settings import Settings

MakeCounter = Callable[[], SharedCounter]
ACME = Owner("acme")


@asynccontextmanager
async def two_meters(settings: Settings, make_counter: MakeCounter) -> AsyncIterator[tuple[UsageMeter, UsageMeter]]:
    """As two servers have them; both have read the budgets."""
    opened = [LazyStore(lambda: open_store(settings)) for _ in range(2)]
    one, other = (
        UsageMeter(store, Metrics(), seconds=60, hashes=NameHash(), shared=make_counter()) for store in opened
    )
    try:
        for each in (one, other):
            await each.exchange()
        yield one, other
    finally:
        for each in (one, other):
            await each.close()
        for store in opened:
            store.close()


def calls(one: UsageMeter, wanted: int, key_id: str = "") -> int:
    """How many of these calls are admitted."""
    found = 0
    for _ in range(wanted):
        try:
            one.meter.admit("acme", key_id)
            found += 1
        except QuotaExceeded:
            continue
    return found


class SharedUsageContract:
    """A subclass has the fixture `make_counter`. The rows of PostgreSQL are read once and not again."""

    @pytest.fixture
    async def pair(
        self, settings: Settings, store: Store, make_counter: MakeCounter
    ) -> AsyncIterator[tuple[UsageMeter, UsageMeter]]:
        with store.engine.begin() as connection:
            rows.set_budget(connection, ACME, Budget(calls_per_day=10, model_tokens_per_day=50), actor="t/test")
            rows.set_budget(connection, Owner("acme", "k"), Budget(calls_per_day=4), actor="t/test")
        async with two_meters(settings, make_counter) as both:
            yield both

    async def test_a_budget_is_one_over_both_servers(self, pair: tuple[UsageMeter, UsageMeter]) -> None:
        one, other = pair
        assert calls(one, 4) == 4
        await one.share()
        assert calls(other, 1) == 1
        await other.share()
        assert calls(other, 20) == 5
        await other.share()
        assert calls(one, 1) == 1  # it has not heard of them yet: so late may a refusal be
        await one.share()
        assert calls(one, 5) == 0

    async def test_keys_and_tokens_are_shared_too_and_nothing_is_counted_twice(
        self, pair: tuple[UsageMeter, UsageMeter]
    ) -> None:
        one, other = pair
        assert calls(one, 3, "k") == 3
        one.meter.add_tokens("acme", "", prompt=30, completion=25)
        for _ in range(3):
            await one.share()
        assert calls(other, 1, "k") == 1
        await other.share()
        assert calls(other, 1, "k") == 0
        assert other.meter.used(ACME).calls == 4
        assert other.meter.tokens_used_up("acme", "") is not None
