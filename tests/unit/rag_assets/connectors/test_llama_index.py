"""Readers of LlamaIndex: one document from several texts, what the process sees, and every way in which it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rag_assets.connectors.llama_index.connector import LlamaIndexConnector
from rag_assets.connectors.llama_index.options import LlamaIndexOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Problem, SourceItem
from rag_core.errors import InvalidInput
from tests.support.llama_readers import Notes

REAL = os.environ.get("RAG_TEST_LLAMA_INDEX", "")
"""A Python that has `llama-index-core` and `llama-index-readers-json`."""


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    found = Notes(tmp_path)
    found.put("b.txt", "The pump needs oil.\fIt is in hall 2.")
    found.put("a.txt", "The belt is 2 m long.")
    return found


def connected(notes: Notes, max_file_bytes: int = 1000, **changes: Any) -> LlamaIndexConnector:
    options = LlamaIndexOptions.model_validate({**notes.options, **changes})
    return LlamaIndexConnector(options, ConnectorContext(max_file_bytes=max_file_bytes))


def read(connector: LlamaIndexConnector) -> dict[str, bytes]:
    items = [item for item in connector.list_items() if isinstance(item, SourceItem)]
    return {item.locator: connector.fetch(item).content for item in items}


def manner(notes: Notes, name: str) -> dict[str, Any]:
    return {"arguments": {**notes.options["arguments"], "manner": name}}


def test_texts_of_one_name_are_one_document_with_title_and_metadata(notes: Notes) -> None:
    connector = connected(notes, metadata={"number": "page"}, media_type="text/markdown")
    assert read(connector) == {"a.txt": b"The belt is 2 m long.", "b.txt": b"The pump needs oil.\n\nIt is in hall 2."}
    found = connector.fetch(next(item for item in connector.list_items() if isinstance(item, SourceItem)))
    assert (found.title, found.metadata, found.media_type, found.acl) == ("A", {"number": "0"}, "text/markdown", None)
    connector.close()


def test_texts_of_one_name_are_one_document_wherever_they_come(notes: Notes) -> None:
    notes.put("z.txt", "\f".join(f"page {number}" for number in range(50)))
    connector = connected(notes, **manner(notes, "by page"))
    found = read(connector)
    assert found["b.txt"] == b"The pump needs oil.\n\nIt is in hall 2."  # the first page of another came between
    assert found["z.txt"].split(b"\n\n") == [f"page {number}".encode() for number in range(50)]
    connector.close()


def test_an_unchanged_source_is_read_once_in_the_time_between(notes: Notes) -> None:
    tag = (connector := connected(notes)).version_tag()
    notes.put("c.txt", "New.")
    assert connector.version_tag() == tag
    assert len(read(connector)) == 3
    assert connector.version_tag() != tag  # as the last listing of this process found it
    connector.close()


@pytest.mark.parametrize(("how", "said"), [
    ("refuse", "ConnectionError: 401 for …"), ("die", "ended, or was ended"), ("hang", "ended, or was ended"),
])  # fmt: skip
def test_a_reader_that_fails_lists_nothing_and_says_why_without_secrets(
    notes: Notes, monkeypatch: pytest.MonkeyPatch, how: str, said: str
) -> None:
    monkeypatch.setenv("RAG_SECRET_NOTES", "hush-hush")
    connector = connected(
        notes, secrets={"token": {"env": "RAG_SECRET_NOTES"}}, timeout_seconds=3.0, **manner(notes, how)
    )
    listing = connector.list_items()
    assert list(listing) == []
    assert not listing.complete
    assert said in str(listing.error)
    assert "hush" not in str(listing.error)
    assert not connector.check()["ok"]
    connector.close()


def test_the_reader_sees_none_of_the_platforms_environment(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_DATABASE_URL", "postgresql://everything")
    connector = connected(notes, max_file_bytes=100_000, **manner(notes, "environment"))
    seen = json.loads(read(connector)["environment"])
    assert seen["PATH"] == os.environ["PATH"]
    assert not [name for name in seen if name.startswith(("RAG_", "PG"))]
    connector.close()


def test_what_cannot_be_named_or_is_too_large_is_a_problem_of_its_own(notes: Notes) -> None:
    notes.put("large.txt", "x" * 1001)
    connector = connected(notes, **manner(notes, "nameless"))
    listing = connector.list_items()
    entries = list(listing)
    assert listing.complete
    assert [(one.reason, one.message) for one in entries if isinstance(one, Problem)] == [
        ("ID_CHARS", "its metadata has no path")
    ]
    large = next(one for one in entries if isinstance(one, SourceItem) and one.locator == "large.txt")
    with pytest.raises(InvalidInput, match="more than 1000 bytes"):
        connector.fetch(large)
    notes.put("large.txt", "x" * 8000)  # more than a line may have
    listing = connector.list_items()
    assert (list(listing), listing.complete) == ([], False)
    connector.close()


@pytest.mark.parametrize(("changes", "said"), [
    ({"python": "/nowhere/python"}, "cannot be started"),
    ({"reader": "llama_index.readers.absent:Reader"}, "ModuleNotFoundError"),
    ({"load": {"first": "x"}}, "TypeError"),
    ({"max_documents": 1}, "max_documents"),
])  # fmt: skip
def test_wrong_options_are_named(notes: Notes, changes: dict[str, Any], said: str) -> None:
    connector = connected(notes, **changes)
    found = connector.check()
    assert not found["ok"]
    assert said in found["error"]
    connector.close()


@pytest.mark.parametrize("changes", [
    {"reader": "os:system"}, {"reader": "llama_index.readers"}, {"python": "python3"}, {"arguments": {"token": "hush"}},
])  # fmt: skip
def test_other_programs_and_secrets_in_the_file_are_refused(notes: Notes, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"reader|python|arguments"):
        LlamaIndexOptions.model_validate({**notes.options, **changes})
    assert LlamaIndexOptions.model_validate(notes.options).opened() is None  # only a platform administrator may add it


@pytest.mark.skipif(not REAL, reason="RAG_TEST_LLAMA_INDEX names no Python with llama-index-readers-json")
@pytest.mark.parametrize("reader", ["json", "folder"])
def test_readers_of_llama_index_themselves(tmp_path: Path, reader: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "pump.md").write_text("Pump 7 needs oil every three weeks.\n")
    (tmp_path / "notes.json").write_text('{"pump": "Pump 7 needs oil every three weeks."}')
    options: dict[str, Any] = {"kind": "llama_index", "python": REAL} | (
        {"reader": "llama_index.core:SimpleDirectoryReader", "name": "file_name",
         "arguments": {"input_dir": str(tmp_path / "notes")}}
        if reader == "folder" else
        {"reader": "llama_index.readers.json:JSONReader", "name": "source",
         "load": {"input_file": str(tmp_path / "notes.json"), "extra_info": {"source": "notes"}}}
    )  # fmt: skip
    connector = LlamaIndexConnector(LlamaIndexOptions.model_validate(options), ConnectorContext())
    assert b"oil every three weeks" in b"".join(read(connector).values())
    connector.close()
