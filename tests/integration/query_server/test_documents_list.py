"""Documents for operators: every page of a list, what matches, one document's history, and indexing it again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from rag_core.database import Store, open_store
from rag_core.database.tables.content import (
    documents,
    generation_documents,
    generations,
    held_deletions,
    quarantine,
    run_stages,
    sources,
)
from rag_core.database.tables.operations import quality_runs
from rag_core.ids import document_id
from rag_core.settings import Settings
from ragproto.admin.v1 import operations_pb2 as pb
from tests.integration.query_server.test_operations import ADMIN, OPERATOR, VIEWER, Ops, document, entry
from tests.support.query_server import RunningServer, running

NEWEST = datetime(2026, 3, 1, tzinfo=UTC)
STORED = 23
UNSTORED = 5
ORDERS = pb.DocumentOrder.values()


def fill(store: Store) -> None:
    """Documents of which several changed at the same moment, of two types, and inputs that were never stored."""
    rows = [
        document(
            "acme", f"{number:02}.md", updated_at=NEWEST - timedelta(days=number // 3), bytes=number // 4,
            media_type="text/html" if number % 4 == 0 else "text/plain", title=f"Page {number}",
        )
        for number in range(STORED)
    ]  # fmt: skip
    with store.engine.begin() as db:
        known = {"kind": "push", "shards": 1, "name": "handbook"}
        db.execute(sources.insert(), [{"tenant": tenant, **known} for tenant in ("acme", "other")])
        db.execute(
            generations.insert(), [{"name": "g1", "state": "active", "embedder": "e", "dimensions": 4, "chunker": "c"}]
        )
        db.execute(documents.insert(), [*rows, document("other", "canary.md", updated_at=NEWEST)])
        marks = [{"generation": "g1", "doc_id": row["doc_id"], "indexed_version": 3} for row in rows[2:]]
        db.execute(generation_documents.insert(), marks)
        db.execute(documents.update().where(documents.c.locator == "05.md").values(deleted_at=NEWEST))
        db.execute(documents.update().where(documents.c.locator == "06.md").values(acl=None))
        db.execute(quarantine.insert(), [entry("acme", "07.md")])
        db.execute(quarantine.insert(), [entry("acme", f"lost-{n}.pdf", stage="parse") for n in range(UNSTORED)])
        db.execute(quarantine.insert(), [entry("other", "canary.pdf")])


@pytest.fixture
def server(tmp_path: Path, store: Store, database_url: str) -> Iterator[RunningServer]:
    settings = Settings(home=tmp_path, database_url=database_url)
    with running(tmp_path / "home", open_store=lambda: open_store(settings)) as started:
        yield started


def all_pages(ops: Ops, limit: int, **wanted: Any) -> list[pb.DocumentRow]:
    found: list[pb.DocumentRow] = []
    token = ""
    while True:
        page = ops.FindDocuments(page_size=limit, page_token=token, **wanted)
        assert len(page.documents) <= limit
        found += page.documents
        token = page.next_page_token
        if not token:
            return found


def names(ops: Ops, **wanted: Any) -> set[str]:
    return {row.locator for row in all_pages(ops, 200, **wanted)}


def test_the_pages_of_a_list_have_every_document_once_in_order(server: RunningServer) -> None:
    viewer = Ops(server, scopes=VIEWER)
    for order in ORDERS:
        for limit in (3, STORED, STORED + 2):
            check_pages(all_pages(viewer, limit, order=order), order)


def check_pages(rows: list[pb.DocumentRow], order: int) -> None:
    assert len({row.doc_id for row in rows}) == len(rows) == STORED + UNSTORED
    stored = rows[:STORED]
    assert all(row.version for row in stored)
    keys: dict[int, Any] = {
        pb.DOCUMENT_ORDER_UNSPECIFIED: lambda row: -row.updated_at.seconds,
        pb.DOCUMENT_ORDER_OLDEST: lambda row: row.updated_at.seconds,
        pb.DOCUMENT_ORDER_LOCATOR: lambda row: row.locator,
        pb.DOCUMENT_ORDER_LARGEST: lambda row: -row.bytes,
    }
    assert stored == sorted(stored, key=keys[order])
    assert [row.locator for row in rows[STORED:]] == [f"lost-{n}.pdf" for n in reversed(range(UNSTORED))]


def test_a_list_is_narrowed_by_state_type_source_and_time_and_counted_on_all_pages(
    server: RunningServer, store: Store
) -> None:
    viewer = Ops(server, scopes=VIEWER)
    with store.engine.begin() as db:
        db.execute(quarantine.insert(), [entry("acme", "empty.md", stage="parse", skipped=True)])
    states = {state: names(viewer, state=state) for state in pb.DocumentState.values() if state}
    assert states[pb.DOCUMENT_STATE_DELETED] == {"05.md"}
    assert states[pb.DOCUMENT_STATE_WITHOUT_ACL] == {"06.md"}
    assert states[pb.DOCUMENT_STATE_PENDING] == {"00.md", "01.md"}
    assert states[pb.DOCUMENT_STATE_QUARANTINED] == {"07.md", *(f"lost-{n}.pdf" for n in range(UNSTORED))}
    assert states[pb.DOCUMENT_STATE_SKIPPED] == {"empty.md"}
    assert "empty.md" in names(viewer), "what is missing is looked for in the list of everything"
    assert sum(map(len, states.values())) == STORED + UNSTORED + 1
    for state in states:
        assert {row.state for row in all_pages(viewer, 4, state=state)} == {state}
    assert names(viewer, media_type="text/html", state=pb.DOCUMENT_STATE_PENDING) == {"00.md"}
    kept = all_pages(viewer, 4, exclude_deleted=True)
    assert len(kept) == viewer.FindDocuments(page_size=1, count=True, exclude_deleted=True).counts.documents
    assert {row.locator for row in kept} == names(viewer) - {"05.md"}
    with store.engine.begin() as db:
        gone = {"tenant": "acme", "source": "handbook", "held_at": NEWEST}
        held = [{**gone, "doc_id": document_id("acme", "handbook", f"{number:02}.md")} for number in (8, 9, 10)]
        db.execute(held_deletions.insert(), held)
    assert [row.locator for row in all_pages(viewer, 2, held_for_deletion=True, order=pb.DOCUMENT_ORDER_LOCATOR)] == [
        "08.md", "09.md", "10.md",
    ]  # fmt: skip
    assert viewer.FindDocuments(page_size=1, count=True, held_for_deletion=True).counts.documents == 3
    assert names(Ops(server, scopes=VIEWER, tenant="other"), held_for_deletion=True) == set()
    entries = {row.quarantine_id for row in all_pages(viewer, 4) if not row.version}
    assert {viewer.GetQuarantineEntry(id=number).entry.locator for number in entries} == {
        "empty.md",
        *(f"lost-{n}.pdf" for n in range(UNSTORED)),
    }
    assert not any(row.quarantine_id for row in kept if row.version)
    assert names(viewer, source="elsewhere") == set()
    span: dict[str, Any] = {"changed_from": NEWEST - timedelta(days=1), "changed_before": NEWEST}
    assert names(viewer, **span) == {"03.md", "04.md", "05.md"}
    assert names(viewer, text="page 1", changed_from=NEWEST) == {"01.md"}
    counts = viewer.FindDocuments(page_size=1, count=True).counts
    assert (counts.documents, counts.more) == (STORED + UNSTORED + 1, False)
    assert {item.media_type: item.documents for item in counts.media_types} == {"text/plain": 17, "text/html": 6}
    narrowed = viewer.FindDocuments(page_size=1, count=True, media_type="text/html").counts
    assert narrowed.documents == 6
    assert len(narrowed.media_types) == 2  # those that can be chosen instead
    assert not viewer.FindDocuments(page_size=1).HasField("counts")


def test_a_page_token_belongs_to_its_tenant_filters_and_order(server: RunningServer) -> None:
    viewer = Ops(server, scopes=VIEWER)
    token = viewer.FindDocuments(page_size=3, text="page").next_page_token
    assert viewer.FindDocuments(page_size=5, text="page", page_token=token).documents  # another size is no other list
    for other in (
        {"text": "pag"}, {"text": "page", "order": pb.DOCUMENT_ORDER_LOCATOR}, {"text": "page", "source": "handbook"},
        {"text": "page", "state": pb.DOCUMENT_STATE_PENDING},
    ):  # fmt: skip
        assert viewer.refused("FindDocuments", page_token=token, **other) == "PAGE_TOKEN_INVALID"
    for spoiled in ("=" * 50, "A" * 100_000):
        assert viewer.refused("FindDocuments", text="page", page_token=spoiled) == "PAGE_TOKEN_INVALID"
    impossible: list[dict[str, Any]] = [
        {"state": 99}, {"order": 99}, {"changed_from": NEWEST, "changed_before": NEWEST}, {"page_size": 201},
        {"changed_from": Timestamp(seconds=2**60)},
    ]  # fmt: skip
    for fields in impossible:
        assert viewer.refused("FindDocuments", **fields) == "FIELD_INVALID", fields


def test_a_document_says_what_happened_and_to_operators_who_did_it(server: RunningServer) -> None:
    operator, viewer = Ops(server, scopes=OPERATOR), Ops(server, scopes=VIEWER)
    doc_id = str(document_id("acme", "handbook", "07.md"))
    cited = [pb.CitedSpan(doc_id=doc_id, version=3, start=0, end=4)]
    for question in ("When?", "Where?"):
        Ops(server).RateAnswer(question=question, answer="At nine. [1]", good=True, citations=cited)
    operator.ReindexDocument(doc_id=doc_id, reason="looks odd")
    found = operator.InspectDocument(doc_id=doc_id)
    kinds = [pb.DocumentEventKind.Name(event.kind)[20:] for event in found.history]
    assert kinds[:2] == ["ACTION", "CITED"]
    assert set(kinds) == {"ACTION", "CITED", "STORED", "CHANGED", "QUARANTINED"}
    times = [event.at.ToNanoseconds() for event in found.history]
    assert times == sorted(times, reverse=True)
    by_kind = dict(zip(kinds, found.history, strict=True))
    assert (by_kind["ACTION"].detail, by_kind["ACTION"].actor) == ("document.reindex", "acme/ann")
    assert (by_kind["CITED"].times, found.cited, by_kind["QUARANTINED"].detail) == (2, 2, "ZERO_CHUNKS")
    assert (by_kind["CHANGED"].version, by_kind["CHANGED"].run_id) == (3, "run-1")
    assert found.pushed
    assert found.HasField("first_stored_at")
    assert not [event for event in viewer.InspectDocument(doc_id=doc_id).history if event.actor]
    indexed = viewer.InspectDocument(doc_id=str(document_id("acme", "handbook", "08.md"))).history
    assert ("g1", 3) in {(event.detail, event.version) for event in indexed}


def test_indexing_a_document_again_makes_it_pending_and_is_on_record(server: RunningServer) -> None:
    operator = Ops(server, scopes=OPERATOR)
    doc_id = str(document_id("acme", "handbook", "08.md"))
    assert Ops(server, scopes=VIEWER).refused("ReindexDocument", doc_id=doc_id) == "SCOPE_MISSING"
    done = operator.ReindexDocument(doc_id=doc_id, reason="looks odd")
    assert (done.source, list(done.generations)) == ("handbook", ["g1"])
    assert names(operator, state=pb.DOCUMENT_STATE_PENDING) == {"00.md", "01.md", "08.md"}
    [record] = operator.ListAudit(action="document.").records
    assert (record.action, record.target, record.details["reason"]) == ("document.reindex", "handbook", "looks odd")
    gone = str(document_id("acme", "handbook", "05.md"))
    foreign = str(document_id("other", "handbook", "canary.md"))
    for other in (gone, foreign, str(uuid.uuid4())):
        assert operator.refused("ReindexDocument", doc_id=other) == "DOCUMENT_NOT_FOUND"
    assert Ops(server, scopes=ADMIN).refused("ReindexDocument", doc_id="../etc") == "FIELD_INVALID"
    assert len(operator.ListAudit(action="document.").records) == 1


def test_the_history_of_a_source_has_its_runs_in_order_and_what_they_changed(
    server: RunningServer, store: Store
) -> None:
    """A source of two shards: a run over one of them leaves the documents of the other as they were."""
    runs = [("r1", 0, 10, 4), ("r1", 1, 20, 1), ("r2", 0, 12, 2), ("old", 0, 9, 50)]
    now = datetime.now(UTC)
    with store.engine.begin() as db:
        db.execute(sources.update().where(sources.c.tenant == "acme").values(shards=2))
        for place, (run_id, shard, live, added) in enumerate(runs):
            at = now - timedelta(days=3) if run_id == "old" else now - timedelta(hours=3 - place)
            one = {"run_id": run_id, "tenant": "acme", "source": "handbook", "shard": shard, "finished_at": at}
            counts = {"added": added, "quarantined": int(run_id != "r1"), "unchanged": 0}
            problem = "LISTING_INCOMPLETE" if run_id == "r2" else None
            stage = {"stage": "documents", "counts": counts, "complete": run_id != "r2", "problem": problem}
            db.execute(run_stages.insert(), [one | stage, one | stage | {"stage": "chunks", "counts": {"added": 99}}])
            measured = {"score": 1.0, "profile": {"documents": live}, "findings": {}, "failed": 0, "tried": 0}
            db.execute(quality_runs.insert(), [one | measured | {"exceeded": False, "good": True}])
    viewer = Ops(server, scopes=VIEWER)
    [history] = viewer.ListSourceHistory().sources
    assert [(point.run_id, point.documents, point.complete) for point in history.points] == [
        ("old", 0, True), ("r1", 30, True), ("r2", 32, False),
    ]  # fmt: skip
    assert [point.HasField("documents") for point in history.points] == [False, True, True]
    assert (history.points[2].quarantined, history.points[2].problem) == (1, "LISTING_INCOMPLETE")
    assert (dict(history.changes), history.runs) == ({"added": 7, "quarantined": 1}, 2)
    assert [point.run_id for point in viewer.ListSourceHistory(limit=1).sources[0].points] == ["r2"]
    longer = viewer.ListSourceHistory(changed_from=now - timedelta(days=9)).sources[0]
    assert (longer.changes["added"], longer.runs) == (57, 3)
    assert longer.changes["quarantined"] == 1, "the same item in two runs"
    assert not Ops(server, tenant="other", scopes=VIEWER).ListSourceHistory().sources
    assert viewer.refused("ListSourceHistory", limit=0) == "FIELD_INVALID"
