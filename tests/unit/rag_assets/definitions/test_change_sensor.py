from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from rag_assets.components.document_source import DocumentSource
from rag_assets.connectors import build_connector
from rag_assets.defs.sources.changes import Looks, changes_sensor, request_runs
from rag_assets.defs.sources.sensors import evaluate
from rag_assets.lib.naming import PARTITION_TAG, job_name
from rag_assets.source_config import SourceConfig
from rag_assets.stream_worker.listed.leases import Leases
from rag_assets.version_tags import SYNC_TAG, TOKEN_TAG, current_version_tag
from rag_core.content.sources import operation_store
from rag_core.content.streams import store as streams
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.source_status import WORKER_ENTRY, RunState, SourceRun
from rag_core.ingestion.source_status import store as status
from rag_core.settings import Settings
from tests.unit.rag_assets.connectors.listings import settle

Status = dg.DagsterRunStatus


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as opened:
        yield opened


class Sensor:
    """The sensor's decision for one source, with its past runs made up."""

    def __init__(self, config: SourceConfig, instance: dg.DagsterInstance) -> None:
        self.config, self.instance = config, instance
        self.connector = build_connector(config)

    @property
    def token(self) -> str:
        return current_version_tag(self.connector)

    def past(self, status: Status, token: str | None = None, **tags: str) -> None:
        run_tags = {**({TOKEN_TAG: token} if token else {}), **{f"dagster/{key}": value for key, value in tags.items()}}
        create_run_for_test(self.instance, job_name=job_name(self.config), status=status, tags=run_tags)

    def decide(self, now: float = 1e12, applied: str | None = None) -> list[dg.RunRequest]:
        found = evaluate(self.config, lambda: self.token, self.instance, now=now, applied=applied)
        return found if isinstance(found, list) else []


@pytest.fixture
def sensor(config: SourceConfig, instance: dg.DagsterInstance, docs: Path) -> Sensor:
    (docs / "a.md").write_text("text")
    settle(docs / "a.md")
    return Sensor(config, instance)


def test_a_source_that_was_never_read_is_read(sensor: Sensor) -> None:
    (request,) = sensor.decide()
    assert request.tags[TOKEN_TAG] == sensor.token
    assert request.run_key is None, "a run key would be deduplicated for ever"


@pytest.mark.parametrize(
    ("status", "seen", "runs"),
    [
        (Status.SUCCESS, "the state of now", 0),
        (Status.NOT_STARTED, "another state", 0),
        (Status.STARTING, "another state", 0),
        (Status.STARTED, "another state", 0),
        (Status.CANCELING, "another state", 0),
        (Status.SUCCESS, None, 1),
        (Status.FAILURE, "another state", 1),
    ],
)
def test_a_run_is_asked_for_at_once_unless_the_last_one_saw_this_state_or_is_not_over(
    sensor: Sensor, status: Status, seen: str | None, runs: int
) -> None:
    sensor.past(status, sensor.token if seen == "the state of now" else seen)
    assert len(sensor.decide(now=0)) == runs


@pytest.mark.catalogue("F21")
def test_a_deleted_file_starts_a_run(sensor: Sensor, docs: Path) -> None:
    sensor.past(Status.SUCCESS, sensor.token)
    (docs / "a.md").unlink()
    assert len(sensor.decide()) == 1


def test_a_source_that_returns_to_an_earlier_state_is_read_again(sensor: Sensor, docs: Path) -> None:
    before = sensor.token
    sensor.past(Status.SUCCESS, before)
    sensor.past(Status.SUCCESS, "another state")
    assert [request.tags[TOKEN_TAG] for request in sensor.decide()] == [before]


@pytest.mark.catalogue("F12")
def test_a_daemon_that_dies_between_its_look_and_the_launch_loses_and_doubles_no_run(sensor: Sensor) -> None:
    """The sensor has no cursor that could be ahead of the runs, and what was launched is seen at the next look."""
    sensor.past(Status.SUCCESS, "another state")
    (lost,) = sensor.decide()
    (again,) = sensor.decide()
    assert again.tags == lost.tags
    sensor.past(Status.NOT_STARTED, again.tags[TOKEN_TAG])
    assert sensor.decide() == []
    sensor.past(Status.SUCCESS, again.tags[TOKEN_TAG])
    assert sensor.decide() == []


def test_a_failed_state_is_tried_again_after_growing_delays(sensor: Sensor, instance: dg.DagsterInstance) -> None:
    delays = []
    for _ in range(8):
        sensor.past(Status.FAILURE, sensor.token)
        ended = instance.get_run_records(limit=1)[0].end_time or 0.0
        delays.append(next(s for s in (60, 120, 240, 480, 960, 1920, 3600) if sensor.decide(ended + s)))
        assert sensor.decide(ended + delays[-1] - 1) == []
    assert delays == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_run_that_someone_cancelled_is_not_insisted_on(sensor: Sensor, instance: dg.DagsterInstance) -> None:
    sensor.past(Status.CANCELED, sensor.token)
    ended = instance.get_run_records(limit=1)[0].end_time or 0.0
    assert sensor.decide(ended + 600) == []
    assert len(sensor.decide(ended + 3600)) == 1


def test_a_source_that_cannot_be_reached_starts_one_run_that_fails_visibly(sensor: Sensor, docs: Path) -> None:
    sensor.past(Status.SUCCESS, sensor.token)
    (docs / "a.md").unlink()
    docs.rmdir()
    (request,) = sensor.decide()
    sensor.past(Status.FAILURE, request.tags[TOKEN_TAG])
    assert sensor.decide(now=0) == []


def test_a_state_that_a_worker_brought_in_needs_no_run(sensor: Sensor) -> None:
    sensor.past(Status.SUCCESS, "another state")
    assert sensor.decide(applied=sensor.token) == []
    sensor.past(Status.FAILURE, "a third state")
    assert len(sensor.decide(applied=sensor.token)) == 1, "a run that succeeds ends the failure"


def test_each_shard_is_judged_by_its_own_runs(config: SourceConfig, instance: dg.DagsterInstance, docs: Path) -> None:
    sharded = Sensor(config.model_copy(update={"shards": 3}), instance)
    sharded.past(Status.SUCCESS, sharded.token, partition="0")
    sharded.past(Status.STARTED, "another state", partition="1")
    assert [request.partition_key for request in sharded.decide()] == ["2"]


def test_the_runs_of_a_sync_of_all_shards_count(config: SourceConfig, instance: dg.DagsterInstance, docs: Path) -> None:
    sharded = Sensor(config.model_copy(update={"shards": 3}), instance)
    sharded.past(Status.SUCCESS, "another state", partition="0")
    for shard, (state, source) in enumerate([
        (Status.SUCCESS, sharded.config.key), (Status.STARTED, sharded.config.key), (Status.STARTED, "another_source")
    ]):  # fmt: skip
        tags = {TOKEN_TAG: sharded.token, SYNC_TAG: source, PARTITION_TAG: str(shard)}
        create_run_for_test(instance, job_name="__ASSET_JOB", status=state, tags=tags)
    assert [request.partition_key for request in sharded.decide()] == ["2"]


@pytest.fixture
def pipeline(tmp_path: Path, database_url: str) -> Iterator[Pipeline]:
    with Pipeline(Settings(home=tmp_path / "home", database_url=database_url)) as opened:
        yield opened


def ticked(config: SourceConfig, instance: dg.DagsterInstance, pipeline: Pipeline) -> list[str]:
    """Version tags of the runs that the sensor in the definitions asks for."""
    repository = _with_pipeline(config)
    sensor = repository.get_sensor_def("source_changes")
    with dg.build_sensor_context(instance, resources={"pipeline": pipeline}, repository_def=repository) as context:
        data = sensor.evaluate_tick(context)
    return [request.tags[TOKEN_TAG] for request in data.run_requests or []]


def test_the_sensor_in_the_definitions_decides_the_same(sensor: Sensor, pipeline: Pipeline) -> None:
    defined = _with_pipeline(sensor.config).get_sensor_def("source_changes")
    assert defined.minimum_interval_seconds == 5
    assert defined.default_status is dg.DefaultSensorStatus.RUNNING
    assert ticked(sensor.config, sensor.instance, pipeline) == [sensor.token]


def test_a_tick_writes_what_dagster_knows_of_the_sources(sensor: Sensor, pipeline: Pipeline) -> None:
    sensor.past(Status.SUCCESS, sensor.token)
    ticked(sensor.config, sensor.instance, pipeline)
    with pipeline.store.engine.connect() as connection:
        [(place, (_, state))] = status.known_runs(connection).items()
    assert (place, state) == ((sensor.config.tenant, sensor.config.name, 0), RunState.SUCCEEDED)


def test_a_source_that_was_removed_is_read_again_when_its_file_returns(sensor: Sensor, pipeline: Pipeline) -> None:
    sensor.past(Status.SUCCESS, sensor.token)
    assert ticked(sensor.config, sensor.instance, pipeline) == [sensor.token]
    with pipeline.store.engine.begin() as connection:
        operation_store.register(connection, sensor.config.source)
    assert ticked(sensor.config, sensor.instance, pipeline) == []
    elsewhere = sensor.config.model_copy(update={"tenant": "other"})
    assert ticked(elsewhere, sensor.instance, pipeline) == [sensor.token], "another tenant has none of its documents"


def test_a_disabled_source_keeps_its_sensor_and_schedule_stopped(config: SourceConfig) -> None:
    defs = _with_pipeline(config.model_copy(update={"enabled": False}))
    assert defs.get_sensor_def("handbook_changes").default_status is dg.DefaultSensorStatus.STOPPED
    assert defs.get_schedule_def("handbook_reconcile").default_status is dg.DefaultScheduleStatus.STOPPED


def _with_pipeline(config: SourceConfig) -> dg.RepositoryDefinition:
    source = DocumentSource(config).build_defs()
    sensors = [changes_sensor([config], [*(source.jobs or ())])]
    others = dg.Definitions(sensors=sensors, resources={"pipeline": dg.ResourceDefinition.none_resource()})
    return dg.Definitions.merge(source, others).get_repository_def()


def test_the_schedule_asks_for_every_shard(config: SourceConfig, pipeline: Pipeline) -> None:
    repository = _with_pipeline(config.model_copy(update={"shards": 2}))
    schedule = repository.get_schedule_def("handbook_reconcile")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * *", "UTC")
    with dg.build_schedule_context(
        repository_def=repository,
        resources={"pipeline": pipeline},
        scheduled_execution_time=datetime(2026, 1, 1, 3, tzinfo=UTC),
    ) as context:
        data = schedule.evaluate_tick(context)
    assert [request.partition_key for request in data.run_requests or []] == ["0", "1"]


def test_a_suspended_tenant_gets_no_runs_and_after_it_the_same_ones(sensor: Sensor, pipeline: Pipeline) -> None:
    with pipeline.store.engine.begin() as connection:
        operation_store.register(connection, sensor.config.source)
        tenants.suspend(connection, sensor.config.tenant, actor="op")
    assert ticked(sensor.config, sensor.instance, pipeline) == []
    repository = _with_pipeline(sensor.config)
    with dg.build_schedule_context(
        repository_def=repository,
        resources={"pipeline": pipeline},
        scheduled_execution_time=datetime(2026, 1, 1, 3, tzinfo=UTC),
    ) as context:
        data = repository.get_schedule_def("handbook_reconcile").evaluate_tick(context)
    assert "suspended" in (data.skip_message or "")
    with pipeline.store.engine.begin() as connection:
        tenants.resume(connection, sensor.config.tenant, actor="op")
    assert ticked(sensor.config, sensor.instance, pipeline) == [sensor.token]


class Observed:
    """A source that a living worker observes, and the runs that the worker wants."""

    def __init__(self, config: SourceConfig, pipeline: Pipeline) -> None:
        self.config, self._store = config, pipeline.store
        with self._store.engine.begin() as connection:
            operation_store.register(connection, config.source)

    def beat(self, *wanted: str, after: str | None = None) -> None:
        place = {"tenant": self.config.tenant, "source": self.config.name}
        entry = {WORKER_ENTRY: {"wanted": [{**place, "tag": tag, "after": after} for tag in wanted]}}
        with self._store.engine.begin() as connection:
            streams.heartbeat(connection, "worker", entry)

    def record_run(self) -> None:
        moment = datetime.now(UTC)
        run = SourceRun(0, "a run", RunState.SUCCEEDED, moment, moment, moment)
        with self._store.engine.begin() as connection:
            status.record_runs(connection, self.config.tenant, self.config.name, [run])

    @contextmanager
    def lease(self) -> Iterator[None]:
        leases = Leases(self._store)
        leases.share([(self.config.tenant, self.config.name)], 1)
        yield
        leases.close()


def test_an_observed_source_has_the_runs_that_its_worker_wants_and_no_others(
    sensor: Sensor, pipeline: Pipeline
) -> None:
    observed = Observed(sensor.config, pipeline)
    with observed.lease():
        assert ticked(sensor.config, sensor.instance, pipeline) == []
        observed.beat("large")
        assert ticked(sensor.config, sensor.instance, pipeline) == ["large"]
        sensor.past(Status.STARTED, "large")
        assert ticked(sensor.config, sensor.instance, pipeline) == [], "one is in progress"
        sensor.past(Status.SUCCESS, "large")
        observed.beat("larger", after="the run before")
        assert ticked(sensor.config, sensor.instance, pipeline) == [], "the worker has not seen its end"
        observed.beat("larger", after=sensor.instance.get_runs(limit=1)[0].run_id)
        assert ticked(sensor.config, sensor.instance, pipeline) == ["larger"]
        observed.beat()
        observed.record_run()
    assert ticked(sensor.config, sensor.instance, pipeline) == [sensor.token], "its worker died"


def test_a_new_source_is_left_to_a_living_worker_for_a_while(sensor: Sensor, pipeline: Pipeline) -> None:
    observed, looks = Observed(sensor.config, pipeline), Looks()

    def requested() -> int:
        found = request_runs([sensor.config], pipeline, sensor.instance, looks)
        return len(found) if isinstance(found, list) else 0

    observed.beat()
    assert requested() == 0
    looks.left_since = {name: since - pipeline.settings.stream_lost_seconds for name, since in looks.left_since.items()}
    assert requested() == 1, "no worker has taken it"


def test_a_source_whose_switch_is_off_has_no_runs(sensor: Sensor, pipeline: Pipeline) -> None:
    for follows, runs in ((False, []), (True, [sensor.token])):
        seen = status.Observation(sensor.config.tenant, sensor.config.name, "filesystem", True, follows, False, None)
        with pipeline.store.engine.begin() as connection:
            status.observe(connection, [seen])
        assert ticked(sensor.config, sensor.instance, pipeline) == runs
