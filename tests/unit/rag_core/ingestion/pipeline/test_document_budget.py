"""A source of a tenant whose budget of stored documents is used up: what is stored stays current, what is new waits."""

from __future__ import annotations

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, event

from rag_core.content.sources import Scope
from rag_core.content.streams import PushedChange
from rag_core.content.streams import inbox_store as inbox
from rag_core.errors import QuotaExceeded, Reason
from rag_core.governance.usage import Budget, DocumentRoom, Owner
from rag_core.governance.usage import store as budgets
from rag_core.ingestion.pipeline import account, run_pipeline
from tests.support.generations import GenerationHarness
from tests.support.pipeline import PipelineHarness, prose
from tests.support.waiting import eventually

_WAITING = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


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


def test_a_push_does_not_wait_for_a_count_that_was_made_lately(flow: PipelineHarness) -> None:
    # Each reading of the clock is a second later: a count takes one, and is kept for twenty.
    clock = itertools.count()
    room = DocumentRoom(lambda: float(next(clock)), near=0)

    def push() -> str:
        with flow.store.engine.begin() as connection:
            try:
                room.require(connection, flow.source.tenant, uuid.uuid4())
            except QuotaExceeded as error:
                return error.metadata["used"]
        return ""

    flow.connector.put("0.txt", prose(0))
    flow.run()
    allow(flow, 4)
    assert push() == ""  # counts 1
    for number in range(1, 4):
        flow.connector.put(f"{number}.txt", prose(number))
    flow.run()
    # It has not heard of these three, and counts what it let through itself.
    assert [push() for _ in range(4)] == ["", "", "4", "4"]
    allow(flow, 5)  # a budget is read each time
    assert [push() for _ in range(2)] == ["", "5"]
    for _ in range(20):
        next(clock)
    assert [push() for _ in range(2)] == ["", "5"]  # counts 4


def test_two_pushes_at_once_to_two_servers_do_not_take_the_last_place_twice(flow: PipelineHarness) -> None:
    allow(flow, 1)

    def push(connection: Connection, locator: str) -> None:
        change = PushedChange(flow.source.tenant, "push", locator, "ann", content=b"x", media_type="text/plain")
        DocumentRoom().require(connection, flow.source.tenant, change.doc_id)
        inbox.accept(connection, change, max_pending=100)

    def push_alone() -> None:
        with flow.store.engine.begin() as connection:
            push(connection, "b")

    with ThreadPoolExecutor(1) as pool:
        with flow.store.engine.begin() as first:
            push(first, "a")
            second = pool.submit(push_alone)
            assert eventually(lambda: second.done() or flow.one(_WAITING).n)
        with pytest.raises(QuotaExceeded):
            second.result(60)


def test_a_stored_document_needs_no_room(flow: PipelineHarness) -> None:
    flow.connector.put("0.txt", prose(0))
    flow.run()
    allow(flow, 0)
    with flow.store.engine.begin() as connection:
        DocumentRoom().require(connection, flow.source.tenant, flow.doc_id("0.txt"))


def test_a_long_listing_that_is_compared_in_parts_keeps_to_the_budget(
    flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_core.content.sources.listings.EARLY_SECONDS", 0.0)
    harness = GenerationHarness(flow)
    harness.ensure()
    scope = Scope(flow.source, "run-0")
    counted = []

    def note(*given: object) -> None:
        if "count(DISTINCT i.doc_id)" in str(given[2]):
            counted.append(given[2])

    event.listen(flow.store.engine, "before_cursor_execute", note)
    allow(flow, 5)
    for number in range(9):
        flow.connector.put(f"{number}.txt", prose(number))
    run_pipeline(harness, scope, connector=flow.connector)
    counts = account(flow.store, scope)
    assert (stored(flow), counts.skipped, counts.balanced) == (5, 4, True)
    assert len(counted) == 1
