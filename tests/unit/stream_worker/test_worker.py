"""The worker's heartbeat, while its streams come and go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from rag_assets.stream_worker.base import Lag
from rag_assets.stream_worker.worker import Worker
from rag_core.database import Store
from rag_core.pipeline import Pipeline
from rag_core.settings import Settings


def test_a_stream_that_opens_during_a_heartbeat_does_not_end_the_worker(store: Store, settings: Settings) -> None:
    worker = Worker(settings)

    def consumer_loop(name: str) -> Any:
        def lag() -> Lag:
            worker.loops["late"] = worker.loops["early"]
            return Lag(3, 1.5)

        source = SimpleNamespace(name=name, lag=lag)
        return SimpleNamespace(source=source, status=lambda: {"state": "running"}, counts={"applied": 2})

    worker.loops["early"] = consumer_loop("early")
    worker._send_heartbeat(cast(Pipeline, SimpleNamespace(store=store)))
    assert worker.metrics.registry.get_sample_value("rag_stream_lag_messages", {"stream": "early"}) == 3
    assert set(worker.status()) == {"early", "late"}
