"""The Git source: a local repository, and one that dulwich or Git itself serves over HTTP."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import stamina
from pydantic import ValidationError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_assets.config import SourceConfig
from rag_assets.connectors import open_connector
from rag_assets.connectors.allowances import require_allowed
from rag_assets.connectors.git.connector import GitConnector, permalink
from rag_assets.connectors.git.options import GitOptions
from rag_assets.connectors.git.packs import check_pack
from rag_assets.connectors.outside import ConnectorContext
from rag_core.content.sources import Problem, Removed, SourceItem
from rag_core.errors import ConfigError, InvalidInput, PermissionDenied, RagError, Reason, Unavailable
from rag_core.http_client import FetchPolicy
from rag_core.settings import SourceAllowance
from tests.support.git_server import Repository, dulwich_server, serve_with_git
from tests.support.sites import POLICY

SUBMODULE = 0o160000
Serve = Callable[[Repository], AbstractContextManager[str]]


def config(repository: str, **more: Any) -> SourceConfig:
    options = {"kind": "git", "repository": repository, "attempts": 1, **more}
    return SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": options})


@contextmanager
def opened(
    repository: str, policy: FetchPolicy = POLICY, home: Path | None = None, **more: Any
) -> Iterator[GitConnector]:
    context = ConnectorContext(100_000, policy, home=home)
    with stamina.set_testing(True, attempts=1), open_connector(config(repository, **more), context) as connector:
        assert isinstance(connector, GitConnector)
        yield connector


def entries(connector: GitConnector) -> list[SourceItem | Problem]:
    listing = connector.list_items()
    found = list(listing)
    assert (listing.complete, listing.error) == (True, None)
    return found


def texts(connector: GitConnector) -> dict[str, str]:
    return {
        one.locator: connector.fetch(one).content.decode() for one in entries(connector) if isinstance(one, SourceItem)
    }


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "docs.git")
    made.change({"a.md": b"# A", "guide/b.txt": b"B", "guide/logo.bin": b"\x00", "泵 100%41.md": b"# Pump"})
    return made


@pytest.fixture(params=["path", "dulwich", "git"])
def url(request: pytest.FixtureRequest, repository: Repository) -> Iterator[str]:
    """The repository as each way of reading it names it."""
    if request.param == "path":
        yield str(repository.path)
    elif request.param == "dulwich":
        with dulwich_server(repository) as url:
            yield url
    elif shutil.which("git") is None:
        pytest.skip("no git on PATH: `git http-backend` serves the repository as hosts do")
    else:
        yield serve_with_git(request.getfixturevalue("httpserver"), repository)


def test_the_files_at_the_tip_are_listed_and_read(url: str) -> None:
    with opened(url) as connector:
        assert texts(connector) == {"a.md": "# A", "guide/b.txt": "B", "泵 100%2541.md": "# Pump"}
        assert connector.check()["ok"] is True


def test_changes_are_the_difference_of_two_commits(
    url: str, repository: Repository, request: pytest.FixtureRequest
) -> None:
    with opened(url) as connector:
        listing = connector.list_items()
        list(listing)
    repository.change({"a.md": b"# Another", "guide/b.txt": None, "moved/b.txt": b"B", "new.bin": b"x"})
    with opened(url) as connector:
        changes = connector.list_changes(listing.cursor)
        if request.node.callspec.params["url"] == "dulwich":
            assert changes is None  # it gives no commit but those of refs, so that everything is listed
            return
        assert changes is not None
        found = list(changes)
        assert (changes.complete, changes.error) == (True, None)
        assert changes.version_tag == connector.version_tag() != listing.version_tag
        read = {one.locator: connector.fetch(one).content for one in found if isinstance(one, SourceItem)}
    assert read == {"a.md": b"# Another", "moved/b.txt": b"B"}
    assert [one.locator for one in found if isinstance(one, Removed)] == ["guide/b.txt"]
    with opened(url) as connector:
        changes = connector.list_changes(changes.cursor)
        assert changes is not None
        assert (list(changes), changes.complete) == ([], True)


def test_a_history_that_was_rewritten_or_other_options_are_listed_again(url: str, repository: Repository) -> None:
    with opened(url) as connector:
        listing = connector.list_items()
        list(listing)
        assert connector.list_changes({**listing.cursor, "commit": "0" * 40}) is None
        assert connector.list_changes({}) is None
    with opened(url, include=["**/*.txt"]) as connector:
        assert connector.list_changes(listing.cursor) is None


def test_a_file_that_changed_after_the_listing_is_read_as_it_was_listed(url: str, repository: Repository) -> None:
    with opened(url) as connector:
        item = next(one for one in entries(connector) if one.locator == "a.md")
        assert isinstance(item, SourceItem)
        repository.put("a.md", b"# Later")
        assert connector.fetch(item).content == b"# A"
    with opened(url) as connector:  # as the run of another shard
        fetched = connector.fetch(item)
        assert (fetched.content, fetched.item.version_tag == item.version_tag) in ((b"# A", True), (b"# Later", False))


def test_branches_and_tags(url: str, repository: Repository) -> None:
    first = repository.repo.refs[b"refs/heads/main"]
    repository.repo.refs[b"refs/tags/v1"] = first
    repository.put("a.md", b"# Two")
    with opened(url, ref="v1") as connector:
        assert texts(connector)["a.md"] == "# A"
    with opened(url, ref="main") as connector:
        assert texts(connector)["a.md"] == "# Two"
    with opened(url, ref="nowhere") as connector:
        assert connector.check()["error"] == "SOURCE_UNAVAILABLE: the repository has no branch or tag nowhere"


def test_links_submodules_and_large_files_are_named_and_not_followed(url: str, repository: Repository) -> None:
    repository.put("link.md", b"/etc/passwd", mode=0o120000)
    repository.link("module.md", SUBMODULE, b"1" * 40)
    repository.put("lfs.md", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    repository.put("big.md", b"x" * 200_000)
    with opened(url) as connector:
        found = {one.locator: one for one in entries(connector)}
        reasons = {name: one.reason for name, one in found.items() if isinstance(one, Problem)}
        assert reasons == {"link.md": "SYMLINK_IGNORED", "module.md": "NOT_A_REGULAR_FILE"}
        for name, wanted in (("lfs.md", Reason.UNREADABLE), ("big.md", Reason.FILE_TOO_LARGE)):
            item = found[name]
            assert isinstance(item, SourceItem)
            with pytest.raises(RagError) as caught:
                connector.fetch(item)
            assert caught.value.reason is wanted


def test_a_tree_that_names_itself_many_times_ends_at_the_limit(url: str, repository: Repository) -> None:
    from dulwich.objects import Blob, Tree

    store = repository.repo.object_store
    blob = Blob.from_string(b"x")
    store.add_object(blob)
    mode, sha = 0o100644, blob.id
    for _ in range(12):
        tree = Tree()
        for number in range(10):
            tree.add(b"%d.md" % number, mode, sha)
        store.add_object(tree)
        mode, sha = 0o040000, tree.id
    repository.link("bomb", mode, sha)
    with opened(url, max_files=1000) as connector:
        listing = connector.list_items()
        assert len(list(listing)) < 1000
        assert str(listing.error).startswith("LISTING_INCOMPLETE: ")


# --------------------------------------------------------------------------------------------------------------------
# Where it may lead, and what it costs.


@pytest.mark.parametrize(
    "hostile",
    [
        "file:///srv/repo",
        "ext::sh -c id",
        "ssh://git@example.org/x",
        "git@example.org:x",
        "git://example.org/x",
        "-u evil",
        "relative/path",
        "/",
        "/proc/1",
        "https://user:token@example.org/x.git",
        "https://example.org/x?token=1",
    ],
)
def test_only_https_and_folders_are_repositories(hostile: str) -> None:
    with pytest.raises(ValidationError):
        config(hostile)


@pytest.mark.parametrize("hostile", ["--upload-pack=id", "a..b", "a b", "x.lock", "@{1}", "/main", "a//b"])
def test_only_names_of_branches_and_tags_are_refs(hostile: str) -> None:
    with pytest.raises(ValidationError):
        config("https://example.org/x.git", ref=hostile)


def test_a_remote_obeys_the_rules_of_every_call_outside(repository: Repository) -> None:
    with dulwich_server(repository) as url, opened(url, FetchPolicy(ports=POLICY.ports)) as connector:
        assert connector.check()["error"].startswith("SSRF_BLOCKED: ")


def test_credentials_are_sent_to_their_origin_alone_and_are_in_no_error(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAG_SECRET_GIT", "a-token-of-the-host")
    seen: list[tuple[str, str | None]] = []
    other = HTTPServer(host="127.0.0.1")
    other.start()

    def elsewhere(request: Request) -> Response:
        seen.append(("other", request.headers.get("authorization")))
        return Response("no", 404)

    def moved(request: Request) -> Response:
        seen.append(("own", request.headers.get("authorization")))
        location = other.url_for("/x.git/info/refs") + "?service=git-upload-pack"
        return Response(status=302, headers={"location": location})

    httpserver.expect_request("/x.git/info/refs").respond_with_handler(moved)
    other.expect_request("/x.git/info/refs").respond_with_handler(elsewhere)
    try:
        auth = {"type": "basic", "user": "x-access-token", "password": {"env": "RAG_SECRET_GIT"}}
        with opened(httpserver.url_for("/x.git"), auth=auth) as connector:
            error = connector.check()["error"]
    finally:
        other.stop()
    assert [(place, bool(secret)) for place, secret in seen] == [("own", True), ("other", False)]
    assert "a-token-of-the-host" not in error
    assert error.startswith(("HTTP_STATUS", "SOURCE_UNAVAILABLE", "RESPONSE_INVALID"))


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(401, "", "ACCESS_REFUSED"), (404, "", "SOURCE_UNAVAILABLE"), (503, "", "HTTP_STATUS"),
     (200, "<html>sign in</html>", "RESPONSE_INVALID")],
)  # fmt: skip
def test_what_a_host_answers_instead_of_git_empties_nothing(
    httpserver: HTTPServer, status: int, body: str, reason: str
) -> None:
    httpserver.expect_request("/x.git/info/refs").respond_with_data(body, status)
    with opened(httpserver.url_for("/x.git")) as connector:
        listing = connector.list_items()
        assert (list(listing), listing.complete) == ([], False)
        assert str(listing.error).startswith(f"{reason}: ")


def test_an_answer_that_breaks_off_or_lies_has_a_typed_error(httpserver: HTTPServer) -> None:
    for body in (b"", b"001e# service=git-upload-pack\n", b"ffff", b"001e# service=git-upload-pack\n0000zzzz"):
        httpserver.clear()
        kind = "application/x-git-upload-pack-advertisement"
        httpserver.expect_request("/x.git/info/refs").respond_with_data(body, 200, content_type=kind)
        with opened(httpserver.url_for("/x.git")) as connector:
            listing = connector.list_items()
            assert (list(listing), listing.complete, bool(listing.error)) == ([], False, True)


def _pack(*objects: tuple[int, int, bytes]) -> BytesIO:
    """A pack of (kind, claimed size, content to deflate); small sizes only, so that a byte or two hold them."""
    body = b"PACK" + (2).to_bytes(4) + len(objects).to_bytes(4)
    for kind, size, content in objects:
        head, rest = bytearray([kind << 4 | size & 15]), size >> 4
        while rest:
            head[-1] |= 128
            head.append(rest & 127)
            rest >>= 7
        body += bytes(head) + zlib.compress(content)
    return BytesIO(body)


@pytest.mark.parametrize(
    ("pack", "reason"),
    [
        (_pack((3, 2_000_000, b"\0" * 2_000_000)), Reason.RESPONSE_TOO_LARGE),
        (_pack((3, 600_000, b"\0" * 600_000), (3, 600_000, b"\0" * 600_000)), Reason.RESPONSE_TOO_LARGE),
        (_pack((3, 5, b"\0" * 5_000_000)), Reason.RESPONSE_INVALID),
        (_pack(*[(3, 1, b"x")] * 11), Reason.RESPONSE_TOO_LARGE),
        (BytesIO(b"PACK\0\0\0\2\0\0\0\1"), Reason.RESPONSE_INVALID),
        (BytesIO(b"<html>"), Reason.RESPONSE_INVALID),
        (BytesIO(b"PACK\0\0\0\2\0\0\0\1" + b"\xff" * 100), Reason.RESPONSE_INVALID),
    ],
)
def test_a_pack_that_inflates_to_too_much_is_refused_before_it_is_unpacked(pack: BytesIO, reason: Reason) -> None:
    with pytest.raises(RagError) as caught:
        check_pack(pack, most_objects=10, most_bytes=1_000_000, most_object_bytes=1_000_000)
    assert caught.value.reason is reason


def test_a_pack_within_the_limits_passes() -> None:
    delta = b"\x05\x80\x10\x01x"  # of 5 bytes, makes 2048
    check_pack(_pack((3, 5, b"hello"), (1, 3, b"abc")), most_objects=2, most_bytes=100, most_object_bytes=10)
    pack = BytesIO(b"PACK\0\0\0\2\0\0\0\1" + bytes([7 << 4 | len(delta)]) + b"r" * 20 + zlib.compress(delta))
    with pytest.raises(InvalidInput, match="2048"):
        check_pack(pack, most_objects=2, most_bytes=100_000, most_object_bytes=1000)


def test_a_repository_that_borrows_objects_of_another_is_refused(tmp_path: Path, repository: Repository) -> None:
    (repository.path / "objects" / "info").mkdir(exist_ok=True)
    (repository.path / "objects" / "info" / "alternates").write_text("/srv/other.git/objects\n")
    with opened(str(repository.path)) as connector, pytest.raises(ConfigError) as caught:
        connector.version_tag()
    assert caught.value.reason is Reason.PATH_OUTSIDE_ROOT


def test_a_worktree_whose_repository_is_elsewhere_is_refused(tmp_path: Path, repository: Repository) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {repository.path}\n")
    with opened(str(tree)) as connector, pytest.raises((ConfigError, Unavailable)):
        connector.version_tag()


def test_a_repository_around_the_installations_own_state_is_refused(tmp_path: Path, repository: Repository) -> None:
    with opened(str(repository.path), home=repository.path / "home") as connector, pytest.raises(ConfigError):
        connector.version_tag()


def test_a_tenant_reads_the_hosts_and_folders_that_its_lists_name() -> None:
    with pytest.raises(PermissionDenied, match=r"git\.other\.example"):
        require_allowed(config("https://git.other.example/x.git"), "acme", SourceAllowance(hosts=("git.acme.example",)))
    require_allowed(config("https://git.acme.example/x.git"), "acme", SourceAllowance(hosts=("git.acme.example",)))
    with pytest.raises(PermissionDenied, match="/srv/other"):
        require_allowed(config("/srv/other"), "acme", SourceAllowance(roots=("/srv/acme",)))


@pytest.mark.parametrize(
    ("repository", "more", "link"),
    [
        ("https://github.com/a/b.git", {}, "https://github.com/a/b/blob/C/docs/a%20b.md"),
        ("https://gitlab.example.org/a/b", {}, "https://gitlab.example.org/a/b/-/blob/C/docs/a%20b.md"),
        ("https://codeberg.org/a/b.git", {}, "https://codeberg.org/a/b/src/commit/C/docs/a%20b.md"),
        ("https://git.acme.example/a.git", {"host": "gitea"}, "https://git.acme.example/a/src/commit/C/docs/a%20b.md"),
        ("https://git.acme.example/a.git", {}, None),
        ("/srv/a", {"web_url": "https://github.com/a/b"}, "https://github.com/a/b/blob/C/docs/a%20b.md"),
        ("/srv/a", {}, None),
    ],
)
def test_a_document_has_a_permanent_link(repository: str, more: dict[str, str], link: str | None) -> None:
    options = GitOptions.model_validate({"kind": "git", "repository": repository, **more})
    assert permalink(options, "C", b"docs/a b.md") == link


def test_the_link_is_part_of_the_document(repository: Repository) -> None:
    with opened(str(repository.path), web_url="https://github.com/acme/docs") as connector:
        item = entries(connector)[0]
        assert isinstance(item, SourceItem)
        metadata = connector.fetch(item).metadata
    assert metadata["url"] == f"https://github.com/acme/docs/blob/{metadata['commit']}/a.md"
