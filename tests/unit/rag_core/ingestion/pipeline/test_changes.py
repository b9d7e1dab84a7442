from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rag_assets.connectors.outside import ConnectorContext
from rag_assets.connectors.sql.connector import SqlConnector
from rag_assets.connectors.sql.options import SqlOptions
from rag_core.content.quality import quarantine_read_store as quarantine_view
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.content.sources import Scope
from rag_core.errors import Reason
from rag_core.ingestion.pipeline import approve_deletions
from tests.support.pipeline import PipelineHarness, prose


class Table:
    """A table of documents and a flow over it. Each write gets a later time."""

    def __init__(self, flow: PipelineHarness, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute(
            "CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT, updated_at TEXT, gone INTEGER DEFAULT 0)"
        )
        options = SqlOptions.model_validate(
            {
                "kind": "sql",
                "database": {"driver": "sqlite", "path": str(path)},
                "table": "docs",
                "key": "id",
                "updated_at": "updated_at",
                "content": "body",
                "deleted": "gone",
                "overlap": 0,
            }
        )
        self.connector = SqlConnector(options, ConnectorContext())
        flow.connector = self.connector  # type: ignore[assignment]
        self.flow, self._clock = flow, 0

    def put(self, number: int, body: str | None = None, gone: int = 0) -> None:
        self._clock += 1
        at = f"2026-01-01 {self._clock // 60:02}:{self._clock % 60:02}:00"
        row = (number, prose(number) if body is None else body, at, gone)
        self.database.execute("INSERT OR REPLACE INTO docs VALUES (?, ?, ?, ?)", row)

    def fill(self, count: int) -> None:
        for number in range(count):
            self.put(number)


@pytest.fixture
def table(flow: PipelineHarness, tmp_path: Path) -> Iterator[Table]:
    opened = Table(flow, tmp_path / "docs.db")
    yield opened
    opened.connector.close()
    opened.database.close()


@pytest.mark.catalogue("F21")
def test_the_second_run_lists_only_what_changed_and_a_soft_deleted_row_is_gone(table: Table) -> None:
    table.fill(6)
    table.flow.run(changes=True)
    table.put(3, gone=1)
    table.put(2, prose(22))
    table.put(9)
    counts = table.flow.run(changes=True)
    assert (counts.read, counts.indexed, counts.deleted, counts.unchanged) == (7, 2, 1, 4)
    assert counts.balanced
    # 2, 3, 9 and the newest of the last run, which is looked at again.
    assert table.flow.counts("documents")["absent"] == 3
    texts = table.flow.indexed_text()
    assert "22" in texts["2"]
    assert "3" not in texts


def test_a_shard_that_took_the_listing_of_another_run_continues_from_there(table: Table) -> None:
    flow = table.flow
    flow.source = replace(flow.source, shards=2)
    table.fill(6)
    asked = datetime.now(UTC) - timedelta(minutes=1)

    def refresh(*, changes: bool) -> list[dict[str, int]]:
        scopes = [Scope(flow.source, f"run-{next(flow.runs)}", shard, asked) for shard in range(2)]
        return [flow.store_documents(scope, changes=changes).counts for scope in scopes]

    assert [counts["absent"] for counts in refresh(changes=False)] == [0, 0]
    table.put(2, prose(22))
    counts = refresh(changes=True)
    assert sum(each["updated"] for each in counts) == 1
    # All but 2 and the newest of the last run, which is looked at again.
    assert sum(each["absent"] for each in counts) == 4


@pytest.mark.catalogue("F21")
def test_a_hard_deleted_row_is_noticed_by_the_count_and_everything_is_listed(table: Table) -> None:
    table.fill(6)
    table.flow.run(changes=True)
    table.database.execute("DELETE FROM docs WHERE id = 3")
    table.put(9)  # the number of rows is the same as before
    counts = table.flow.run(changes=True)
    assert (counts.deleted, counts.indexed, counts.balanced) == (1, 1, True)
    assert table.flow.counts("documents")["absent"] == 0


@pytest.mark.catalogue("F22")
def test_many_soft_deletions_at_once_are_held_until_an_operator_releases_them(table: Table) -> None:
    flow = table.flow
    flow.settings = flow.settings.model_copy(update={"delete_guard_minimum": 3})
    table.fill(8)
    flow.run(changes=True)
    for number in range(4):
        table.put(number, gone=1)
    for _ in range(2):  # held, and still held by the next run, which lists everything
        counts = flow.run(changes=True)
        assert (counts.deleted, counts.held, counts.balanced) == (0, 4, True)
        assert flow.reports["documents"].problem == Reason.MASS_DELETE_HELD
    assert len(flow.indexed_text()) == 8
    assert approve_deletions(flow.store, "acme", "handbook", "ann") == 4
    assert flow.run(changes=True).deleted == 4
    assert set(flow.indexed_text()) == {"4", "5", "6", "7"}


def test_a_failed_row_is_tried_again_although_it_did_not_change(table: Table) -> None:
    table.fill(3)
    table.put(7, body="404 Not Found")
    table.flow.run(changes=True)
    assert table.flow.quarantined()["7"].reason == Reason.QUALITY_ERROR_PAGE
    for attempts in (2, 3, 3):
        table.flow.run(changes=True)
        assert table.flow.quarantined()["7"].attempts == attempts
    with table.flow.store.engine.begin() as connection:
        (row,) = quarantine_view.page(connection, quarantine_view.QuarantineFilter("acme"))
        quarantine.redrive(connection, row.id, tenant="acme", actor="ann", note="again")
    table.flow.run(changes=True)
    assert table.flow.quarantined()["7"].attempts == 1
    (audited,) = table.flow.all("SELECT * FROM rag.audit WHERE action = 'quarantine.redrive'")
    assert (audited.actor, audited.details["note"], audited.details["reason"]) == ("ann", "again", "QUALITY_ERROR_PAGE")


@pytest.mark.catalogue("B53")
def test_a_dropped_table_fails_the_run_and_deletes_nothing(table: Table) -> None:
    table.fill(3)
    table.flow.run(changes=True)
    table.database.execute("ALTER TABLE docs RENAME TO other")
    for changes in (True, False):
        counts = table.flow.run(changes=changes)
        report = table.flow.reports["documents"]
        assert (counts.deleted, report.problem) == (0, Reason.LISTING_INCOMPLETE)
        assert "SCHEMA_CHANGED" in (report.message or "")
    assert len(table.flow.indexed_text()) == 3


@pytest.mark.catalogue("F22")
def test_an_emptied_table_is_held(table: Table) -> None:
    table.fill(3)
    table.flow.run(changes=True)
    table.database.execute("DELETE FROM docs")
    counts = table.flow.run(changes=True)
    assert (counts.deleted, counts.held) == (0, 3)
    assert table.flow.reports["documents"].problem == Reason.MASS_DELETE_HELD
