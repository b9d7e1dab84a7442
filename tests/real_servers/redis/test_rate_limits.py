"""Two gateways, two rate-limit services and one real Redis: the limit of a client is one limit."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import redis

from benchmarks.ports import free_port
from query_server.rate_limits.counting import redis_storage
from tests.support.rate_limits import MakeStorage, SharedLimitsContract, bearer, gateways, running_service, statuses
from tests.support.redis_server import own_redis_server
from tests.support.waiting import eventually

pytestmark = pytest.mark.real_servers


class TestRedis(SharedLimitsContract):
    @pytest.fixture
    def make_storage(self, redis_url: str) -> MakeStorage:
        prefix = f"test-{uuid.uuid4().hex}"
        return lambda: redis_storage(redis_url, seconds=5, prefix=prefix)


def test_redis_holds_neither_keys_nor_names(redis_url: str, tmp_path: Path) -> None:
    prefix = f"test-{uuid.uuid4().hex}"
    secret = "rag_" + "s" * 40
    with (
        running_service(lambda: redis_storage(redis_url, seconds=5, prefix=prefix)) as service,
        gateways(tmp_path, [service.port]) as found,
    ):
        assert statuses(found, bearer("anastasia"), 1) == [200]
        assert statuses(found, {"x-api-key": secret}, 1) == [200]
    with redis.Redis.from_url(redis_url) as client:
        held = b" ".join(client.scan_iter(f"{prefix}*"))
    assert held
    assert b"anastasia" not in held
    assert b"ssss" not in held


def test_a_redis_that_goes_away_lets_calls_pass_and_counts_again_when_it_is_back(tmp_path: Path) -> None:
    port, spared = free_port(), frozenset({"acme/ann=3:1000"})
    url, folder = f"redis://127.0.0.1:{port}/0", tmp_path / "gateway"
    folder.mkdir()
    with (
        running_service(lambda: redis_storage(url, seconds=1), gateway_limit_overrides=spared) as service,
        gateways(folder, [service.port]) as found,
    ):

        def decided(outcome: str) -> float:
            name = "rag_rate_limit_decisions_total"
            return service.metrics.registry.get_sample_value(name, {"outcome": outcome}) or 0

        with own_redis_server(tmp_path, port):
            assert statuses(found, bearer("ann"), 5) == [200] * 3 + [429] * 2
            assert (decided("allowed"), decided("failed")) == (3, 0)
        assert statuses(found, bearer("ann"), 12) == [200] * 12
        assert decided("failed") == 12
        with own_redis_server(tmp_path, port):  # it holds nothing: a client begins again
            # Another client's call is the trial that closes the breaker.
            assert eventually(lambda: bool(statuses(found, bearer("bob"), 1)) and decided("allowed") > 3, seconds=30)
            assert statuses(found, bearer("ann"), 5) == [200] * 3 + [429] * 2
