from __future__ import annotations

from query_server.runtime.dependencies import LazyStore
from query_server.runtime.gauges import Freshness
from query_server.runtime.metrics import Metrics
from tests.support.query_server import no_store


async def test_without_its_database_a_server_claims_no_freshness() -> None:
    freshness = Freshness(LazyStore(no_store), Metrics(), seconds=1)
    await freshness.poller.refresh()
    assert freshness.as_of("acme") is None
