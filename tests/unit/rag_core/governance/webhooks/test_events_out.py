"""Facts reach the receiver: each kind of event, what is in it, to whom it goes, and that no text of a document does.
The page for receivers: its code verifies what is sent, its events are all there are, its defaults are true."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from rag_assets.stream_worker.webhooks import announce_states
from rag_core.content.quality import quarantine_store
from rag_core.governance.webhooks import EventType, WebhookEvent, outbox_store
from rag_core.ids import document_id
from rag_core.ingestion.alerts import Alert, AlertKind, deliver
from rag_core.ingestion.erasure import erase
from rag_core.settings import Settings
from tests.support.pipeline import prose
from tests.unit.rag_core.governance.webhooks.conftest import Desk

CANARY = "The canary sings of pump seven and its oil."


def test_the_life_of_a_document_is_reported_without_its_text(desk: Desk) -> None:
    webhook = desk.subscribe("document.*")
    desk.push("a.txt", CANARY)
    desk.push("a.txt", CANARY + " Twice.")
    desk.push("a.txt", None)
    assert desk.deliver() == 3
    assert sorted(desk.types()) == ["document.deleted", "document.indexed", "document.indexed"]
    doc_id = str(document_id("acme", "push", "a.txt"))
    told = [message["data"] for message in desk.received]
    assert {(one["doc_id"], one["source"], one["locator"], one["tenant"]) for one in told} == {
        (doc_id, "push", "a.txt", "acme")
    }
    assert sorted(one["version"] for one in told) == [1, 2, 3]
    assert "canary" not in json.dumps(desk.received).lower()
    assert [one.state for one in desk.log()] == ["delivered"] * 3
    assert {one.webhook_id for one in desk.log()} == {webhook.id}


def test_a_version_that_is_marked_again_is_not_reported_again(desk: Desk) -> None:
    desk.subscribe("document.indexed")
    desk.push("a.txt", CANARY)
    desk.push("a.txt", CANARY)
    assert desk.deliver() == 1


def test_an_input_that_is_rejected_is_reported_once_with_its_reason(desk: Desk) -> None:
    desk.subscribe("document.rejected")
    entry = quarantine_store.QuarantineEntry("b.pdf", "parse", "PDF_ENCRYPTED", "locked by canary", "t1", "p1")
    skipped = quarantine_store.QuarantineEntry("c.pdf", "parse", "PDF_ENCRYPTED", "", "t1", "p1", skipped=True)
    for failed in (entry, entry, replace(entry, parser_fingerprint="p2")):
        with desk.store.engine.begin() as connection:
            quarantine_store.record(connection, "acme", "push", 0, "run", [failed, skipped])
    assert desk.deliver() == 1
    assert desk.received[0]["data"] == {
        "tenant": "acme",
        "doc_id": str(document_id("acme", "push", "b.pdf")),
        "source": "push",
        "locator": "b.pdf",
        "stage": "parse",
        "reason": "PDF_ENCRYPTED",
    }


def test_an_input_that_fails_again_after_a_redrive_is_reported_again(desk: Desk) -> None:
    desk.subscribe("document.rejected")
    away = quarantine_store.QuarantineEntry("b.pdf", "fetch", "SOURCE_UNAVAILABLE", "", None, "p1")
    for redriven in (False, False, True):
        with desk.store.engine.begin() as connection:
            if redriven:
                number = connection.scalar(text("SELECT id FROM rag.quarantine"))
                quarantine_store.redrive(connection, number, tenant="acme", actor="ops", note="")
            quarantine_store.record(connection, "acme", "push", 0, "run", [away])
    assert desk.deliver() == 2


def test_the_beginning_and_the_end_of_an_alert_are_reported_to_its_tenant(desk: Desk) -> None:
    desk.subscribe("alert.*")
    alert = Alert("held:acme/crm", AlertKind.DELETIONS_HELD, "critical", "80 wait", "crm", "acme", {"held": 80})
    other = Alert("held:other/crm", AlertKind.DELETIONS_HELD, "critical", "70 wait", "crm", "other")
    for conditions in ([alert, other], [alert, other], []):
        deliver(desk.store, [], conditions, now=datetime.now(UTC))
    assert desk.deliver() == 2
    assert sorted((message["type"], message["data"]["key"]) for message in desk.received) == [
        ("alert.firing", "held:acme/crm"),
        ("alert.resolved", "held:acme/crm"),
    ]


def test_the_state_of_a_source_is_reported_when_it_changes(desk: Desk) -> None:
    assert announce_states(desk.store) == 0  # nobody subscribes, so nothing is computed
    desk.push("a.txt", CANARY)
    desk.subscribe("source.state")
    assert announce_states(desk.store) == 1
    assert announce_states(desk.store) == 0
    desk.deliver()
    [message] = desk.received
    assert (message["data"]["source"], message["data"]["previous"]) == ("push", None)
    assert message["data"]["documents"] == 1
    first = message["data"]["state"]
    with desk.store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM rag.stream_workers")
    desk.harness.push("b.txt", CANARY)  # it waits for a worker now
    assert announce_states(desk.store) == 1
    desk.deliver()
    assert (desk.received[1]["data"]["previous"], desk.received[1]["data"]["state"]) == (first, "waiting")


def test_platform_events_go_to_every_tenant_and_others_only_to_their_own(desk: Desk) -> None:
    desk.subscribe("*")
    with desk.store.engine.begin() as connection:
        outbox_store.record(
            connection,
            [
                WebhookEvent(EventType.GENERATION_PROMOTED, "", {"generation": "g2"}),
                WebhookEvent(EventType.DOCUMENT_INDEXED, "other", {"doc_id": "x"}),
            ],
        )
    desk.deliver()
    assert [(one["type"], one["data"]["tenant"]) for one in desk.received] == [("generation.promoted", "acme")]


def test_a_fact_that_is_rolled_back_is_not_reported(desk: Desk) -> None:
    desk.subscribe("*")
    with desk.store.engine.connect() as connection:
        outbox_store.record(connection, [WebhookEvent(EventType.GENERATION_PROMOTED, "", {"generation": "g2"})])
        connection.rollback()
    assert desk.deliver() == 0


def test_without_a_subscriber_nothing_is_written(desk: Desk) -> None:
    desk.subscribe("alert.firing")
    desk.push("a.txt", prose(1))
    assert desk.harness.all("SELECT count(*) FROM rag.webhook_events")[0][0] == 0


def test_an_erasure_removes_the_locator_from_the_log_and_is_reported_by_the_id(desk: Desk) -> None:
    desk.subscribe("document.*")
    desk.push("people/jane-roe.txt", CANARY)
    doc_id: uuid.UUID = document_id("acme", "push", "people/jane-roe.txt")
    receipt = erase(desk.harness, "acme", doc_id, actor="acme/ann")  # type: ignore[arg-type]
    assert receipt.found["webhook_events"] >= 1
    assert receipt.found_afterwards["webhook_events"] == 0
    assert "jane" not in str(desk.log())
    desk.deliver()
    [message] = desk.received
    assert message["type"] == "document.deleted"
    assert message["data"] == {"tenant": "acme", "doc_id": str(doc_id), "source": "push", "erased": True}


PAGE = (Path(__file__).parents[5] / "docs" / "how-to" / "send-events.md").read_text("utf-8")


def test_the_code_of_the_page_verifies_a_message(desk: Desk) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    written: dict[str, Any] = {}
    exec(code, written)  # noqa: S102  the page's own text
    webhook = desk.subscribe()
    with desk.store.engine.begin() as connection:
        outbox_store.record_test(connection, webhook, actor="acme/ann")
    desk.deliver()
    [request] = desk.requests
    message = written["receive"](dict(request.headers), request.get_data(), desk.secrets[0])
    assert message["type"] == "webhook.test"


def test_every_event_and_every_default_of_the_page_is_real() -> None:
    assert set(re.findall(r"`((?:document|source|generation|alert)\.[a-z]+)`", PAGE)) == set(EventType)
    named = re.findall(r"`RAG_(WEBHOOK_[A-Z_]+)`[a-z ]*? \((\d+)\)", PAGE)
    assert len(named) == 6
    for name, value in named:
        assert Settings.model_fields[name.lower()].default == int(value), name
