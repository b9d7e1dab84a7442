"""OperationsService: what operators look into and do, on a real database, one tenant at a time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from rag_core.content.quality import Assessment
from rag_core.content.quality import store as quality
from rag_core.content.quality.sources import Profile
from rag_core.database import Store, open_store
from rag_core.database.tables.content import (
    chunkings,
    chunks,
    documents,
    embeddings,
    generation_documents,
    generations,
    quarantine,
    run_stages,
    sources,
)
from rag_core.database.tables.operations import alerts, audit, quality_runs
from rag_core.ids import document_id
from rag_core.reasons import remedy_of
from rag_core.settings import Settings
from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc
from ragproto.admin.v1 import operations_pb2 as pb
from ragproto.admin.v1 import operations_pb2_grpc as rpc
from tests.support.postgres import outage
from tests.support.query_server import RunningServer, failing, failure_of, running

TEXT = "The vault opens at nine.\n\nNobody may enter alone."
VIEWER, OPERATOR, ADMIN = ["query.read", "ops.read"], ["query.read", "ops.read", "ops.write"], ["query.read", "admin"]


def document(tenant: str, locator: str, **changes: Any) -> dict[str, Any]:
    values = {
        "doc_id": document_id(tenant, "handbook", locator),
        "tenant": tenant,
        "source": "handbook",
        "locator": locator,
        "version": 3,
        "text_version": 3,
        "source_version": 3,
        "token": "t",
        "parsed_as": "p",
        "content_hash": b"",
        "text_hash": b"",
        "bytes": 46,
        "media_type": "text/plain",
        "title": f"Title of {locator}",
        "text": TEXT,
        "acl": ["everyone"],
        "run_id": "run-1",
    }
    return values | changes


def entry(tenant: str, locator: str, **changes: Any) -> dict[str, Any]:
    values = {
        "tenant": tenant,
        "source": "handbook",
        "locator": locator,
        "stage": "chunk",
        "reason": "ZERO_CHUNKS",
        "message": "nothing to index",
        "token": "t",
        "parsed_as": "p",
        "attempts": 3,
        "skipped": False,
        "run_id": "run-1",
    }
    return values | changes


def fill(store: Store) -> None:
    with store.engine.begin() as db:
        for tenant, held in (("acme", 7), ("other", 1)):
            db.execute(sources.insert(), [{"tenant": tenant, "name": "handbook", "kind": "folder", "shards": 1,
                                           "cursor": {"offset": 12}, "held_deletions": held}])  # fmt: skip
        db.execute(generations.insert(), [
            {"name": "g1", "state": "active", "embedder": "e", "dimensions": 4, "chunker": "c"},
            {"name": "g0", "state": "retired", "embedder": "e", "dimensions": 4, "chunker": "c"},
        ])  # fmt: skip
        rows = [
            document("acme", "vault.md"),
            document("acme", "due.md", version=4),
            document("acme", "mute.md", acl=None),
            document("acme", "hr.md", acl=["group:hr"]),
            document("acme", "bad.md"),
            document("other", "canary.md"),
        ]
        db.execute(documents.insert(), rows)
        db.execute(documents.update().where(documents.c.locator == "due.md").values(title="100% due"))
        for row in rows:
            db.execute(generation_documents.insert(), [
                {"generation": "g1", "doc_id": row["doc_id"], "indexed_version": 3}
            ])  # fmt: skip
        vault = rows[0]["doc_id"]
        db.execute(chunkings.insert(), [{"doc_id": vault, "chunker": "c", "text_version": 3, "chunk_count": 2}])
        for ordinal, (start, end) in enumerate(((0, 24), (26, 49))):
            db.execute(chunks.insert(), [{
                "doc_id": vault, "chunker": "c", "ordinal": ordinal, "chunk_id": uuid.uuid4(), "start": start,
                "end": end,
                "embed_text": TEXT[start:end], "text_hash": bytes([ordinal]), "tokens": 6, "headings": ["Vault"],
            }])  # fmt: skip
        db.execute(embeddings.insert(), [{"text_hash": bytes([0]), "embedder": "e", "vector": b"\0" * 16}])
        db.execute(quarantine.insert(), [
            entry("acme", "bad.md"), entry("acme", "locked.pdf", stage="parse", reason="ENCRYPTED"),
            entry("acme", "empty.txt", skipped=True, reason="EMPTY_DOCUMENT"), entry("other", "secret.pdf"),
        ])  # fmt: skip
        counts = {
            "read": 9,
            "added": 3,
            "updated": 2,
            "unchanged": 2,
            "deleted": 1,
            "quarantined": 1,
            "skipped": 0,
            "held": 7,
        }
        for number, stage in enumerate(("documents", "index")):
            db.execute(run_stages.insert(), [{
                "run_id": "run-1", "tenant": "acme", "source": "handbook", "shard": 0, "stage": stage,
                "counts": counts if number == 0 else {"upserted": 2}, "seconds": {"total": 1.5},
                "complete": number == 1,
                "problem": None if number else "MASS_DELETE_HELD",
            }])  # fmt: skip


class Ops:
    """The service as one caller sees it."""

    def __init__(self, server: RunningServer, **claims: Any) -> None:
        self._stub = rpc.OperationsServiceStub(server.channel)
        self._metadata = server.auth(**claims)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        request = getattr(pb, f"{name}Request")
        method = getattr(self._stub, name)
        return lambda **fields: method(request(**fields), metadata=self._metadata, timeout=20)

    def refused(self, name: str, **fields: Any) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            getattr(self, name)(**fields)
        return failure_of(caught.value).reason


@pytest.fixture
def server(tmp_path: Path, store: Store, database_url: str) -> Iterator[RunningServer]:
    settings = Settings(home=tmp_path, database_url=database_url)
    with running(tmp_path / "home", open_store=lambda: open_store(settings)) as started:
        yield started


def test_each_role_may_do_what_it_is_for(server: RunningServer) -> None:
    viewer, operator = Ops(server, scopes=VIEWER), Ops(server, scopes=OPERATOR)
    message = viewer.WhoAmI()
    assert (message.subject, message.tenant, list(message.scopes)) == ("ann", "acme", sorted(VIEWER))
    assert operator.RecordAction(action="dagster.launch", target="handbook_sync", source="handbook").id > 0
    assert Ops(server, scopes=["admin"]).ListAudit().records[0].action == "dagster.launch"


def test_sources_and_runs_tell_what_happened(server: RunningServer) -> None:
    viewer = Ops(server, scopes=VIEWER)
    [source] = viewer.ListSources().sources
    assert (source.held_deletions, source.cursor["offset"], source.last_run.problem) == (7, 12, "MASS_DELETE_HELD")
    assert source.last_run.counts["read"] == 9
    assert {stage.stage for stage in viewer.ListRuns(source="handbook").stages} == {"documents", "index"}
    assert not viewer.ListRuns(source="elsewhere").stages


def test_held_deletions_are_released_for_the_number_that_was_seen(server: RunningServer) -> None:
    operator = Ops(server, scopes=OPERATOR)
    assert operator.refused("ReleaseDeletions", source="handbook", expected=6) == "MASS_DELETE_HELD"
    assert operator.ReleaseDeletions(source="handbook", expected=7, reason="moved on purpose").released == 7
    [record] = operator.ListAudit(action="source.").records
    assert (record.actor, record.target, record.details["reason"]) == ("acme/ann", "handbook", "moved on purpose")
    assert operator.refused("ReleaseDeletions", source="nowhere") == "SOURCE_NOT_FOUND"


def test_the_quarantine_is_listed_by_page_with_counts_of_all_pages(server: RunningServer) -> None:
    viewer = Ops(server, scopes=VIEWER)
    first = viewer.ListQuarantine(page_size=1)
    second = viewer.ListQuarantine(page_size=1, page_token=first.next_page_token)
    assert [item.locator for item in (*first.entries, *second.entries)] == ["locked.pdf", "bad.md"]
    assert {(item.reason, item.entries) for item in first.counts} == {("ENCRYPTED", 1), ("ZERO_CHUNKS", 1)}
    assert not second.next_page_token
    assert first.entries[0].remedy == remedy_of("ENCRYPTED") != ""
    assert len(viewer.ListQuarantine(include_skipped=True).entries) == 3
    assert [item.locator for item in viewer.ListQuarantine(reason="ENCRYPTED").entries] == ["locked.pdf"]


@pytest.mark.catalogue("S46")
def test_a_payload_is_shown_to_the_admin_of_its_own_tenant_only(server: RunningServer) -> None:
    [bad] = [item for item in Ops(server, scopes=VIEWER).ListQuarantine().entries if item.locator == "bad.md"]
    withheld = Ops(server, scopes=OPERATOR).GetQuarantineEntry(id=bad.id)
    assert (withheld.payload, withheld.payload_withheld) == ("", True)
    assert Ops(server, scopes=ADMIN).GetQuarantineEntry(id=bad.id).payload == TEXT
    assert Ops(server, tenant="other", scopes=ADMIN).refused("GetQuarantineEntry", id=bad.id) == "QUARANTINE_NOT_FOUND"


def test_redrive_and_discard_are_all_or_nothing_and_on_record(server: RunningServer) -> None:
    operator = Ops(server, scopes=OPERATOR)
    ids = {item.locator: item.id for item in operator.ListQuarantine().entries}
    foreign = Ops(server, tenant="other", scopes=OPERATOR).ListQuarantine().entries[0].id
    both = [ids["bad.md"], foreign]
    assert operator.refused("RedriveQuarantine", ids=both) == "QUARANTINE_NOT_FOUND"
    assert not operator.ListAudit().records
    assert operator.RedriveQuarantine(ids=[ids["bad.md"]], reason="parser fixed").locators == ["bad.md"]
    assert operator.DiscardQuarantine(ids=[ids["locked.pdf"]]).locators == ["locked.pdf"]
    assert [item.attempts for item in operator.ListQuarantine().entries] == [0]
    records = operator.ListAudit(action="quarantine.").records
    assert [(item.action, item.details["locator"]) for item in records] == [
        ("quarantine.discard", "locked.pdf"), ("quarantine.redrive", "bad.md"),
    ]  # fmt: skip
    assert not Ops(server, tenant="other", scopes=ADMIN).ListAudit().records


def test_the_audit_log_is_read_from_the_newest_and_by_actor_target_and_beginning(server: RunningServer) -> None:
    operator = Ops(server, scopes=OPERATOR)
    made = [
        operator.RecordAction(action="dagster.launch", target=target, source="handbook").id
        for target in ("a", "b", "a")
    ]
    assert [record.id for record in operator.ListAudit().records] == made[::-1]
    assert [record.id for record in operator.ListAudit(target="a", action="dagster.", actor="ann").records] == [
        made[2],
        made[0],
    ]
    for other in ({"actor": "an"}, {"target": "c"}, {"action": "dagster_"}, {"action": "launch"}):
        assert not operator.ListAudit(**other).records, other


def test_documents_are_found_by_name_title_or_id_with_their_state(server: RunningServer) -> None:
    viewer = Ops(server, scopes=VIEWER)
    states = {item.locator: pb.DocumentState.Name(item.state)[15:] for item in viewer.FindDocuments().documents}
    assert states == {
        "vault.md": "SEARCHABLE", "due.md": "PENDING", "mute.md": "WITHOUT_ACL", "hr.md": "SEARCHABLE",
        "bad.md": "QUARANTINED", "locked.pdf": "QUARANTINED", "empty.txt": "SKIPPED",
    }  # fmt: skip
    assert [item.locator for item in viewer.FindDocuments(text="100% d").documents] == ["due.md"]
    vault = str(document_id("acme", "handbook", "vault.md"))
    assert [item.locator for item in viewer.FindDocuments(text=vault).documents] == ["vault.md"]
    assert not viewer.FindDocuments(text="canary").documents


def test_a_document_is_inspected_down_to_its_spans_and_its_text_follows_the_acl(server: RunningServer) -> None:
    viewer = Ops(server, scopes=VIEWER)
    found = viewer.InspectDocument(doc_id=str(document_id("acme", "handbook", "vault.md")))
    assert [found.text[item.start : item.end] for item in found.chunks] == TEXT.split("\n\n")
    assert [item.embedded for item in found.chunks] == [True, False]
    assert {(item.generation, item.indexed_version) for item in found.generations} == {("g1", 3), ("g0", 0)}
    assert "handbook/mute.md" in found.copies
    hidden = str(document_id("acme", "handbook", "hr.md"))
    withheld = viewer.InspectDocument(doc_id=hidden)
    assert (withheld.text, withheld.text_withheld) == ("", True)
    assert Ops(server, scopes=VIEWER, groups=["hr"]).InspectDocument(doc_id=hidden).text == TEXT
    assert Ops(server, scopes=ADMIN).InspectDocument(doc_id=hidden).text == TEXT
    assert viewer.InspectDocument(doc_id=str(document_id("acme", "handbook", "mute.md"))).text_withheld
    canary = str(document_id("other", "handbook", "canary.md"))
    assert viewer.refused("InspectDocument", doc_id=canary) == "DOCUMENT_NOT_FOUND"


def test_a_judgement_comes_back_as_it_was_given(server: RunningServer) -> None:
    vault = str(document_id("acme", "handbook", "vault.md"))
    span = pb.CitedSpan(doc_id=vault, version=2, start=3, end=9)
    given = {"question": "什么时候?", "answer": "九点。[1]", "good": True, "comment": "", "citations": [span]}
    assert Ops(server).RateAnswer(**given).id > 0
    [rating] = Ops(server, scopes=VIEWER).ListRatings().ratings
    kept = given | {"answer": ""}  # a hash of it, unless RAG_FEEDBACK_ANSWERS says otherwise
    assert (rating.actor, rating.judgement) == ("ann", pb.RateAnswerRequest(**kept))
    assert not Ops(server, tenant="other", scopes=VIEWER).ListRatings().ratings


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("ListQuarantine", {"page_size": 0}),
        ("ListQuarantine", {"page_size": 501}),
        ("RedriveQuarantine", {"ids": []}),
        ("RedriveQuarantine", {"ids": [1, 1]}),
        ("FindDocuments", {"text": "x" * 2000}),
        ("InspectDocument", {"doc_id": "../etc"}),
        ("RecordAction", {"action": "rm", "target": "x"}),
        ("RecordAction", {"action": "dagster.launch", "target": " "}),
        ("RateAnswer", {"question": " "}),
        ("RateAnswer", {"question": "q", "citations": [pb.CitedSpan(doc_id="x")]}),
    ],
)
def test_bad_requests_are_typed(server: RunningServer, method: str, fields: dict[str, Any]) -> None:
    assert Ops(server, scopes=ADMIN).refused(method, **fields) == "FIELD_INVALID"


def test_what_belongs_to_the_record_itself_cannot_be_set(server: RunningServer) -> None:
    fields = {"action": "dagster.launch", "target": "x", "details": {"tenant": "other"}}
    assert Ops(server, scopes=ADMIN).refused("RecordAction", **fields) == "RESERVED_FIELD"
    assert Ops(server, scopes=ADMIN).refused("ListQuarantine", source="a\0b") == "TEXT_INVALID"


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("BuildGeneration", {"reason": "a\0b"}),
        ("EvaluateGeneration", {"generation": "a\0b"}),
        ("PromoteGeneration", {"generation": "a\0b"}),
        ("PromoteGeneration", {"generation": "g", "override_reason": "a\0b"}),
        ("PromoteGeneration", {"generation": "g", "reason": "a\0b"}),
        ("RollbackGeneration", {"reason": "a\0b"}),
        ("RetireGeneration", {"generation": "g", "reason": "a\0b"}),
    ],
)
def test_what_the_database_cannot_hold_is_refused_for_generations(
    server: RunningServer, method: str, fields: dict[str, Any]
) -> None:
    call = getattr(admin_pb2_grpc.AdminServiceStub(server.channel), method)
    request = getattr(admin_pb2, f"{method}Request")(**fields)
    refused = failing(lambda: call(request, metadata=server.auth(scopes=["platform.admin"]), timeout=20))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TEXT_INVALID")


def test_without_a_database_every_call_says_so(tmp_path: Path) -> None:
    with running(tmp_path) as started, outage(started.database_url):
        assert Ops(started, scopes=ADMIN).refused("ListAudit") == "DATABASE_UNAVAILABLE"
        assert Ops(started, scopes=ADMIN).WhoAmI().subject == "ann"


def test_an_action_is_on_record_once_and_looking_at_the_log_is_not(server: RunningServer, store: Store) -> None:
    operator = Ops(server, scopes=OPERATOR)
    entries = {item.locator: item.id for item in operator.ListQuarantine().entries}
    operator.RedriveQuarantine(ids=[entries["bad.md"]])
    operator.RecordAction(action="dagster.launch", target="handbook_sync", source="handbook")
    operator.refused("RedriveQuarantine", ids=[10_000])
    operator.ListAudit()
    server.run(server.server._audit.flush())
    assert [(item.action.rpartition("/")[2], item.outcome) for item in operator.ListAudit().records] == [
        ("RedriveQuarantine", "QUARANTINE_NOT_FOUND"),
        ("dagster.launch", "ok"),
        ("quarantine.redrive", "ok"),
    ]


def test_what_people_of_the_tenant_did_to_the_platform_is_theirs_to_read(server: RunningServer, store: Store) -> None:
    with store.engine.begin() as db:
        for actor in ("acme/ann", "acme2/eve", "rag:root"):
            db.execute(audit.insert(), [{"actor": actor, "action": "index.promote", "target": "g1", "details": {}}])
    assert [item.actor for item in Ops(server, scopes=OPERATOR).ListAudit().records] == ["acme/ann"]
    assert [item.target for item in Ops(server, scopes=OPERATOR).ListAudit(actor="ann").records] == ["g1"]


def test_open_alerts_come_first_and_other_tenants_are_not_told(server: RunningServer, store: Store) -> None:
    began = datetime(2026, 1, 2, tzinfo=UTC)
    with store.engine.begin() as db:
        for number, (tenant, ended) in enumerate((("acme", None), ("acme", began), ("", None), ("other", None))):
            db.execute(alerts.insert(), [{
                "key": str(number), "kind": "source_stale", "severity": "warning", "tenant": tenant,
                "source": "handbook", "summary": f"alert {number}", "started_at": began - timedelta(hours=number),
                "ended_at": ended,
            }])  # fmt: skip
    viewer = Ops(server, scopes=VIEWER)
    assert [item.summary for item in viewer.ListAlerts().alerts] == ["alert 0", "alert 2"]
    every = viewer.ListAlerts(include_ended=True).alerts
    assert [item.summary for item in every] == ["alert 0", "alert 2", "alert 1"]
    assert every[0].started_at.seconds == began.timestamp()


def test_the_quality_of_a_source_is_reported_over_time_with_samples_of_what_failed(
    server: RunningServer, store: Store
) -> None:
    key = ("acme", "handbook", 0)
    with store.engine.begin() as db:
        for run, score in (("run-1", 80.0), ("run-2", 90.0)):
            profile = Profile(documents=5, duplicates=4, median_bytes=46, languages={"en": 5})
            judged = Assessment(score, {"duplicate_ratio": 0.8}, {}, failed=1, tried=6, exceeded=False)
            quality.record(db, key, run, profile, judged)
            moment = datetime(2026, 1, 1, int(run[-1]), tzinfo=UTC)
            changed = quality_runs.update().where(quality_runs.c.run_id == run)
            db.execute(changed.values(finished_at=moment))
        mine = documents.update().where(documents.c.tenant == "acme")
        db.execute(mine.where(documents.c.locator == "due.md").values(flags=["quality:mojibake", "other"]))
        db.execute(quarantine.insert(), [entry("acme", "noise.bin", reason="QUALITY_GARBAGE")])
    found = Ops(server, scopes=VIEWER).ListQuality(source="handbook")
    assert [(item.run_id, item.score) for item in found.results] == [("run-2", 90), ("run-1", 80)]
    assert (found.results[0].languages["en"], found.results[0].warnings["duplicate_ratio"]) == (5, 0.8)
    assert [(item.rule, item.found, list(item.samples)) for item in found.findings] == [
        ("duplicate_ratio", 4, ["due.md", "hr.md", "mute.md", "vault.md"]),
        ("garbage_text", 1, ["noise.bin"]),
        ("mojibake", 1, ["due.md"]),
    ]


def test_records_that_name_no_tenant_are_shown_to_who_runs_the_platform_only(
    server: RunningServer, store: Store
) -> None:
    with store.engine.begin() as db:
        db.execute(audit.insert(), [{"actor": "x", "action": "a", "target": "t", "details": {}}])
    assert not Ops(server, scopes=ADMIN).ListAudit().records
    assert [item.actor for item in Ops(server, scopes=["ops.write", "platform.read"]).ListAudit().records] == ["x"]
