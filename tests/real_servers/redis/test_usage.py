"""Usage that two servers share through a real Redis."""

from __future__ import annotations

import uuid

import pytest

from query_server.rate_limits.counting import redis_storage
from tests.support.usage_contract import MakeCounter, SharedUsageContract

pytestmark = pytest.mark.real_servers


class TestRedis(SharedUsageContract):
    @pytest.fixture
    def make_counter(self, redis_url: str) -> MakeCounter:
        prefix = f"test-{uuid.uuid4().hex}"
        return lambda: redis_storage(redis_url, seconds=5, prefix=prefix)
