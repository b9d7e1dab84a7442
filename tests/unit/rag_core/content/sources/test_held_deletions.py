"""A mass deletion waits for an approval of what was observed; the approval is used once. The guard on deletions: a
large loss is held, and a small one that is a large share of its source is reported."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rag_core.content.sources import Scope
from rag_core.errors import Conflict, Reason
from rag_core.ingestion.alerts import Alert, AlertKind, disappearances, disappeared_documents
from rag_core.ingestion.pipeline import StageResult, approve_deletions
from tests.support.memory_source import MemoryConnector, MemoryListing
from tests.support.pipeline import PipelineHarness, prose


@pytest.fixture
def sharded(flow: PipelineHarness) -> PipelineHarness:
    """Twenty documents in two shards; the guard holds a loss of eight or more."""
    flow.settings = flow.settings.model_copy(update={"delete_guard_minimum": 8})
    flow.source = replace(flow.source, shards=2)
    for number in range(20):
        flow.connector.put(f"{number}.txt", prose(number, 2))
    for shard in range(2):
        run(flow, shard)
    return flow


def run(flow: PipelineHarness, shard: int, connector: MemoryConnector | None = None) -> StageResult:
    scope = Scope(flow.source, f"run-{next(flow.runs)}", shard)
    return flow.store_documents(scope, connector)


def lose(flow: PipelineHarness, *numbers: int) -> None:
    for number in numbers:
        flow.connector.items.pop(f"{number}.txt", None)


def approve(flow: PipelineHarness) -> int:
    return approve_deletions(flow.store, flow.source.tenant, flow.source.name, "ann")


def alive(flow: PipelineHarness) -> int:
    return int(flow.one("SELECT count(*) FROM rag.documents WHERE deleted_at IS NULL").count)


def at_once(flow: PipelineHarness) -> list[StageResult]:
    """Both shards list the source before either deletes, and then delete at the same time."""
    met = threading.Barrier(2)

    class Meeting(MemoryConnector):
        def list_items(self) -> MemoryListing:
            listing = super().list_items()
            met.wait(30)
            return listing

    connectors = [Meeting(), Meeting()]
    for connector in connectors:
        connector.items.update(flow.connector.items)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda shard: run(flow, shard, connectors[shard]), range(2)))


@pytest.mark.catalogue("A15")
def test_two_shards_at_once_use_an_approval_up(sharded: PipelineHarness) -> None:
    lose(sharded, *range(10))
    assert [report.problem for report in at_once(sharded)] == [Reason.MASS_DELETE_HELD] * 2
    assert approve(sharded) == 10
    reports = at_once(sharded)
    assert sum(report.counts["deleted"] for report in reports) == 10
    assert [report.problem for report in reports] == [None, None]
    row = sharded.one("SELECT held_deletions, held_at, deletions_approved, deletions_approved_at FROM rag.sources")
    assert tuple(row) == (0, None, None, None)
    # The next loss up to that size is another observation.
    lose(sharded, *range(10, 18))
    assert [report.counts["deleted"] for report in at_once(sharded)] == [0, 0]
    assert alive(sharded) == 10


def test_an_approval_waits_for_the_shard_that_runs_later(sharded: PipelineHarness) -> None:
    lose(sharded, *range(10))
    at_once(sharded)
    approve(sharded)
    first = run(sharded, 0).counts["deleted"]
    assert 0 < first < 10
    assert sharded.one("SELECT held_deletions FROM rag.sources").held_deletions == 10 - first
    assert run(sharded, 1).counts["deleted"] == 10 - first
    assert alive(sharded) == 10


def test_documents_that_vanish_after_an_approval_need_their_own(sharded: PipelineHarness) -> None:
    lose(sharded, *range(8))
    run(sharded, 0)
    approve(sharded)
    lost = dict(sharded.connector.items)
    lose(sharded, *range(8, 18))
    for shard in range(2):
        assert run(sharded, shard).problem is Reason.MASS_DELETE_HELD
    assert alive(sharded) == 20
    # What was approved is deleted once the source shows again what nobody saw missing.
    sharded.connector.items.update(lost)
    assert sum(run(sharded, shard).counts["deleted"] for shard in range(2)) == 8


def test_a_document_that_came_back_is_not_covered_by_the_old_approval(sharded: PipelineHarness) -> None:
    before = dict(sharded.connector.items)
    lose(sharded, *range(10))
    run(sharded, 0)
    approve(sharded)
    sharded.connector.items.update(before)
    run(sharded, 0)
    with pytest.raises(Conflict, match="no deletions are held"):
        approve(sharded)
    lose(sharded, *range(10))
    assert [run(sharded, shard).counts["deleted"] for shard in range(2)] == [0, 0]


def guard_run(flow: PipelineHarness) -> StageResult:
    return flow.store_documents(Scope(flow.source, f"run-{next(flow.runs)}"))


def alerts(flow: PipelineHarness, *, later: timedelta = timedelta()) -> list[Alert]:
    """What is reported now, or `later`."""
    since = datetime.now(UTC) - timedelta(hours=24) + later
    with flow.store.engine.connect() as connection:
        share = flow.settings.delete_guard_fraction
        return list(disappeared_documents(disappearances(connection, since=since, share=share)))


@pytest.mark.catalogue("A29")
@pytest.mark.parametrize("documents", [8, 30, 49, 60])
def test_more_than_a_fifth_and_five_documents_are_held_and_fewer_are_reported(
    flow: PipelineHarness, documents: int
) -> None:
    for number in range(documents):
        flow.connector.put(f"{number:02}.txt", prose(number, 1))
    guard_run(flow)
    everything = dict(flow.connector.items)
    for lost in (max(1, documents // 10), documents // 2, documents):
        flow.connector.items = dict(list(everything.items())[lost:])
        result = guard_run(flow)
        large, counts = lost > documents * 0.2, result.counts
        if large and lost > 5:
            assert (result.problem, counts["held"], counts["deleted"]) == (Reason.MASS_DELETE_HELD, lost, 0)
            assert "disappeared" not in counts
        else:
            assert (result.problem, counts["held"], counts["deleted"]) == (None, 0, lost)
            assert (counts["disappeared"], counts["disappeared_of"]) == (lost, documents)
        if large and lost <= 5:
            assert [alert.details for alert in alerts(flow)] == [{"documents": lost, "of": documents}]
        flow.connector.items = dict(everything)
        guard_run(flow)


def test_a_small_loss_that_is_a_large_share_is_an_alert_for_a_day(flow: PipelineHarness) -> None:
    for number in range(20):
        flow.connector.put(f"{number:02}.txt", prose(number, 1))
    guard_run(flow)
    for number in range(5):
        del flow.connector.items[f"{number:02}.txt"]
    assert guard_run(flow).counts["deleted"] == 5
    guard_run(flow)
    (alert,) = alerts(flow)
    assert (alert.kind, alert.severity, alert.source) == (AlertKind.DOCUMENTS_DISAPPEARED, "warning", "handbook")
    assert alert.summary == "5 of 20 documents disappeared from source handbook"
    assert alert.started_at is not None
    assert alerts(flow, later=timedelta(hours=25)) == []
