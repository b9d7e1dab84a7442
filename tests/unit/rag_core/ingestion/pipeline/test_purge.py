"""The purge works in pages and lets runs in between; what it did stays done."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from sqlalchemy import event, text

from rag_core.database import locks
from rag_core.errors import Conflict, Reason
from rag_core.ingestion.pipeline import purge_unused
from tests.support.pipeline import PipelineHarness, prose


@pytest.fixture
def purgeable(flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch) -> PipelineHarness:
    """Twelve documents chunked for a chunker that no generation has any more; three to a page."""
    for number in range(12):
        flow.connector.put(f"{number}.txt", prose(number, 2))
    flow.run()
    with flow.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.chunkings SET chunker = 'old'"))
        connection.execute(text("UPDATE rag.chunks SET chunker = 'old'"))
    module = sys.modules[purge_unused.__module__]
    monkeypatch.setattr(module, "_DOCUMENTS", 3)
    monkeypatch.setattr(module, "_TEXTS", 3)
    monkeypatch.setattr(module, "_ALONE_SECONDS", 0.000_001)
    return flow


def left(flow: PipelineHarness) -> int:
    return int(flow.one("SELECT count(*) FROM rag.chunks").count)


def test_no_statement_deletes_more_than_a_page(purgeable: PipelineHarness) -> None:
    deleted: list[int] = []

    def count(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith("DELETE FROM rag.chunks"):
            deleted.append(cursor.rowcount)

    most = purgeable.one("SELECT max(n) FROM (SELECT count(*) AS n FROM rag.chunks GROUP BY doc_id) AS x").max
    everything = left(purgeable)
    event.listen(purgeable.store.engine, "after_cursor_execute", count)
    assert purge_unused(purgeable.store)["chunks"] == everything
    assert max(deleted) <= 3 * most
    assert len(deleted) == 4
    assert left(purgeable) == 0


def test_a_run_gets_in_between_and_the_next_purge_continues_from_there(purgeable: PipelineHarness) -> None:
    store, everything = purgeable.store, left(purgeable)
    entered: list[Any] = []

    def enter(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # Taken from another session between two turns of the purge, as a run takes it, and kept.
        if statement.startswith("DISCARD TEMPORARY") and not entered:
            held = locks.shard_connection(store, "acme", "handbook", 0, wait=5)
            entered.append(held)
            held.__enter__()

    event.listen(store.engine, "after_cursor_execute", enter)
    with pytest.raises(Conflict) as caught:
        purge_unused(store, wait=0.2)
    assert caught.value.reason is Reason.SOURCE_BUSY
    event.remove(store.engine, "after_cursor_execute", enter)
    assert 0 < left(purgeable) < everything
    entered[0].__exit__(None, None, None)
    purge_unused(store)
    assert left(purgeable) == 0
