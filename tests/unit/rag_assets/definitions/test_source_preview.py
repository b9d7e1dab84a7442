"""A preview reads a source as a run would, and stores nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from rag_assets.source_admin import (
    check_source,
    count_readers,
    parse_definition,
    preview_source,
    render_definition,
)
from rag_assets.source_config import SourceConfig
from rag_core.database import open_store
from rag_core.errors import InvalidInput, Reason
from rag_core.governance.directories import DirectoryEntry, sync
from rag_core.settings import Settings
from tests.support.postgres import temporary_database


def config(root: Path) -> SourceConfig:
    options = {"kind": "folder", "root": str(root)}
    return parse_definition(
        render_definition({"name": "docs", "tenant": "acme", "acl": ["group:staff"], "options": options})
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_a_folder_that_does_not_exist_is_refused_at_once(tmp_path: Path, settings: Settings) -> None:
    found = check_source(config(tmp_path / "absent"), settings)
    assert (found["ok"], found["reason"]) == (False, "SOURCE_UNAVAILABLE")
    assert str(tmp_path / "absent") in found["message"]
    with pytest.raises(InvalidInput) as refused:
        preview_source(config(tmp_path / "absent"), settings, seconds=30)
    assert refused.value.reason is Reason.SOURCE_UNAVAILABLE


def test_what_parses_and_what_does_not_is_shown_with_chunks(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "pump.md").write_text("# Pump 7\n\nPump 7 needs oil every three weeks.\n")
    (folder / "empty.md").write_text("")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing follows")
    found = preview_source(config(folder), settings, seconds=60)
    items = {item["locator"]: item for item in found["items"]}
    assert items["pump.md"] | {"title": "Pump 7", "ok": True, "acl": ["group:staff"]} == items["pump.md"]
    assert not items["broken.pdf"]["ok"]
    assert items["broken.pdf"]["reason"]
    assert not items["empty.md"].get("ok")
    assert "needs oil" in found["chunks"][0]["text"]
    assert (found["listed"], found["more"], found["reason"]) == (3, False, "")


def test_readers_are_named_as_tokens_name_them_and_counted(tmp_path: Path, settings: Settings) -> None:
    """14 of 20 readable by everyone in Sales, and so on: what a directory does not know keeps its name."""
    folder = tmp_path / "docs"
    folder.mkdir(mode=0o755)
    status = folder.stat()
    for number, mode in enumerate((0o640, 0o640, 0o604, 0o600)):
        (folder / f"{number}.txt").write_text("Oil the pump.")
        (folder / f"{number}.txt").chmod(mode)
    definition = {
        "name": "docs",
        "tenant": "acme",
        "options": {"kind": "folder", "root": str(folder), "directory": "corp"},
    }
    people = [DirectoryEntry("group:sales", (f"gid:{status.st_gid}",), ())]
    with temporary_database() as url, closing(open_store(Settings(home=settings.home, database_url=url))) as store:
        with store.engine.begin() as connection:
            sync(connection, "acme", "corp", "file", people)
        found = preview_source(parse_definition(render_definition(definition)), settings, seconds=600, store=store)
        with store.engine.begin() as connection:
            sync(connection, "acme", "corp", "file", [])
        unknown = preview_source(parse_definition(render_definition(definition)), settings, seconds=600, store=store)
    owner = f"corp/uid:{status.st_uid}"
    assert (f"deny:corp/gid:{status.st_gid}", 1) in count_readers(unknown["items"]), "nobody knows whom it refuses"
    assert count_readers(found["items"]) == [
        (f"group:sales, {owner}", 2),
        (f"everyone, {owner}, deny:group:sales", 1),
        (owner, 1),
    ]


def test_a_preview_is_bounded(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(30):
        lines = (f"Pump {number}-{place} needs {place} drops of oil on day {place + number}." for place in range(90))
        (folder / f"{number:02}.txt").write_text(" ".join(lines))
    found = preview_source(config(folder), settings, seconds=60)
    assert len(found["items"]) == 20
    assert found["listed"] == 30
    assert len(found["chunks"]) == 3
    assert all(len(chunk["text"]) <= 700 for chunk in found["chunks"])
