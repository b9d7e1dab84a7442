"""Erasure: nothing is left in any place, the receipt proves it, and a restore does not bring it back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from sqlalchemy import text

from rag_core.answering.evaluation import Grade, Judgement, Result, Run, feedback_store, propose_from_rating, run_store
from rag_core.content.sources import operation_store
from rag_core.errors import InvalidInput, NotFound, Reason, Unavailable
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.audit import verify_chains
from rag_core.ingestion.erasure import erase, reapply
from rag_core.ingestion.erasure.erase import ErasureReceipt
from tests.support.pipeline import prose
from tests.support.stream import StreamHarness, event

SECRET = "Anna Smith lives at 5 Elm Street."


class Dependencies:
    """What erasure needs of a `Pipeline`."""

    def __init__(self, stream: StreamHarness) -> None:
        self.settings, self.store, self.index = stream.settings, stream.store, stream.index


class IndexAway:
    """An index process that does not answer."""

    def generations(self) -> list[Any]:
        raise Unavailable(Reason.INDEX_UNAVAILABLE, "away")


def erased(stream: StreamHarness, locator: str = "a") -> ErasureReceipt:
    return erase(Dependencies(stream), "acme", stream.flow.doc_id(locator), actor="test")  # type: ignore[arg-type]


def everywhere(stream: StreamHarness, needle: str) -> list[str]:
    """The tables whose rows mention the needle anywhere, payloads included."""
    tables = [row.table_name for row in stream.all(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'rag'")]  # fmt: skip
    hexed = needle.encode().hex()
    found = []
    for table in tables:
        rows = stream.all(f"SELECT t::text AS said FROM rag.{table} t")  # noqa: S608
        if any(needle in row.said or hexed in row.said for row in rows):
            found.append(table)
    return found


def fill(stream: StreamHarness) -> None:
    stream.push("a", SECRET)
    stream.push("b", prose(2))
    consumer_loop = stream.consumer_loop()
    while batch := consumer_loop.source.poll(0.1):
        consumer_loop.process(batch)
    stream.push("a", b"%PDF-1.7 " + SECRET.encode(), media_type=None)
    while batch := consumer_loop.source.poll(0.1):
        consumer_loop.process(batch)
    stream.push("a", SECRET + " Again.")


def test_an_erased_document_is_in_no_table_and_no_generation(stream: StreamHarness) -> None:
    fill(stream)
    assert {"documents", "chunks", "inbox", "dead_letters"} <= set(everywhere(stream, SECRET))
    receipt = erased(stream)
    assert everywhere(stream, SECRET) == []
    assert set(receipt.found_afterwards.values()) == {0}
    assert receipt.removed["points"] == 1
    assert receipt.removed["embeddings"] == 1
    assert set(stream.texts()) == {"b"}
    assert "Elm" not in json.dumps(asdict(receipt))


def test_what_users_and_evaluations_say_of_a_document_goes_with_it(stream: StreamHarness) -> None:
    fill(stream)
    doc_id = stream.flow.doc_id("a")
    cited = {"doc_id": str(doc_id), "version": 1, "start": 0, "end": 4}
    said = Judgement(f"Where? {SECRET}", SECRET, good=False, comment="", generation="g", citations=[cited])
    right = Judgement("Who?", SECRET, good=False, comment="", generation="g", citations=[], right_doc_id=doc_id)
    figures = {"satisfied": 1.0}
    made = Run("acme", "command", "ann", "own questions", "own", "g", "", 10, figures, {})
    results = [
        Result("Where?", (), Grade.RIGHT, None, None, answer=SECRET, doc_ids=(doc_id,)),
        Result(f"Where? {SECRET}", (), Grade.MISSED, None, None, answer="Elsewhere."),
    ]
    with stream.store.engine.begin() as connection:
        for judgement in (said, right):
            rating = feedback_store.add(connection, "acme", "ann", judgement).id
            propose_from_rating(connection, "acme", rating, judgement)
        run_store.add(connection, made, results, keep=5)
    assert {"ratings", "evaluation_questions", "evaluation_results"} <= set(everywhere(stream, SECRET))
    receipt = erased(stream)
    assert everywhere(stream, SECRET) == []
    assert receipt.removed["ratings"] == 2
    assert receipt.removed["evaluation_questions"] == 2
    assert receipt.removed["evaluation_results"] == 2


def test_previews_of_its_source_go_with_a_document(stream: StreamHarness) -> None:
    fill(stream)
    results = {
        "push": {"preview": {"items": [], "chunks": [SECRET]}},
        "other": {"preview": {"items": [], "chunks": []}},
    }
    with stream.store.engine.begin() as connection:
        for source, result in results.items():
            operation = operation_store.add(
                connection, tenant="platform", actor="ann", unrestricted=True, action=operation_store.Action.PREVIEW,
                source=source, request={},
            )  # fmt: skip
            operation_store.finish(connection, operation.id, result=result)
    assert "source_operations" in everywhere(stream, SECRET)
    receipt = erased(stream)
    assert everywhere(stream, SECRET) == []
    assert receipt.removed["source_operations"] == 1


def test_the_vectors_of_earlier_texts_go_with_a_document_at_once(stream: StreamHarness) -> None:
    consumer_loop = stream.consumer_loop()
    for content in (SECRET, "She moved to 7 Oak Street.", "She moved to 9 Ash Street."):
        stream.push("a", content)
        while batch := consumer_loop.source.poll(0.1):
            consumer_loop.process(batch)
    (before,) = stream.all("SELECT count(*) AS vectors FROM rag.embeddings")
    assert before.vectors == 3
    receipt = erased(stream)
    assert (receipt.found["embeddings"], receipt.removed["embeddings"]) == (3, 3)
    assert receipt.found["former_texts"] == 2
    (after,) = stream.all("SELECT count(*) AS vectors FROM rag.embeddings")
    assert after.vectors == 0


def test_an_erasure_leaves_the_record_as_it_was_and_adds_to_it(stream: StreamHarness) -> None:
    fill(stream)
    document = audit.AuditedDocument(stream.flow.doc_id("a"), "push", "a")
    with stream.store.engine.begin() as connection:
        audit.record(
            connection, actor="acme/ann", action="test.put", target="push", details={}, tenant="acme", document=document
        )
    before = stream.all("SELECT to_jsonb(a)::text AS row FROM rag.audit a ORDER BY id")
    receipt = erased(stream)
    assert receipt.removed["audit_names"] == 1
    after = stream.all("SELECT to_jsonb(a)::text AS row, action, doc_id FROM rag.audit a ORDER BY id")
    assert [row.row for row in after[:-1]] == [row.row for row in before]
    assert (after[-1].action, after[-1].doc_id) == ("document.erase", document.doc_id)
    assert verify_chains(stream.store).broken == ()


def test_an_erasure_that_was_cut_off_has_one_receipt_and_one_line_in_the_ledger(stream: StreamHarness) -> None:
    fill(stream)
    whole = Dependencies(stream)
    away = Dependencies(stream)
    away.index = IndexAway()  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(Unavailable):
            erase(away, "acme", stream.flow.doc_id("a"), actor="test")  # type: ignore[arg-type]
    receipt = erase(whole, "acme", stream.flow.doc_id("a"), actor="test")  # type: ignore[arg-type]
    assert receipt.removed["chunks"] == receipt.removed["points"] == 1
    assert set(receipt.found_afterwards.values()) == {0}
    assert len(stream.settings.erasure_ledger.read_text().splitlines()) == 1
    (stored,) = stream.all("SELECT receipt FROM rag.erasures")
    assert stored.receipt == asdict(receipt)


def test_other_documents_keep_the_vectors_they_share_with_it(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, "Shared text.", title="t"), event("b", 1, "Shared text.", title="t"))
    erased(stream)
    assert stream.texts() == {"b": "Shared text."}
    assert len(stream.all("SELECT 1 FROM rag.embeddings")) == 1


def test_what_was_erased_does_not_come_back_by_an_older_event(stream: StreamHarness) -> None:
    stream.apply(event("a", 5, SECRET))
    erased(stream)
    assert set(stream.apply(event("a", 5, SECRET)).settled.outcomes.values()) == {"stale"}
    assert stream.texts() == {}
    stream.apply(event("a", 6, "New and harmless."))
    assert stream.texts() == {"a": "New and harmless."}


def test_the_ledger_is_applied_again_after_a_restore_that_lost_it(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, SECRET), event("b", 1, "Fine."))
    erased(stream)
    with stream.store.engine.begin() as connection:  # the backup is older than the erasure
        connection.execute(text("DELETE FROM rag.erasures"))
    stream.apply(event("a", 1, SECRET))
    assert SECRET in stream.texts()["a"]
    receipts = reapply(Dependencies(stream), stream.settings.erasure_ledger, actor="restore")  # type: ignore[arg-type]
    assert [receipt.doc_id for receipt in receipts] == [str(stream.flow.doc_id("a"))]
    assert everywhere(stream, SECRET) == []
    assert stream.texts() == {"b": "Fine."}
    assert reapply(Dependencies(stream), stream.settings.erasure_ledger, actor="restore") == []  # type: ignore[arg-type]


def test_a_newer_version_than_the_erased_one_is_kept_by_a_reapplied_ledger(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, SECRET))
    erased(stream)
    stream.apply(event("a", 2, "New and harmless."))
    assert reapply(Dependencies(stream), stream.settings.erasure_ledger, actor="restore") == []  # type: ignore[arg-type]
    assert stream.texts() == {"a": "New and harmless."}


@pytest.mark.catalogue("S03")
def test_an_unknown_and_a_foreign_document_cannot_be_erased(stream: StreamHarness) -> None:
    stream.apply(event("a", 1, SECRET))
    for tenant, locator in (("other", "a"), ("acme", "none")):
        with pytest.raises(NotFound) as refused:
            erase(Dependencies(stream), tenant, stream.flow.doc_id(locator), actor="test")  # type: ignore[arg-type]
        assert refused.value.reason is Reason.DOCUMENT_NOT_FOUND


def test_a_damaged_ledger_stops_before_it_is_half_applied(stream: StreamHarness) -> None:
    ledger: Any = stream.settings.erasure_ledger
    ledger.parent.mkdir(parents=True, exist_ok=True)
    ledger.write_text('{"doc_id": "x"}\n')
    with pytest.raises(InvalidInput, match="line 1"):
        reapply(Dependencies(stream), ledger, actor="restore")  # type: ignore[arg-type]
