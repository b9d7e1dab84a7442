"""What Dagster sees and does: summaries of a worker, and a drain run when nobody consumes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import text

from rag_assets.defs.alerts import sensors as alerts
from rag_assets.defs.streams.jobs import stream_drain
from rag_assets.defs.streams.sensors import stream_lag
from rag_assets.stream_worker.base import Lag
from rag_assets.stream_worker.metrics import StreamMetrics
from rag_assets.stream_worker.report import Reporter, read_runs, stream_key
from rag_core.content.streams import store as streams
from tests.support.stream import StreamHarness


@pytest.fixture
def pipeline(stream: StreamHarness) -> Any:
    """The parts of a run, open already."""
    return SimpleNamespace(
        settings=stream.settings,
        store=stream.store,
        index=stream.index,
        embedder=stream.embedder,
        chunker=stream.chunker,
        transform_registry=stream.transform_registry,
        parser=stream.parser,
        ensure_generation=lambda: "g",
    )


def evaluate(instance: dg.DagsterInstance, pipeline: Any) -> Any:
    context = dg.build_sensor_context(instance=instance, resources={"pipeline": pipeline})
    return stream_lag(context)


@pytest.mark.catalogue("F13")
@pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")
def test_a_drain_run_is_asked_for_when_something_waits_and_nobody_lives(stream: StreamHarness, pipeline: Any) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert isinstance(evaluate(instance, pipeline), dg.SkipReason)
        stream.push("a", "Text.")
        assert isinstance(evaluate(instance, pipeline), dg.RunRequest)
        with stream.store.engine.begin() as connection:
            streams.heartbeat(connection, "w", {})
        assert isinstance(evaluate(instance, pipeline), dg.SkipReason)
        with stream.store.engine.begin() as connection:
            connection.execute(text("UPDATE rag.stream_workers SET beat_at = now() - interval '1 hour'"))
        assert isinstance(evaluate(instance, pipeline), dg.RunRequest)
        with_resource = stream_drain.execute_in_process(instance=instance, resources={"pipeline": pipeline})
        assert with_resource.success
        assert stream.texts() == {"a": "Text."}
        latest = instance.get_latest_materialization_event(stream_key("inbox"))
        assert latest is not None
        assert isinstance(evaluate(instance, pipeline), dg.SkipReason)


_HALTED = {"tenant": "acme", "source": "tickets", "reason": "POISON_RATE"}


@pytest.mark.catalogue("B70", "F48")
@pytest.mark.parametrize(
    ("halted", "kind"),
    [
        ({"kafka:tickets": {"state": "halted: POISON_RATE"}}, "poison_rate"),
        ({"kafka:tickets": {"state": "halted: OFFSET_OUT_OF_RANGE"}}, "stream_halted"),
        ({"inbox": {"state": "running", "halted_sources": [_HALTED]}}, "poison_rate"),
    ],
)
def test_what_stands_still_is_an_alert_until_it_moves(
    stream: StreamHarness, halted: dict[str, dict[str, Any]], kind: str
) -> None:
    message: list[tuple[str, str, bool]] = []
    notifier: Any = SimpleNamespace(
        name="test",
        repeat_seconds=None,
        send=lambda alerts: message.extend((str(one.kind), one.source, one.firing) for one in alerts),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        moves = {"kafka:tickets": {"state": "running"}, "inbox": {"state": "running"}}
        for states in (moves | halted, moves | halted, moves):
            with stream.store.engine.begin() as connection:
                streams.heartbeat(connection, "worker", states)
            alerts.evaluate(stream.store, instance, [], [notifier])
    assert message == [(kind, "tickets", True), (kind, "tickets", False)]


def test_a_worker_reports_one_summary_per_interval_and_none_when_idle(stream: StreamHarness) -> None:
    consumer_loop = SimpleNamespace(
        counts=Counter(applied=3), state="running", source=SimpleNamespace(lag=lambda: Lag(2, 1.0))
    )
    worker: Any = SimpleNamespace(
        loops={"inbox": consumer_loop}, settings=stream.settings, observer=None, pipeline=None
    )
    reporter = Reporter(worker)
    with dg.DagsterInstance.ephemeral() as instance:
        assert reporter.report(instance) == 1
        assert reporter.report(instance) == 0
        consumer_loop.counts["applied"] += 2
        assert reporter.report(instance) == 1
        event = instance.get_latest_materialization_event(stream_key("inbox"))
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
    assert (metadata["applied"].value, metadata["lag"].value) == (2, 2)


def test_runs_and_daemons_of_dagster_are_metrics_of_the_worker(tmp_path: Path) -> None:
    broken = False

    @dg.op
    def work() -> None:
        if broken:
            raise ValueError

    @dg.job
    def nightly() -> None:
        work()

    metrics = StreamMetrics()
    value = metrics.registry.get_sample_value
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        nightly.execute_in_process(instance=instance)
        broken = True
        nightly.execute_in_process(instance=instance, raise_on_error=False)
        broken = False
        instance.add_daemon_heartbeat(DaemonHeartbeat(1_700_000_000.0, "SENSOR", "id"))
        read_runs(instance, metrics)
        assert (value("rag_dagster_runs", {"status": "success"}), value("rag_dagster_runs", {"status": "failure"})) == (
            1,
            1,
        )
        assert value("rag_dagster_runs", {"status": "queued"}) == 0
        assert value("rag_dagster_last_run_failed", {"job": "nightly"}) == 1
        assert (value("rag_dagster_last_run_seconds", {"job": "nightly"}) or -1) > 0
        nightly.execute_in_process(instance=instance)
        read_runs(instance, metrics)
        assert value("rag_dagster_last_run_failed", {"job": "nightly"}) == 0
        beat = value("rag_dagster_daemon_heartbeat_timestamp_seconds", {"daemon": "sensor"})
    assert beat == 1_700_000_000
