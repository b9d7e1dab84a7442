"""A build does work in proportion to the documents, however short its slices are."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from rag_core.content.sources import Scope
from rag_core.errors import Conflict, Reason
from rag_core.governance.usage import Owner, Usage
from rag_core.governance.usage import store as usage
from rag_core.ingestion.promotion import build, declare
from rag_core.ingestion.promotion.throttle import Throttle, calls_of_clients
from tests.support.generations import GenerationHarness, word_transforms
from tests.support.postgres import as_owner

PENDING = "WHERE p.required"
"""What every statement has that looks for all that is pending in a generation."""


class Slices(Throttle):
    """Counts the slices and does not pause."""

    def __init__(self) -> None:
        super().__init__(lambda: None, max_pause=0)
        self.count = 0

    def pause(self) -> None:
        self.count += 1


def test_a_build_in_many_slices_counts_what_is_pending_as_often_as_one_in_few(
    plant: GenerationHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = plant.pipeline
    module = sys.modules[build.__module__]
    monkeypatch.setattr(module, "_OVERHEAD_SHARE", 0)
    monkeypatch.setattr(module, "_BATCH_DOCUMENTS", 1)
    scans: dict[int, int] = {}
    returned: list[int] = []

    def counted(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if PENDING in statement:
            returned.append(max(0, cursor.rowcount) if statement.startswith("SELECT") else 0)

    for version, seconds in (("2", 60.0), ("3", 0.000_001)):
        transforms, slices = word_transforms(version=version), Slices()
        name = declare(flow.store, flow.index, transforms, name=f"v{version}", actor="ann").name
        settings = flow.settings.model_copy(
            update={"build_slice_seconds": seconds, "embed_batch": 1, "sync_batch_documents": 1}
        )
        event.listen(flow.store.engine, "after_cursor_execute", counted)
        assert build(flow.store, flow.index, transforms, name, settings, throttle=slices).state == "ready"
        event.remove(flow.store.engine, "after_cursor_execute", counted)
        scans[slices.count] = len(returned)
        assert max(returned) <= 1, "no statement hands the pending documents to the process"
        returned.clear()
    few, many = sorted(scans)
    assert many > 3 * few
    assert scans[many] == scans[few]


def test_a_document_that_cannot_be_completed_ends_the_build_with_its_count(plant: GenerationHarness) -> None:
    flow, transforms = plant.pipeline, word_transforms(version="2")
    name = declare(flow.store, flow.index, transforms, actor="ann").name
    flow.connector.put("new.txt", "Something new.")
    flow.store_documents(Scope(flow.source, "late"))
    url = flow.store.engine.url.render_as_string(hide_password=False)
    with psycopg.connect(as_owner(url)) as connection:
        connection.execute("CREATE FUNCTION rag.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON rag.generation_documents FOR EACH ROW EXECUTE FUNCTION rag.refuse()"
        )
    with pytest.raises(Conflict, match="15 documents cannot be completed") as caught:
        build(flow.store, flow.index, word_transforms(version="2"), name, flow.settings)
    assert caught.value.reason is Reason.GENERATION_STATE


def test_the_calls_that_every_query_server_reports_are_those_that_pace_a_build(plant: GenerationHarness) -> None:
    count, today = calls_of_clients(plant.store), datetime.now(UTC).date()
    seen = [count()]
    for writer, calls in (("one", 3), ("other", 4), ("one", 5)):
        with plant.store.engine.begin() as connection:
            usage.write(connection, today, writer, {Owner("acme"): Usage(calls=calls), Owner("globex", "k"): Usage(1)})
        seen.append(count())
    assert seen == [0, 4, 9, 11]
