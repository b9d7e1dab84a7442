"""A build does work in proportion to the documents, however short its slices are. Each phase of a generation's life
can end anywhere: run again, it comes to what it would have come to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from rag_core import failpoints
from rag_core.content.sources import Scope
from rag_core.errors import Conflict, NotFound, Reason
from rag_core.governance.usage import Owner, Usage
from rag_core.governance.usage import store as usage
from rag_core.ingestion.promotion import (
    GateEvaluation,
    build,
    declare,
    evaluate,
    promote,
    retire,
    retire_expired,
    rollback,
)
from rag_core.ingestion.promotion.golden import GoldenSet
from rag_core.ingestion.promotion.throttle import Throttle, calls_of_clients
from rag_core.ingestion.verify import verify
from tests.support.generations import GenerationHarness, word_transforms
from tests.support.postgres import as_owner
from tests.unit.rag_core.ingestion.generations.conftest import manual

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


NEW = "new"


def interrupted(point: str, call: Callable[[], object]) -> None:
    failpoints.arm(f"{point}:1:raise")
    with pytest.raises(failpoints.FailpointReached):
        call()


def clean(plant: GenerationHarness, *names: str) -> bool:
    reports = [verify(plant.pipeline.store, plant.pipeline.index, name) for name in names]
    return all(report.clean for report in reports) or pytest.fail(f"{[report.totals for report in reports]}")


def built(plant: GenerationHarness) -> str:
    flow, transforms = plant.pipeline, word_transforms(version="2")
    declare(flow.store, flow.index, transforms, name=NEW, actor="ann")
    return build(flow.store, flow.index, transforms, NEW, flow.settings).state


def test_a_build_continues_wherever_it_ended(plant: GenerationHarness) -> None:
    old = str(plant.pipeline.index.alias())
    for point in ("after_embed_batch", "after_upsert", "before_mark_commit", "after_build_slice", "before_ready"):
        interrupted(point, lambda: built(plant))
        assert plant.row(NEW).state == "building", point
        assert clean(plant, old), point
    assert built(plant) == "ready"
    assert clean(plant, old, NEW)


@pytest.fixture
def ready(plant: GenerationHarness, questions: GoldenSet) -> GenerationHarness:
    """With a second generation that the gate passed, after its evaluation was cut short once."""
    flow = plant.pipeline
    built(plant)

    def evaluated() -> GateEvaluation:
        return evaluate(flow.store, flow.index, plant.transform_registry, NEW, flow.settings, golden=[questions])

    interrupted("before_judgement_kept", evaluated)
    assert plant.row(NEW).evaluation is None
    assert evaluated().passed
    return plant


def test_a_promotion_and_a_rollback_continue_wherever_they_ended(ready: GenerationHarness) -> None:
    flow = ready.pipeline
    old = str(flow.index.alias())

    def forward() -> str:
        return promote(flow.store, flow.index, NEW, flow.settings, actor="ann").active

    def back() -> str:
        return rollback(flow.store, flow.index, flow.settings, actor="ann").active

    interrupted("after_promote_commit", forward)
    assert (ready.row(NEW).state, flow.index.alias()) == ("active", old), "the database is ahead"
    assert (forward(), flow.index.alias()) == (NEW, NEW)

    interrupted("after_promote_commit", back)
    assert (ready.row(old).state, flow.index.alias()) == ("active", NEW)
    assert (back(), flow.index.alias()) == (old, old), "the same command ends it and does not turn round"

    interrupted("after_alias_move", forward)
    assert (forward(), flow.index.alias()) == (NEW, NEW)
    interrupted("after_alias_move", back)
    with pytest.raises(NotFound, match=f"readers are on {old}"):
        back()
    assert flow.index.alias() == old
    assert clean(ready, old, NEW)


def test_the_next_runs_finish_what_ended_before_the_index_followed(ready: GenerationHarness) -> None:
    flow = ready.pipeline
    old = str(flow.index.alias())
    interrupted("after_promote_commit", lambda: promote(flow.store, flow.index, NEW, flow.settings, actor="ann"))
    flow.connector.put("pump.txt", manual("pump", "It was painted red."))
    assert ready.run().balanced
    assert flow.index.alias() == NEW
    assert clean(ready, NEW)

    end = lambda: retire(flow.store, flow.index, old, actor="ann", now=True)  # noqa: E731
    interrupted("after_retire_commit", end)
    interrupted("before_retire_drop", end)
    assert old in {spec.name for spec in flow.index.generations()}
    assert retire_expired(flow.store, flow.index) == [old]
    assert [spec.name for spec in flow.index.generations()] == [NEW]
    assert flow.one("SELECT count(*) AS n FROM rag.generation_documents WHERE generation = :name", name=old).n == 0
