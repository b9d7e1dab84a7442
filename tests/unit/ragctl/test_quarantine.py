from __future__ import annotations

import json

import pytest

from rag_core.content.quality import QuarantineEntry
from rag_core.content.quality import quarantine_store as quarantine
from rag_core.database import Store
from rag_core.exit_codes import Exit
from rag_core.governance.audit import audit_store as audit
from rag_core.settings import Settings
from ragctl.app import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def filled(store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Store:
    assert settings.database_url is not None
    monkeypatch.setenv("RAG_DATABASE_URL", settings.database_url.get_secret_value())
    entries = [
        QuarantineEntry(f"{n}.pdf", "parse", "ENCRYPTED" if n else "PARSER_TIMEOUT", "no", "t", "p") for n in range(3)
    ]
    with store.engine.begin() as connection:
        quarantine.record(connection, "default", "crm", 0, "run", entries)
        quarantine.record(connection, "other", "crm", 0, "run", entries)
    return store


def _ids(capsys: Capture, *arguments: str) -> dict[str, int]:
    capsys.readouterr()
    assert run(["quarantine", "list", "--json", *arguments]) == 0
    return {row["locator"]: row["id"] for row in json.loads(capsys.readouterr().out)}


def _audit(store: Store) -> list[tuple[str, str, str | None]]:
    with store.engine.connect() as connection:
        found = reversed(audit.find(connection, audit.AuditQuery()))
        return [(entry.action, str(entry.locator), entry.details.get("note")) for entry in found]


def test_one_entry_is_shown_redriven_and_discarded_with_a_note(filled: Store, capsys: Capture) -> None:
    entry = str(_ids(capsys)["0.pdf"])
    assert run(["quarantine", "show", entry, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "PARSER_TIMEOUT"
    assert run(["quarantine", "redrive", entry, "--note", "more time", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"redriven": ["0.pdf"]}
    assert run(["quarantine", "discard", entry]) == 0
    assert set(_ids(capsys)) >= {"1.pdf", "2.pdf"}
    assert _audit(filled) == [("quarantine.redrive", "0.pdf", "more time"), ("quarantine.discard", "0.pdf", None)]


def test_all_that_match_are_taken_at_once_and_no_other_tenants(filled: Store, capsys: Capture) -> None:
    assert run(["quarantine", "discard", "--source", "crm", "--reason", "ENCRYPTED"]) == 0
    capsys.readouterr()
    assert set(_ids(capsys)) == {"0.pdf"}
    assert set(_ids(capsys, "--tenant", "other")) == {"0.pdf", "1.pdf", "2.pdf"}
    assert set(_ids(capsys, "--skipped")) == {"0.pdf", "1.pdf", "2.pdf"}


def test_one_wrong_number_among_several_changes_nothing(filled: Store, capsys: Capture) -> None:
    entry = str(_ids(capsys)["0.pdf"])
    assert run(["quarantine", "discard", entry, "99999"]) == Exit.NOT_FOUND
    assert "QUARANTINE_NOT_FOUND" in capsys.readouterr().err
    assert _audit(filled) == []
    assert "0.pdf" in _ids(capsys)


@pytest.mark.parametrize("arguments", [[], ["1", "--source", "crm"]])
def test_what_is_meant_must_be_said(filled: Store, capsys: Capture, arguments: list[str]) -> None:
    assert run(["quarantine", "redrive", *arguments]) == Exit.WRONG_INPUT
    assert "USAGE" in capsys.readouterr().err
