"""Small files are replaced whole."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rag_core.files import replace_file


def test_a_file_gets_its_content_and_mode_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "routes.yaml"
    replace_file(path, b"old", mode=0o600)
    before = path.stat()

    replace_file(path, b"new", mode=0o444)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert path.stat().st_ino != before.st_ino  # a rename, which is what watchers look for
    assert list(tmp_path.iterdir()) == [path]


def test_a_replacement_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "target"
    path.mkdir()  # a folder cannot be replaced by a file

    with pytest.raises(OSError, match="directory"):
        replace_file(path, b"new")

    assert list(tmp_path.iterdir()) == [path]
