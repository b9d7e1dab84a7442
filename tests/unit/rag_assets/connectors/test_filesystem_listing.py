from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_core.errors import Reason, Unavailable
from tests.unit.rag_assets.connectors.conftest import Open
from tests.unit.rag_assets.connectors.listings import item, locators, problems


def write(root: Path, *paths: str, text: str = "text") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_lists_matching_files_with_relative_posix_locators(root: Path, connect: Open) -> None:
    write(root, "a.md", "sub/b.md", "sub/deep/c.md", "sub/d.txt", ".hidden.md", ".git/e.md")
    assert locators(connect(include=["**/*.md"])) == ["a.md", "sub/b.md", "sub/deep/c.md"]


def test_exclude_wins_and_excluded_folders_are_not_entered(root: Path, connect: Open) -> None:
    write(root, "a.md", "drafts/b.md", "x/drafts/c.md", "x/d.md")
    (root / "drafts").chmod(0)
    connector = connect(exclude=["**/drafts/**", "x/d.md"])
    listing = connector.list_items()
    assert [entry.locator for entry in listing] == ["a.md"]
    assert listing.complete, "an unreadable folder that is excluded does not matter"


@pytest.mark.parametrize("hidden", [True, False])
def test_wildcards_match_hidden_names_only_on_request(root: Path, connect: Open, hidden: bool) -> None:
    write(root, ".well-known/a.txt", "b.txt", ".c.txt")
    expected = [".c.txt", ".well-known/a.txt", "b.txt"] if hidden else ["b.txt"]
    assert locators(connect(hidden=hidden)) == expected
    assert locators(connect(include=[".well-known/*"])) == [".well-known/a.txt"]


def test_only_folders_that_can_hold_a_match_are_opened(
    root: Path, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "one-1.0.dist-info/METADATA", "one-1.0.dist-info/licenses/sub/MIT.txt", "one/huge/tree/mod.py")
    opened: list[str] = []
    real_open = os.open

    def spy(path: str, *args: int, **kwargs: int) -> int:
        opened.append(Path(path).name)
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", spy)
    connector = connect(include=["*.dist-info/METADATA", "*.dist-info/licenses/**", "*.dist-info/LICENSE*"])
    assert locators(connector) == ["one-1.0.dist-info/METADATA", "one-1.0.dist-info/licenses/sub/MIT.txt"]
    assert "one" not in opened
    assert "licenses" in opened


def test_a_complete_listing_says_so_only_after_its_end(root: Path, connect: Open) -> None:
    write(root, "a", "b")
    listing = connect().list_items()
    entries = iter(listing)
    next(entries)
    assert not listing.complete
    assert listing.error == "the listing was not read to its end"
    assert len(list(entries)) == 1
    assert listing.complete
    assert listing.error is None


@pytest.mark.catalogue("F22")
def test_an_unreadable_folder_makes_the_listing_incomplete(
    root: Path, connect: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "a.txt", "closed/b.txt", "z.txt")
    real_scandir = os.scandir

    def refuse(fd: int) -> object:  # chmod does not stop root, so the refusal comes from here
        if Path(f"/proc/self/fd/{fd}").readlink().name == "closed":
            raise PermissionError(13, "Permission denied")
        return real_scandir(fd)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = connect().list_items()
    assert [entry.locator for entry in listing] == ["a.txt", "z.txt"], "the rest is still read"
    assert not listing.complete
    assert listing.error == "closed cannot be read (Permission denied)"


@pytest.mark.catalogue("F22")
def test_a_missing_root_is_unavailable(root: Path, connect: Open) -> None:
    connector = connect()
    root.rmdir()
    with pytest.raises(Unavailable) as caught:
        connector.list_items()
    assert caught.value.reason is Reason.UNREADABLE
    assert str(root) not in str(caught.value), "no path of the server in a message"


@pytest.mark.catalogue("F22")
@pytest.mark.parametrize("replaced", [True, False])
def test_a_root_that_goes_away_during_the_walk_makes_the_listing_incomplete(
    root: Path, connect: Open, replaced: bool
) -> None:
    write(root, "a.txt", "b.txt")
    listing = connect().list_items()
    entries = iter(listing)
    next(entries)
    root.rename(root.with_name("moved"))
    if replaced:
        root.mkdir()
    list(entries)
    assert not listing.complete
    assert listing.error is not None
    assert "root folder" in listing.error
    assert ("was replaced while it was read" in listing.error) == replaced


@pytest.mark.catalogue("F21")
def test_a_deleted_file_is_absent_from_a_complete_listing(root: Path, connect: Open) -> None:
    write(root, "a.txt", "b.txt")
    (root / "a.txt").unlink()
    listing = connect().list_items()
    assert [entry.locator for entry in listing] == ["b.txt"]
    assert listing.complete


@pytest.mark.catalogue("B29")
def test_a_file_over_the_limit_is_reported_by_its_status_alone(root: Path, connect: Open) -> None:
    with (root / "sparse.txt").open("wb") as stream:
        stream.truncate(2**40)
    found = problems(connect())
    assert found["sparse.txt"].reason == Reason.FILE_TOO_LARGE
    assert not found["sparse.txt"].skipped


def test_the_lower_of_both_size_limits_holds(root: Path) -> None:
    write(root, "a.txt", text="x" * 11)
    for platform, own, refused in ((10, None, True), (10, 100, True), (100, 10, True), (11, 11, False)):
        options = FilesystemOptions(kind="folder", root=str(root), max_file_bytes=own)
        assert bool(problems(FilesystemConnector(options, ConnectorContext(platform)))) is refused


@pytest.mark.catalogue("B27")
def test_pipes_sockets_and_folders_with_a_file_name_are_not_regular_files(root: Path, connect: Open) -> None:
    os.mkfifo(root / "pipe.pdf")
    (root / "folder.pdf").mkdir()
    found = problems(connect(include=["*.pdf"]))
    assert {locator: problem.reason for locator, problem in found.items()} == {
        "pipe.pdf": Reason.NOT_A_REGULAR_FILE,
        "folder.pdf": Reason.NOT_A_REGULAR_FILE,
    }


@pytest.mark.catalogue("B28")
def test_an_empty_file_is_listed_so_that_the_parser_decides(root: Path, connect: Open) -> None:
    write(root, "empty.txt", text="")
    assert item(connect(), "empty.txt").size == 0


def test_folders_beyond_the_depth_limit_are_reported_not_walked(root: Path, connect: Open) -> None:
    deep = "/".join("d" for _ in range(70))
    write(root, f"{deep}/file.txt", "top.txt")
    listing = connect().list_items()
    entries = {entry.locator: entry for entry in listing}
    assert "top.txt" in entries
    (problem,) = [entry for entry in entries.values() if getattr(entry, "reason", None)]
    assert problem.reason == Reason.NESTING_TOO_DEEP
    assert listing.complete


def test_entries_come_in_the_same_order_every_time(root: Path, connect: Open) -> None:
    write(root, *(f"{n % 7}/{n}.txt" for n in range(50)))
    assert locators(connect()) == locators(connect())


def test_check_describes_a_sample_and_every_kind_of_problem(root: Path, connect: Open) -> None:
    write(root, "a.txt", "b.txt")
    os.mkfifo(root / "pipe")
    report = connect().check()
    assert report["ok"] is True
    assert (report["items"], report["sample"]) == (2, ["a.txt", "b.txt"])
    assert report["problems"][0].startswith("pipe: NOT_A_REGULAR_FILE")


def test_check_says_why_a_source_cannot_be_reached(root: Path, connect: Open) -> None:
    connector = connect()
    root.rmdir()
    report = connector.check()
    assert report["ok"] is False
    assert "root folder" in report["error"]
