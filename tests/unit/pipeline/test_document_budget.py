"""A source of a tenant whose budget of stored documents is used up: what is stored stays current, what is new waits."""

from __future__ import annotations

from rag_core.errors import Reason
from rag_core.usage import Budget, Owner
from rag_core.usage import store as budgets
from tests.support.pipeline import PipelineHarness, prose


def allow(flow: PipelineHarness, documents: int | None) -> None:
    with flow.store.engine.begin() as connection:
        owner = Owner(flow.source.tenant)
        budgets.set_budget(connection, owner, Budget(documents=documents), actor="ops/op")


def stored(flow: PipelineHarness) -> int:
    return int(flow.one("SELECT count(*) AS n FROM rag.documents WHERE deleted_at IS NULL").n)


def test_new_documents_wait_while_edits_and_deletions_are_applied(flow: PipelineHarness) -> None:
    for number in range(4):
        flow.connector.put(f"{number}.txt", prose(number))
    flow.run()
    allow(flow, 5)
    for number in range(4, 9):
        flow.connector.put(f"{number}.txt", prose(number))
    flow.connector.put("0.txt", prose(0).replace("Paragraph 2", "Section 2"))
    del flow.connector.items["1.txt"]
    counts = flow.run()
    assert (counts.read, counts.skipped, counts.deleted, counts.balanced) == (9, 4, 1, True)
    assert "Section 2" in flow.indexed_text()["0.txt"]
    result = flow.reports["documents"]
    assert result.problem == Reason.QUOTA_EXCEEDED
    assert result.message is not None
    assert "4 new documents were not read: the tenant's budget of 5 stored documents is used up" in result.message
    # The deletion made room for one more; a larger budget for the rest.
    counts = flow.run()
    assert (stored(flow), counts.skipped, counts.balanced) == (5, 3, True)
    allow(flow, None)
    counts = flow.run()
    assert (stored(flow), counts.skipped, counts.balanced) == (8, 0, True)
    assert flow.reports["documents"].problem is None


def test_a_first_run_stores_what_the_budget_allows_and_no_more(flow: PipelineHarness) -> None:
    allow(flow, 3)
    for number in range(8):
        flow.connector.put(f"{number}.txt", prose(number))
    counts = flow.run()
    assert (stored(flow), counts.indexed, counts.skipped, counts.balanced) == (3, 3, 5, True)
