from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import insert

from query_server.metrics import Metrics
from query_server.parts import LazyStore
from query_server.source_gauges import SourceGauges
from rag_core.errors import Reason, Unavailable
from rag_core.quality import Profile, QualityPolicy, assess
from rag_core.store import Store, quality
from rag_core.store.tables import sources


async def test_the_state_of_every_source_is_exported(store: Store) -> None:
    listed = datetime(2026, 11, 24, tzinfo=UTC)
    with store.engine.begin() as connection:
        row = {"tenant": "acme", "name": "crm", "kind": "sql", "held_deletions": 7, "last_complete_at": listed}
        connection.execute(insert(sources).values(**row))
        profile = Profile(8, quarantined=2)
        for shard, one in enumerate([profile, Profile(10)]):
            found = assess(one, None, QualityPolicy(), failed=shard, tried=9)
            quality.record(connection, ("acme", "crm", shard), "run", one, found)
    metrics = Metrics()
    await SourceGauges(LazyStore(lambda: store), metrics).poller.refresh()
    values = {name: metrics.registry.get_sample_value(f"rag_source_{name}", {"source": "crm"}) for name in NAMES}
    assert values == dict(zip(NAMES, [80.0, 1.0, 0.0, 7.0, listed.timestamp()], strict=True))


NAMES = ("quality_score", "failed_inputs", "quarantined", "held_deletions", "listed_timestamp_seconds")


async def test_a_database_that_is_down_leaves_the_last_values() -> None:
    def down() -> Store:
        raise Unavailable(Reason.DATABASE_UNAVAILABLE, "down")

    metrics = Metrics()
    metrics.source_held.labels("crm").set(3)
    await SourceGauges(LazyStore(down), metrics).poller.refresh()
    assert metrics.registry.get_sample_value("rag_source_held_deletions", {"source": "crm"}) == 3
