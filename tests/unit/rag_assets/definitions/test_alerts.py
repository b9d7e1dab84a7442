"""Alerts about failed checks and runs, as the sensor finds them in Dagster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg
import pytest

from rag_assets.defs.alerts import failed_checks
from rag_assets.defs.alerts.failed_checks import FailedChecks
from rag_assets.defs.alerts.sensors import CHECKS, evaluate
from rag_assets.defs.sources.checks import run_checks
from rag_assets.lib.naming import PARTITION_TAG, asset_key, job_name
from rag_assets.source_config import SourceConfig
from rag_core.database import Store
from rag_core.ingestion.alerts import Alert
from rag_core.ingestion.source_status import RunState, SourceRun
from rag_core.ingestion.source_status import store as status
from tests.unit.rag_assets.definitions.conftest import Attributes

BLOCKING = [(stage, name) for stage, names in CHECKS.items() for name in names]


class Dagster:
    """An instance with what sources report to it, and the alerts that the sensor makes of it."""

    name, repeat_seconds = "dagster", None

    def __init__(self, instance: dg.DagsterInstance, store: Store, config: SourceConfig) -> None:
        self.instance, self._store, self.config = instance, store, config
        self._checks = FailedChecks()
        self._alerts: list[Alert] = []

    def send(self, alerts: Sequence[Alert]) -> None:
        self._alerts += alerts

    def close(self) -> None: ...

    def tick(self, *, restarted: bool = False) -> list[tuple[str, bool]]:
        """The alerts that a tick of the sensor sends: key, and whether it begins."""
        self._checks = FailedChecks() if restarted else self._checks
        evaluate(self._store, self.instance, [self.config], [self], checks=self._checks)
        sent, self._alerts = [(alert.key, alert.firing) for alert in self._alerts], []
        return sent

    def check(self, stage: str, name: str, *, passed: bool) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=asset_key(self.config, stage), check_name=name, passed=passed, metadata={}, blocking=True
            )
        )

    def run(self, *, failed: bool, shard: str | None = None) -> dg.DagsterRun:
        job = dg.JobDefinition(name=job_name(self.config), graph_def=dg.GraphDefinition(name="nothing"))
        tags = {PARTITION_TAG: shard} if shard is not None else {}
        run = self.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
        kind = dg.DagsterEventType.RUN_FAILURE if failed else dg.DagsterEventType.RUN_SUCCESS
        self.instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)
        return run

    def record(self, run: dg.DagsterRun, state: RunState) -> None:
        """Store what the sensor of the sources stores of a run."""
        moment = datetime.now(UTC)
        with self._store.engine.begin() as connection:
            newest = SourceRun(0, run.run_id, state, moment, moment, moment)
            status.record_runs(connection, self.config.tenant, self.config.name, [newest])


@pytest.fixture
def dagster(store: Store, config: SourceConfig) -> Iterator[Dagster]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Dagster(instance, store, config)


@pytest.mark.parametrize(("stage", "name"), BLOCKING)
def test_a_failed_check_of_each_kind_is_an_alert_until_it_passes(dagster: Dagster, stage: str, name: str) -> None:
    alert = f"check_blocked:handbook/{stage}/{name}"
    for kind in BLOCKING:
        dagster.check(*kind, passed=True)
    assert dagster.tick() == []
    dagster.check(stage, name, passed=False)
    assert dagster.tick() == [(alert, True)]
    assert [dagster.tick() for _ in range(3)] == [[], [], []], "it lasts without an event"
    dagster.check(stage, name, passed=True)
    assert dagster.tick() == [(alert, False)]
    assert dagster.tick() == []


def test_the_checks_that_are_read_are_the_blocking_ones_of_a_source(config: SourceConfig) -> None:
    names = [spec.name for spec in run_checks(config).check_specs if spec.blocking]
    assert tuple(names) == CHECKS["index"]


def test_a_check_that_failed_while_no_sensor_ran_is_an_alert(dagster: Dagster) -> None:
    dagster.tick()
    dagster.check("index", "quality", passed=False)
    dagster.check("documents", "schema", passed=False)
    dagster.check("index", "quality", passed=True)
    assert dagster.tick(restarted=True) == [("check_blocked:handbook/documents/schema", True)]


def test_a_check_is_found_among_more_events_than_are_read(dagster: Dagster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_checks, "_MAX_EVENTS", 3)
    dagster.tick()
    dagster.tick()
    dagster.check("index", "quality", passed=False)
    for _ in range(4):
        dagster.check("index", "accounting", passed=True)
    assert dagster.tick() == [("check_blocked:handbook/index/quality", True)]


def test_what_no_event_says_is_found_when_all_checks_are_read(
    dagster: Dagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    dagster.check("index", "quality", passed=False)
    assert dagster.tick() == [("check_blocked:handbook/index/quality", True)]
    dagster.instance.wipe()
    assert dagster.tick() == []
    monkeypatch.setattr(failed_checks, "READ_ALL_SECONDS", 0.0)
    assert dagster.tick() == [("check_blocked:handbook/index/quality", False)]


def test_a_failed_first_run_that_nobody_recorded_is_an_alert_until_a_run_succeeds(dagster: Dagster) -> None:
    alert = f"run_failed:{job_name(dagster.config)}"
    assert dagster.tick() == []
    first = dagster.run(failed=True)
    assert dagster.tick() == [(alert, True)]
    dagster.record(first, RunState.FAILED)
    assert dagster.tick() == [], "it is recorded now, and one alert"
    second = dagster.run(failed=False)
    assert dagster.tick() == [(alert, False)]
    dagster.record(second, RunState.SUCCEEDED)
    assert dagster.tick() == []


def test_of_shards_those_that_failed_are_alerts(store: Store, attributes: Attributes) -> None:
    config = SourceConfig.model_validate(attributes | {"shards": 2})
    with dg.DagsterInstance.ephemeral() as instance:
        dagster = Dagster(instance, store, config)
        for shard in ("0", "1"):
            dagster.run(failed=shard == "1", shard=shard)
        assert dagster.tick() == [(f"run_failed:{job_name(config)}/1", True)]
