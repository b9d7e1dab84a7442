"""The worker's threads: heartbeats while streams come and go, source operations while their children die."""

from __future__ import annotations

from multiprocessing import forkserver
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rag_assets.source_admin.worker import SourceOperationWorker
from rag_assets.stream_worker.base import Lag
from rag_assets.stream_worker.worker import Worker
from rag_core.content.sources import Action, operation_store
from rag_core.database import Store
from rag_core.ingestion.pipeline import Pipeline
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


@pytest.mark.catalogue("A23")
def test_an_operation_whose_fork_server_was_killed_fails_and_the_next_one_has_its_turn(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> Any:
        raise EOFError

    monkeypatch.setattr(forkserver, "connect_to_new_process", killed)
    worker = SourceOperationWorker(store, settings)
    given = {"tenant": "acme", "actor": "ann", "unrestricted": False, "source": "docs", "request": {}}
    for _ in range(2):
        with store.engine.begin() as connection:
            number = operation_store.add(connection, action=Action.CHECK, **given).id
        worker.step()
        with store.engine.connect() as connection:
            failed = operation_store.get(connection, number)
        assert (failed.state, failed.reason) == ("failed", "INTERNAL")
