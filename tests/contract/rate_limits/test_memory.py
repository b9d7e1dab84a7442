"""Limits that two gateways share, with the counters in memory, and what happens without an answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import time_machine
from limits.aio.storage import MemoryStorage

from query_server.rate_limits.counting import SharedLimits, redis_storage
from query_server.rate_limits.rules import overrides_of, shared_windows
from query_server.rate_limits.service import RateLimitMetrics, RateLimitService
from rag_core.errors import ConfigError, Unavailable
from ragctl.gateway.options import Limits
from ragproto.gateway.v1 import rate_limit_pb2 as wire
from tests.support.rate_limits import (
    MakeStorage,
    SharedLimitsContract,
    ask,
    bearer,
    gateways,
    running_service,
    settings,
    statuses,
)

CLIENT = {"tenant": "acme", "subject": "ann"}
OFF = Limits(per_minute=0, per_hour=0, ip_per_minute=0)


class TestMemory(SharedLimitsContract):
    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        storage = MemoryStorage()
        return lambda: storage


def test_the_gateways_own_limits_stay_in_front(tmp_path: Path) -> None:
    own = Limits(per_minute=1, per_hour=0, burst=3, ip_per_minute=0)
    with (
        running_service(MemoryStorage) as service,
        gateways(tmp_path, [service.port], limits=own) as found,
    ):
        assert statuses(found, bearer("flooding"), 20).count(200) <= 4
        asked = sum(
            sample.value
            for metric in service.metrics.decisions.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        )
        assert asked <= 4


@pytest.mark.parametrize(("closed", "status"), [(False, 200), (True, 503)])
def test_without_the_service_calls_pass_or_are_refused_as_the_setting_says(
    tmp_path: Path, closed: bool, status: int
) -> None:
    with (
        running_service(MemoryStorage) as service,
        gateways(tmp_path, [service.port], closed=closed, limits=OFF) as found,
    ):
        assert ask(found[0], bearer("ann")).status_code == 200
        service.stop()
        response = ask(found[0], bearer("ann"))
        assert response.status_code == status
        if closed:
            assert response.json()["details"][0]["reason"] == "SERVER_UNAVAILABLE"
            assert "limits" in response.json()["message"]


class Away(MemoryStorage):
    """Counters that cannot be reached."""

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        raise ConnectionError("refused")


async def test_counters_that_are_away_fail_the_question_and_are_counted() -> None:
    metrics = RateLimitMetrics()
    service = RateLimitService(SharedLimits(settings(), Away()), metrics, seconds=5)
    entries = [wire.RateLimitDescriptor.Entry(key=key, value=value) for key, value in CLIENT.items()]
    request = wire.RateLimitRequest(descriptors=[wire.RateLimitDescriptor(entries=entries)])
    for _ in range(5):
        with pytest.raises(Unavailable):
            await service.decide(request)
    assert not service.answers
    assert metrics.registry.get_sample_value("rag_rate_limit_decisions_total", {"outcome": "failed"}) == 5


async def test_a_window_slides_and_a_refused_call_is_not_counted() -> None:
    with time_machine.travel(1_700_000_000, tick=False) as clock:
        limits = SharedLimits(settings(gateway_client_per_minute=10), MemoryStorage())
        for _ in range(10):
            assert await limits.refusal([CLIENT]) is None
        for _ in range(50):
            assert await limits.refusal([CLIENT]) is not None
        refusal = await limits.refusal([CLIENT])
        assert refusal is not None
        assert (refusal.window.name, refusal.window.calls) == ("minute", 10)
        clock.shift(refusal.retry_after)
        # The calls of the minute before leave one by one: not all of them may be made again at once.
        again = [await limits.refusal([CLIENT]) for _ in range(10)]
        assert again[0] is None
        assert again.count(None) <= 2


def test_windows_follow_the_settings_and_their_overrides() -> None:
    chosen = settings(
        gateway_client_per_minute=100,
        gateway_client_per_hour=0,
        gateway_limit_overrides=frozenset({"*/free=1000000", "acme/ann=5:50", "*/ann=7"}),
    )
    overrides = overrides_of(chosen)
    assert [(one.name, one.calls) for one in shared_windows(chosen, overrides, CLIENT)] == [("minute", 5)]
    assert [one.calls for one in shared_windows(chosen, overrides, {"tenant": "beta", "subject": "ann"})] == [7]
    assert shared_windows(chosen, overrides, {"tenant": "acme", "subject": "free"}) == []
    assert [one.calls for one in shared_windows(chosen, overrides, {"key": "rag_x"})] == [100]


@pytest.mark.parametrize(
    "url",
    ["redis", "http://host:1", "redis://:secret@host:port/0", "redis://:6379", "unix:///socket", "valkey://host:1"],
)
def test_a_url_that_is_none_is_refused_without_saying_it(url: str) -> None:
    with pytest.raises(ConfigError, match="RAG_REDIS_URL must be like") as caught:
        redis_storage(url, seconds=1)
    assert "secret" not in str(caught.value)


def test_overrides_that_are_none_stop_the_service_at_its_start() -> None:
    with pytest.raises(ConfigError, match="RAG_GATEWAY_LIMIT_OVERRIDES"):
        SharedLimits(settings(gateway_limit_overrides=frozenset({"acme"})), MemoryStorage())
