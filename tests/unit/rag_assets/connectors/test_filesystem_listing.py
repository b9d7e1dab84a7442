from __future__ import annotations

import fnmatch
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.connectors.filesystem import names
from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.filesystem.names import GlobSet, PatternState
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.outside import ConnectorContext
from rag_core.errors import Reason, Unavailable
from tests.unit.rag_assets.connectors.conftest import Open
from tests.unit.rag_assets.connectors.listings import item, locators, problems, settle


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


CASES = [
    ("**/*", ["a", "a/b", "a/b/c"], []),
    ("*", ["a"], ["a/b"]),
    ("a/**", ["a/b", "a/b/c"], ["a", "b/a"]),
    ("**/a/**", ["a/b", "x/a/b/c"], ["a", "x/a", "xa/b"]),
    ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["b", "a/b/c"]),
    ("*.dist-info/LICENSE*", ["x.dist-info/LICENSE", "x.dist-info/LICENSE.md"], ["LICENSE", "x.dist-info/a/LICENSE"]),
    ("[ab]?.txt", ["a1.txt", "bx.txt"], ["c1.txt", "a.txt", "a/1.txt"]),
    ("**", ["a", "a/b"], [".a"]),
]


def accepts(pattern: str, path: str, *, hidden: bool = False) -> bool:
    globs = GlobSet([pattern], hidden=hidden)
    state: PatternState | None = globs.start
    for name in path.split("/"):
        state = globs.enter(state, name) if state is not None else None
    return state is not None and state.complete


@pytest.mark.parametrize(("pattern", "yes", "no"), CASES)
def test_patterns_match_whole_paths(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [path for path in yes if not accepts(pattern, path)] == []
    assert [path for path in no if accepts(pattern, path)] == []


@given(st.text("ab*?", min_size=1, max_size=6).filter(lambda p: "**" not in p), st.text("ab", min_size=1, max_size=6))
def test_one_segment_matches_as_fnmatch_does(pattern: str, name: str) -> None:
    assert accepts(pattern, name) == fnmatch.fnmatchcase(name, pattern)


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=4),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5),
)
def test_a_folder_is_pruned_only_when_nothing_below_it_matches(pattern: list[str], path: list[str]) -> None:
    globs = GlobSet(["/".join(pattern)])
    state: PatternState | None = globs.start
    for depth, name in enumerate(path):
        state = globs.enter(state, name) if state is not None else None
        if state is None or not state.can_match_below:
            assert not any(accepts("/".join(pattern), "/".join(path[:end])) for end in range(depth + 2, len(path) + 1))
            return


def test_a_tree_of_many_double_stars_is_matched_in_bounded_time() -> None:
    pattern = "/".join(["**", "a"] * 20)
    assert not accepts(pattern, "/".join(["a"] * 200 + ["b"]))


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


_SEGMENT = st.binary(min_size=1, max_size=30).filter(
    lambda raw: b"/" not in raw and b"\0" not in raw and raw not in (b".", b"..") and not raw.startswith((b"~", b"\\"))
)


@given(st.lists(_SEGMENT.filter(lambda raw: raw[1:2] != b":"), min_size=1, max_size=4))
def test_every_name_has_a_storable_locator_that_leads_back_to_it(segments: list[bytes]) -> None:
    path = os.fsdecode(b"/".join(segments))
    locator = names.encode(path)
    locator.encode("utf-8")
    assert not any(ord(char) < 32 for char in locator)
    assert os.fsencode("/".join(names.decode(locator))) == b"/".join(segments)


@pytest.mark.catalogue("B12")
@pytest.mark.parametrize(
    ("name", "locator"),
    [
        (b"caf\xe9.txt", "caf%E9.txt"),
        ("naïve 文档.md".encode(), "naïve 文档.md"),
        (b"100%.txt", "100%.txt"),
        (b"100%41.txt", "100%2541.txt"),
        (b"line\nbreak", "line%0Abreak"),
        ("invoice\u202efdp.exe".encode(), "invoice%E2%80%AEfdp.exe"),
        ("zero\u200bwidth".encode(), "zero%E2%80%8Bwidth"),
    ],
)
def test_unsafe_bytes_in_names_are_escaped_and_the_file_is_found_again(
    root: Path, connect: Open, name: bytes, locator: str
) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text("found")
    connector = connect()
    assert locators(connector) == [locator]
    assert connector.fetch(item(connector, locator)).content == b"found"


def test_names_that_differ_only_in_their_normal_form_stay_apart(root: Path, connect: Open) -> None:
    (root / "e\u0301.txt").write_text("decomposed")
    (root / "\u00e9.txt").write_text("composed")
    assert len(set(locators(connect()))) == 2


def test_a_path_too_long_to_store_is_reported_under_a_short_locator(root: Path, connect: Open) -> None:
    folder = root
    for _ in range(10):
        folder = folder / ("x" * 240)
        folder.mkdir()
    (folder / "a.txt").write_text("a")
    (problem,) = problems(connect()).values()
    assert problem.reason == Reason.FIELD_INVALID
    assert not names.is_too_long(problem.locator)
