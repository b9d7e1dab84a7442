"""Reading files: limits, links, and the installation's own state, which is no source."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from rag_assets.connectors import build_connector, connector_context
from rag_assets.source_config import SourceConfig
from rag_core.content.sources import SourceItem
from rag_core.errors import ConfigError, InvalidInput, NotFound, RagError, Reason, Unavailable
from rag_core.settings import Settings
from tests.unit.rag_assets.connectors.conftest import Open
from tests.unit.rag_assets.connectors.listings import item, locators, problems

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


@pytest.mark.catalogue("B26")
def test_links_are_skipped_and_counted_by_default(root: Path, connect: Open) -> None:
    (root / "real.txt").write_text("real")
    (root / "link.txt").symlink_to(root / "real.txt")
    connector = connect(include=["*.txt"])
    assert locators(connector) == ["real.txt"]
    found = problems(connector)["link.txt"]
    assert (found.reason, found.skipped) == (Reason.SYMLINK_IGNORED, True)


@pytest.mark.catalogue("B26")
def test_links_that_stay_inside_are_followed_on_request(root: Path, connect: Open) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "real.txt").write_text("real")
    (root / "link.txt").symlink_to("sub/real.txt")
    (root / "folder").symlink_to(root / "sub")
    connector = connect(symlinks="within_root")
    assert locators(connector) == ["folder/real.txt", "link.txt", "sub/real.txt"]
    assert connector.fetch(item(connector, "folder/real.txt")).content == b"real"
    assert connector.fetch(item(connector, "link.txt")).content == b"real"


@pytest.mark.catalogue("B26")
@pytest.mark.parametrize("target", ["../outside/secret.txt", "../outside", "/etc/passwd", "/proc/self/environ"])
def test_a_link_that_leads_outside_is_quarantined_not_read(root: Path, connect: Open, target: str) -> None:
    (root / "link").symlink_to(target)
    connector = connect(symlinks="within_root")
    assert locators(connector) == []
    assert problems(connector)["link"].reason == Reason.SYMLINK_ESCAPE
    with pytest.raises(InvalidInput) as caught:
        connector.fetch(SourceItem("link", "t"))
    assert caught.value.reason is Reason.SYMLINK_ESCAPE


@pytest.mark.catalogue("B26")
@pytest.mark.parametrize("symlinks", ["skip", "within_root"])
def test_link_loops_end(root: Path, connect: Open, symlinks: str) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "a.txt").write_text("a")
    (root / "sub" / "up").symlink_to(root)
    (root / "self").symlink_to("self")
    (root / "ping").symlink_to("pong")
    (root / "pong").symlink_to("ping")
    listing = connect(symlinks=symlinks).list_items()
    entries = [entry.locator for entry in listing if isinstance(entry, SourceItem)]
    assert entries == ["sub/a.txt"]
    assert listing.complete


@pytest.mark.catalogue("B26")
@pytest.mark.parametrize("symlinks", ["skip", "within_root"])
def test_a_folder_swapped_for_a_link_after_the_listing_is_not_followed(
    root: Path, connect: Open, symlinks: str
) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "secret.txt").write_text("public")
    connector = connect(symlinks=symlinks)
    listed = item(connector, "sub/secret.txt")
    (root / "sub").rename(root / "old")
    (root / "sub").symlink_to("../outside")
    with pytest.raises(InvalidInput) as caught:
        connector.fetch(listed)
    assert caught.value.reason is Reason.SYMLINK_ESCAPE


@pytest.mark.catalogue("B26")
def test_a_link_swapped_between_resolving_and_opening_is_not_followed(
    root: Path, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "real.txt").write_text("public")
    (root / "link.txt").symlink_to("real.txt")
    connector = connect(symlinks="within_root")
    listed = item(connector, "link.txt")
    real_resolve = Path.resolve

    def resolve_then_swap(path: Path, strict: bool = False) -> Path:
        resolved = real_resolve(path, strict=strict)
        if resolved.name == "real.txt":
            resolved.unlink()
            resolved.symlink_to("../outside/secret.txt")
        return resolved

    monkeypatch.setattr(Path, "resolve", resolve_then_swap)
    with pytest.raises(InvalidInput) as caught:
        connector.fetch(listed)
    assert caught.value.reason is Reason.SYMLINK_ESCAPE


@pytest.mark.catalogue("B26")
def test_hard_links_are_refused_on_request(root: Path, connect: Open) -> None:
    os.link(root.parent / "outside" / "secret.txt", root / "hard.txt")
    assert locators(connect()) == ["hard.txt"]
    assert problems(connect(hard_links="refuse"))["hard.txt"].reason == Reason.SYMLINK_ESCAPE


def test_the_root_itself_may_be_a_link(root: Path, connect: Open) -> None:
    (root / "a.txt").write_text("a")
    alias = root.with_name("alias")
    alias.symlink_to(root)
    connector = connect(root=str(alias))
    assert connector.fetch(item(connector, "a.txt")).content == b"a"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "state" / ".rag"
    for folder in ("secrets", "corpus/packages"):
        (home / folder).mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "link").symlink_to(home / "secrets")
    return home


def build(root: Path, home: Path) -> None:
    given = {"name": "notes", "tenant": "acme", "options": {"kind": "folder", "root": str(root)}}
    config = SourceConfig.model_validate(given)
    build_connector(config, connector_context(config, Settings.load(home=home)))


@pytest.mark.parametrize("root", ["state", "state/.rag", "state/.rag/secrets", "link", ""])
def test_a_root_above_or_inside_the_home_is_refused(tmp_path: Path, home: Path, root: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build(tmp_path / root, home)
    assert refused.value.reason is Reason.PATH_OUTSIDE_ROOT


@pytest.mark.parametrize("root", ["docs", "state/.rag/corpus/packages"])
def test_a_root_beside_it_and_the_corpus_that_the_stack_makes_are_read(tmp_path: Path, home: Path, root: str) -> None:
    build(tmp_path / root, home)
