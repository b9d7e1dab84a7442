"""The guard on deletions: a large loss is held, and a small one that is a large share of its source is reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rag_core.content.sources import Scope
from rag_core.errors import Reason
from rag_core.ingestion.alerts import Alert, AlertKind, disappearances, disappeared_documents
from rag_core.ingestion.pipeline import StageResult
from tests.support.pipeline import PipelineHarness, prose


def run(flow: PipelineHarness) -> StageResult:
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
    run(flow)
    everything = dict(flow.connector.items)
    for lost in (max(1, documents // 10), documents // 2, documents):
        flow.connector.items = dict(list(everything.items())[lost:])
        result = run(flow)
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
        run(flow)


def test_a_small_loss_that_is_a_large_share_is_an_alert_for_a_day(flow: PipelineHarness) -> None:
    for number in range(20):
        flow.connector.put(f"{number:02}.txt", prose(number, 1))
    run(flow)
    for number in range(5):
        del flow.connector.items[f"{number:02}.txt"]
    assert run(flow).counts["deleted"] == 5
    run(flow)
    (alert,) = alerts(flow)
    assert (alert.kind, alert.severity, alert.source) == (AlertKind.DOCUMENTS_DISAPPEARED, "warning", "handbook")
    assert alert.summary == "5 of 20 documents disappeared from source handbook"
    assert alert.started_at is not None
    assert alerts(flow, later=timedelta(hours=25)) == []
