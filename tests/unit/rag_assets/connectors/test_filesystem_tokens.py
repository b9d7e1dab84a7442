from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.rag_assets.connectors.conftest import Open
from tests.unit.rag_assets.connectors.listings import item, settle


def test_an_untouched_file_keeps_its_token(root: Path, connect: Open) -> None:
    (root / "a.txt").write_text("a")
    settle(root / "a.txt")
    assert item(connect(), "a.txt").version_tag == item(connect(), "a.txt").version_tag


def test_an_edit_that_restores_size_and_times_changes_the_token(root: Path, connect: Open) -> None:
    path = root / "a.txt"
    path.write_text("one")
    settle(path)
    before, status = item(connect(), "a.txt").version_tag, path.stat()
    path.write_text("two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert item(connect(), "a.txt").version_tag != before


def test_a_file_restored_by_rename_with_an_older_time_changes_the_token(root: Path, connect: Open) -> None:
    path, backup = root / "a.txt", root.parent / "backup.txt"
    backup.write_text("old")
    os.utime(backup, (1, 1))
    path.write_text("new")
    settle(path)
    before = item(connect(), "a.txt").version_tag
    backup.rename(path)
    assert item(connect(), "a.txt").version_tag != before


def test_a_file_changed_a_moment_ago_is_looked_at_again(root: Path, connect: Open) -> None:
    path = root / "a.txt"
    path.write_text("a")
    young = item(connect(), "a.txt").version_tag
    settle(path)
    assert item(connect(), "a.txt").version_tag != young, "a second edit within the same clock step would look alike"


def test_the_version_tag_is_stable_and_sees_edits_additions_deletions_and_renames(root: Path, connect: Open) -> None:
    connector = connect()
    for name in "abc":
        (root / name).write_text(name)
    settle(root / "c")
    seen = [connector.version_tag()]
    assert connector.version_tag() == seen[0]
    for change in (
        lambda: (root / "a").write_text("A"),
        lambda: (root / "d").write_text("d"),
        lambda: (root / "b").unlink(),
        lambda: (root / "c").rename(root / "e"),
    ):
        change()
        seen.append(connector.version_tag())
    assert len(set(seen)) == len(seen)


def test_the_version_tag_tells_an_incomplete_listing(
    root: Path, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "sub").mkdir()
    connector = connect()
    whole = connector.version_tag()

    def refuse(fd: int) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert connector.version_tag() != whole
    assert connector.version_tag().startswith("incomplete:")
