"""Every state of a source, made to happen: real runs of Dagster, the real database, the real index."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluation
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from sqlalchemy import text

from rag_assets.connectors import build_connector, connector_context
from rag_assets.defs.sources.states import record
from rag_assets.lib.naming import job_name
from rag_core.content.sources import Scope
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.content.streams import store as streams
from rag_core.errors import Reason
from rag_core.ingestion.pipeline import approve_deletions, run_pipeline
from rag_core.ingestion.source_status import (
    SourceState,
    SourceStatus,
    WaitingCause,
    describe,
    needs_attention,
    orphaned,
    read,
)
from rag_core.settings import Settings
from tests.integration.assets.conftest import Chain
from tests.integration.assets.test_chain import fill, make_unreadable


class InterruptedRunError(Exception):
    """Ends a stage between two batches."""


class Watched:
    """A chain, with what the sensor writes of it and the status that follows."""

    _numbers = itertools.count()

    def __init__(self, chain: Chain, instance: dg.DagsterInstance) -> None:
        self.chain, self.store = chain, chain.pipeline.store
        self.name = f"handbook{next(self._numbers)}"
        chain.instance, chain.attributes["name"] = instance, self.name

    def status(self) -> SourceStatus:
        self.chain.definitions()
        record(self.store, self.chain.instance, [self.chain.config])
        return self.stored()

    def stored(self, source: str | None = None) -> SourceStatus:
        """The status without a look at Dagster."""
        source = source or self.name
        with self.store.engine.connect() as connection:
            (found,) = [one.status for one in read(connection, "acme") if one.counts.name == source]
        return found

    def create(self, state: dg.DagsterRunStatus) -> dg.DagsterRun:
        """A run as the run queue or a run worker has it."""
        job = self.chain.definitions().resolve_job_def(job_name(self.chain.config))
        return self.chain.instance.create_run_for_job(job, status=state)

    def sync(self) -> None:
        """A good run: the real pipeline, and what Dagster stores of it."""
        run = self.create(dg.DagsterRunStatus.STARTED)
        self.stage(run, ("documents", "chunks"))
        self.chain.pipeline.ensure_generation()
        self.stage(run, ("embeddings", "index"))
        ended = dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, run.job_name)
        self.chain.instance.report_dagster_event(ended, run.run_id)

    def stage(self, run: dg.DagsterRun, stages: Sequence[str], **more: Any) -> None:
        """What a run does until then."""
        config, pipeline = self.chain.config, self.chain.pipeline
        scope = Scope(config.source, run.run_id, 0)
        connector = (
            build_connector(config, connector_context(config, pipeline.settings)) if "documents" in stages else None
        )
        run_pipeline(pipeline, scope, stages=stages, connector=connector, **more)

    def switch(self, name: str, kind: InstigatorType, *, on: bool) -> None:
        """Switch a sensor or schedule as an operator does in the UI."""
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("rag"), "__repository__")
        origin = RemoteInstigatorOrigin(repository, name)
        status = InstigatorStatus.RUNNING if on else InstigatorStatus.STOPPED
        data = ScheduleInstigatorData("0 3 * * *") if kind is InstigatorType.SCHEDULE else SensorInstigatorData()
        state = InstigatorState(origin, kind, status, data)
        instance = self.chain.instance
        known = instance.get_instigator_state(origin.get_id(), state.selector_id)
        (instance.update_instigator_state if known else instance.add_instigator_state)(state)

    def execute(self, statement: str, **params: Any) -> None:
        with self.store.engine.begin() as connection:
            connection.execute(text(statement), params)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An ephemeral one stores no switches of sensors."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as made:
        yield made


@pytest.fixture
def prepared(prepared: Settings) -> Settings:
    """Small batches: what is embedded is seen after each."""
    return prepared.model_copy(update={"embed_batch": 8})


@pytest.fixture
def watched(chain: Chain, instance: dg.DagsterInstance) -> Watched:
    return Watched(chain, instance)


def test_a_configured_source_is_new_before_its_first_run(watched: Watched) -> None:
    assert describe(watched.status()) == "new: not read yet"


def test_a_source_is_up_to_date_after_a_good_run_and_waits_while_the_next_is_queued(watched: Watched) -> None:
    fill(watched.chain, 2)
    watched.sync()
    status = watched.status()
    assert (status.state, status.count) == (SourceState.UP_TO_DATE, 2)
    assert not needs_attention(status)
    watched.create(dg.DagsterRunStatus.NOT_STARTED)
    status = watched.status()
    assert (status.state, status.waiting_for) == (SourceState.WAITING, WaitingCause.RUN_SLOT)
    assert describe(status) == "waiting for a free run slot"


def test_a_run_under_way_is_listing_then_embedding_with_its_share_then_indexing(watched: Watched) -> None:
    fill(watched.chain, 20)
    run = watched.create(dg.DagsterRunStatus.STARTED)
    assert watched.status().state is SourceState.LISTING
    watched.stage(run, ["documents", "chunks"])
    begun = watched.status()
    assert (begun.state, begun.percent, begun.count) == (SourceState.EMBEDDING, 0, 20)

    def interrupt(done: int, total: int | None) -> None:
        raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        watched.stage(run, ["embeddings"], progress=interrupt)
    batch = watched.chain.settings.embed_batch
    under_way = watched.status()
    assert (under_way.state, under_way.count) == (SourceState.EMBEDDING, 20 - batch)
    assert under_way.percent == 100 * batch // 20
    assert under_way.seconds_left is not None, "the pace is known after a batch"
    assert describe(under_way).startswith(f"embedding {under_way.percent} % (")

    watched.stage(run, ["embeddings"])
    done = watched.status()
    assert (done.state, done.count) == (SourceState.INDEXING, 20)


def test_documents_that_no_run_brings_to_the_index_are_waiting_and_not_up_to_date(watched: Watched) -> None:
    fill(watched.chain, 3)
    run = watched.create(dg.DagsterRunStatus.STARTED)
    watched.stage(run, ["documents"])
    watched.chain.instance.report_run_canceled(run)
    status = watched.status()
    assert describe(status) == "waiting for the next run: 3 documents are not searchable yet"


def test_a_run_that_dagster_no_longer_reports_on_waits_for_dagster(watched: Watched) -> None:
    watched.create(dg.DagsterRunStatus.STARTED)
    assert watched.status().state is SourceState.LISTING
    watched.execute("UPDATE rag.source_states SET observed_at = now() - interval '5 minutes'")
    status = watched.stored()
    assert (status.state, status.waiting_for) == (SourceState.WAITING, WaitingCause.DAGSTER)
    assert needs_attention(status)
    assert "rag status" in status.remedy


def test_a_source_is_stale_once_its_last_complete_listing_is_too_old(watched: Watched) -> None:
    fill(watched.chain, 2)
    watched.chain.attributes["freshness_minutes"] = 60
    watched.sync()
    assert watched.status().state is SourceState.UP_TO_DATE
    watched.execute("UPDATE rag.sources SET last_complete_at = now() - interval '90 minutes'")
    status = watched.status()
    assert status.state is SourceState.STALE
    assert needs_attention(status)
    assert describe(status).startswith("stale since 20")


def test_inputs_in_quarantine_make_a_source_degraded(watched: Watched) -> None:
    fill(watched.chain, 5)
    (watched.chain.root / "broken.pdf").write_bytes(b"%PDF-1.7\nnot a PDF")
    watched.chain.run()
    status = watched.status()
    assert describe(status) == "degraded: 1 quarantined"
    assert status.remedy == f"See `rag quarantine list --source {watched.name} --tenant acme`."


def test_a_failed_run_says_why_since_when_and_what_to_do_also_while_it_is_tried_again(watched: Watched) -> None:
    watched.chain.root.rmdir()
    assert not watched.chain.run().success
    first = watched.status()
    assert (first.state, first.reason) == (SourceState.FAILED, Reason.UNREADABLE)
    assert first.since is not None
    assert first.remedy
    assert not watched.chain.run().success
    assert watched.status().since == first.since, "it has failed since then, however often it was tried"
    watched.create(dg.DagsterRunStatus.STARTED)
    again = watched.status()
    assert again.state is SourceState.LISTING
    assert (again.failing_since, again.reason) == (first.since, first.reason)
    assert needs_attention(again)


def test_a_listing_that_broke_off_says_where(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(watched.chain, 1)
    watched.chain.write("closed/a.md", "# Closed\n\nA sentence about ptarmigans.\n")
    make_unreadable(monkeypatch, "closed")
    assert not watched.chain.run().success
    status = watched.status()
    assert (status.state, status.reason) == (SourceState.FAILED, Reason.LISTING_INCOMPLETE)
    assert "closed cannot be read (Permission denied)" in status.message


def test_a_run_that_another_check_blocked_names_the_check_and_the_run(watched: Watched) -> None:
    run = watched.create(dg.DagsterRunStatus.STARTED)
    check = AssetCheckEvaluation(
        asset_key=dg.AssetKey([watched.name, "documents"]),
        check_name="schema",
        passed=False,
        metadata={},
        blocking=True,
    )
    for kind, data in ((dg.DagsterEventType.ASSET_CHECK_EVALUATION, check), (dg.DagsterEventType.RUN_FAILURE, None)):
        event = dg.DagsterEvent(kind.value, run.job_name, event_specific_data=data)
        watched.chain.instance.report_dagster_event(event, run.run_id)
    status = watched.status()
    assert (status.state, status.reason, status.run_id) == (SourceState.FAILED, Reason.INTERNAL, run.run_id)
    assert status.message == f"the check documents:schema failed (run {run.run_id})"


def test_a_good_run_ends_a_failure(watched: Watched) -> None:
    watched.chain.root.rmdir()
    assert not watched.chain.run().success
    assert watched.status().state is SourceState.FAILED
    watched.chain.root.mkdir()
    fill(watched.chain, 1)
    watched.sync()
    mended = watched.status()
    assert (mended.state, mended.reason, mended.failing_since) == (SourceState.UP_TO_DATE, "", None)


def test_held_deletions_are_held_for_approval_and_no_failure(watched: Watched) -> None:
    fill(watched.chain, 4)
    assert watched.chain.run().success
    for path in watched.chain.root.iterdir():
        path.unlink()
    assert not watched.chain.run().success
    status = watched.status()
    assert describe(status) == "held for approval: 4 deletions"
    assert f"rag source approve-deletions {watched.name}" in status.remedy
    approve_deletions(watched.store, "acme", watched.name, actor="test")
    assert describe(watched.status()) == "waiting for the next run: 4 approved deletions"


def test_a_source_whose_automation_is_off_is_paused(watched: Watched) -> None:
    fill(watched.chain, 1)
    watched.chain.attributes["enabled"] = False
    watched.sync()
    status = watched.status()
    assert status.state is SourceState.PAUSED
    assert describe(status).startswith("paused since 20")
    again = watched.status()
    assert again.since == status.since


def test_an_operator_pauses_and_resumes_a_source_by_its_sensor_and_schedule(watched: Watched) -> None:
    fill(watched.chain, 1)
    watched.sync()
    watched.switch(f"{watched.name}_changes", InstigatorType.SENSOR, on=False)
    assert watched.status().state is SourceState.UP_TO_DATE, "its schedule still runs"
    watched.switch(f"{watched.name}_reconcile", InstigatorType.SCHEDULE, on=False)
    assert watched.status().state is SourceState.PAUSED
    watched.switch(f"{watched.name}_changes", InstigatorType.SENSOR, on=True)
    assert watched.status().state is SourceState.UP_TO_DATE


def test_a_source_that_no_file_configures_any_more_says_so(watched: Watched) -> None:
    fill(watched.chain, 1)
    watched.sync()
    watched.create(dg.DagsterRunStatus.STARTED)
    watched.status()
    record(watched.store, watched.chain.instance, [])
    said = "no source file configures it any more: 1 documents stay searchable"
    assert describe(watched.stored()) == said
    assert needs_attention(watched.stored())
    with watched.store.engine.connect() as connection:
        assert [(tenant, one.counts.name) for tenant, one in orphaned(connection)] == [("acme", watched.name)]
    watched.execute("UPDATE rag.source_states SET observed_at = now() - interval '5 minutes'")
    assert describe(watched.stored()) == said
    watched.execute("UPDATE rag.documents SET deleted_at = now()")
    assert describe(watched.stored()) == "no source file configures it any more"
    assert not needs_attention(watched.stored())


def test_a_push_source_waits_for_the_stream_worker_and_is_never_paused(watched: Watched) -> None:
    watched.status()
    watched.execute("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', 'tickets', 'push')")
    assert watched.stored("tickets").state is SourceState.UP_TO_DATE
    with watched.store.engine.begin() as connection:
        inbox.accept(
            connection,
            PushedChange("acme", "tickets", "t1", "alice", content=b"Pump 7", media_type="text/plain"),
            max_pending=10,
        )
    waiting = watched.stored("tickets")
    assert (waiting.state, waiting.waiting_for, waiting.count) == (SourceState.WAITING, WaitingCause.STREAM_WORKER, 1)
    with watched.store.engine.begin() as connection:
        streams.heartbeat(connection, "worker-1", {"inbox": {"state": "running"}})
    assert watched.stored("tickets").state is SourceState.INDEXING
    reason = str(Reason.POISON_RATE)
    for stranger in ({"tenant": "acme", "source": "other"}, {"tenant": "globex", "source": "tickets"}):
        details = {"inbox": {"state": "running", "halted_sources": [{**stranger, "reason": reason}]}}
        with watched.store.engine.begin() as connection:
            streams.heartbeat(connection, "worker-1", details)
        assert watched.stored("tickets").state is SourceState.INDEXING, stranger
    own = {"inbox-large": {"state": "running", "halted_sources": [{**stranger, "tenant": "acme", "reason": reason}]}}
    for details in (own, {"inbox": {"state": f"halted: {reason}"}}):
        with watched.store.engine.begin() as connection:
            streams.heartbeat(connection, "worker-1", details)
        halted = watched.stored("tickets")
        assert (halted.state, halted.reason) == (SourceState.FAILED, Reason.POISON_RATE)
        assert halted.remedy


def test_an_older_run_never_replaces_what_is_known_of_a_newer_one(watched: Watched) -> None:
    fill(watched.chain, 1)
    older = watched.create(dg.DagsterRunStatus.NOT_STARTED)
    watched.sync()
    assert watched.status().state is SourceState.UP_TO_DATE
    watched.chain.instance.report_run_failed(older)
    watched.chain.definitions()
    record(watched.store, watched.chain.instance, [watched.chain.config], since=0.0)
    assert watched.stored().state is SourceState.UP_TO_DATE
