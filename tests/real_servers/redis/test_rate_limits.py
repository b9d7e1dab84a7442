"""Two gateways, two rate-limit services and one real Redis: the limit of a client is one limit."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
import redis

from query_server.rate_limits.counting import redis_storage
from tests.support.rate_limits import MakeStorage, SharedLimitsContract, bearer, gateways, running_service, statuses
from tests.support.redis_server import redis_server

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
    with redis_server(tmp_path) as url:
        service = running_service(lambda: redis_storage(url, seconds=1))
        running = service.__enter__()
    try:  # Redis is gone from here on
        folder = tmp_path / "gateway"
        folder.mkdir()
        with gateways(folder, [running.port]) as found:
            assert statuses(found, bearer("ann"), 12) == [200] * 12
        failed = running.metrics.registry.get_sample_value("rag_rate_limit_decisions_total", {"outcome": "failed"})
        assert failed == 12
    finally:
        service.__exit__(None, None, None)
