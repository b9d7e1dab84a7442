from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from rag_core.content.sources import SourceItem
from rag_core.errors import InvalidInput, NotFound, RagError, Reason, Unavailable
from tests.unit.rag_assets.connectors.conftest import Open
from tests.unit.rag_assets.connectors.listings import item

OUTSIDE = [
    "../outside/secret.txt",
    "a/../../outside/secret.txt",
    "/etc/passwd",
    "~/.profile",
    "~",
    "a\x00b",
    "C:\\windows",
    "\\\\host\\share",
    "",
    "a//b",
    "./a",
    "%2E%2E/outside/secret.txt",
    "%2Fetc/passwd",
    "\ud800",
]


@pytest.mark.catalogue("B25")
@pytest.mark.parametrize("locator", OUTSIDE)
@pytest.mark.parametrize("symlinks", ["skip", "within_root"])
def test_a_locator_that_is_not_below_the_root_is_refused(connect: Open, locator: str, symlinks: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        connect(symlinks=symlinks).fetch(SourceItem(locator, "t"))
    assert caught.value.reason is Reason.PATH_OUTSIDE_ROOT


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    os.chdir(path.parent)  # socket paths are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


@pytest.mark.catalogue("B27")
@pytest.mark.parametrize("make", [_pipe, _socket, Path.mkdir])
def test_reading_a_pipe_socket_or_folder_ends_at_once(
    root: Path, connect: Open, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    make(root / "a.pdf")
    with pytest.raises(InvalidInput) as caught:
        connect().fetch(SourceItem("a.pdf", "t"))
    assert caught.value.reason is Reason.NOT_A_REGULAR_FILE


@pytest.mark.catalogue("B29")
def test_a_file_that_grew_over_the_limit_is_not_read(root: Path, connect: Open) -> None:
    (root / "a.txt").write_text("x" * 11)
    with pytest.raises(InvalidInput) as caught:
        connect(max_file_bytes=10).fetch(SourceItem("a.txt", "t"))
    assert caught.value.reason is Reason.FILE_TOO_LARGE


@pytest.mark.catalogue("B30")
def test_a_file_that_is_gone_has_vanished(connect: Open) -> None:
    with pytest.raises(NotFound) as caught:
        connect().fetch(SourceItem("sub/gone.txt", "t"))
    assert caught.value.reason is Reason.VANISHED


@pytest.mark.catalogue("B30")
def test_a_file_without_permission_is_unreadable_and_may_be_retried(
    root: Path, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.txt").write_text("a")
    real_open = os.open

    def refuse(
        path: str, *args: int, **kwargs: int
    ) -> int:  # mode 0000 does not stop root, so the refusal comes from here
        if path == "a.txt":
            raise PermissionError(13, "Permission denied")
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unavailable) as caught:
        connect().fetch(SourceItem("a.txt", "t"))
    assert caught.value.reason is Reason.UNREADABLE


def _while_reading(monkeypatch: pytest.MonkeyPatch, path: Path, change: Callable[[int], object]) -> None:
    """Run `change(n)` after the n-th `fstat` of the file at `path`: the first of each pair comes before the reading."""
    real_fstat, calls = os.fstat, 0

    def fstat(fd: int) -> os.stat_result:
        nonlocal calls
        status = real_fstat(fd)
        if path.exists() and status.st_ino == path.stat().st_ino:
            calls += 1
            change(calls)
        return status

    monkeypatch.setattr(os, "fstat", fstat)


def test_a_file_that_changes_once_while_it_is_read_is_read_again(
    root: Path, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "a.txt"
    path.write_text("old")

    _while_reading(monkeypatch, path, lambda call: call == 1 and path.write_text("new text"))
    assert connect().fetch(SourceItem("a.txt", "t")).content == b"new text"


def test_a_file_that_keeps_changing_is_left_for_later(
    root: Path, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "a.txt"
    path.write_text("x")
    _while_reading(monkeypatch, path, lambda call: path.write_text("x" * (call + 1)))
    with pytest.raises(Unavailable) as caught:
        connect().fetch(SourceItem("a.txt", "t"))
    assert caught.value.reason is Reason.CHANGED_WHILE_READING


def test_the_token_of_a_read_is_that_of_the_bytes_read(root: Path, connect: Open) -> None:
    path = root / "a.txt"
    path.write_text("one")
    connector = connect()
    listed = item(connector, "a.txt")
    path.write_text("other")
    raw = connector.fetch(listed)
    assert (raw.content, raw.item.size) == (b"other", 5)
    assert raw.item.version_tag != listed.version_tag


def test_no_descriptor_stays_open(root: Path, connect: Open) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "a.txt").write_text("a")
    os.mkfifo(root / "sub" / "pipe")
    connector = connect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for locator in ("sub/a.txt", "sub/pipe", "sub/none", "none/a.txt", "../x"):
        with suppress(RagError):
            connector.fetch(SourceItem(locator, "t"))
    next(iter(connector.list_items()))
    list(connector.list_items())
    assert len(list(Path("/proc/self/fd").iterdir())) == before
