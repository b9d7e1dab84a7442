"""SFTP and WebDAV sources against servers of PyPI: the suite of all connectors, and what servers of files can do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import stamina

from rag_assets.connectors import open_connector
from rag_assets.connectors.files.options import SmbOptions
from rag_assets.connectors.filesystem.connector import FilesystemConnector
from rag_assets.connectors.filesystem.options import FilesystemOptions
from rag_assets.connectors.kind import Opened
from rag_assets.connectors.outside import ConnectorContext
from rag_assets.source_config import SourceConfig
from rag_assets.testing import LOOPBACK, Answer, ConnectorSuite, FakeServer
from rag_core.content.sources import Connector, Problem, SourceItem
from rag_core.errors import NotFound
from tests.support.file_servers import PASSWORD, USER, SftpServer, WebdavServer

ODD_NAMES = ["a b.txt", "100%.txt", "a%20b.txt", "#1?.txt", "semi;colon&+=.txt", "ünïcödé-文件.txt", "it's \"x\".txt",
             "[a]{b}.txt", "deep/er/x.txt", "-dash.txt", "~tilde.txt", "e\u0301.txt"]  # fmt: skip


class Server:
    """A folder that a server shows; files get times of their own, since a server may know whole seconds only."""

    def __init__(self, root: Path, server: Any, options: dict[str, Any]) -> None:
        self.root, self.server, self.options = root, server, options
        self._clock = 1_700_000_000

    def put(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self._clock += 1
        os.utime(path, (self._clock, self._clock))

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def lose(self) -> None:
        (self.stop if isinstance(self.server, SftpServer) else self.server.close)()

    def stop(self) -> None:
        self.server.stop()


def sftp(root: Path) -> Server:
    server = SftpServer(root)
    options = {"kind": "sftp", "host": "127.0.0.1", "port": server.port, "user": USER, "path": "/docs", "attempts": 1,
               "login": {"type": "password", "password": {"env": "RAG_SECRET_FILES"}}, "timeout_seconds": 20,
               "host_keys": [server.fingerprint]}  # fmt: skip
    return Server(root / "docs", server, options)


def webdav(root: Path) -> Server:
    server = WebdavServer(root)
    options = {"kind": "webdav", "url": f"http://127.0.0.1:{server.port}", "path": "/docs", "attempts": 1,
               "auth": {"type": "basic", "user": USER, "password": {"env": "RAG_SECRET_FILES"}}}  # fmt: skip
    return Server(root / "docs", server, options)


@pytest.fixture(params=[sftp, webdav])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("RAG_SECRET_FILES", PASSWORD)
    (tmp_path / "docs").mkdir()
    made = request.param(tmp_path)
    yield made
    made.server.close()


def source(place: Server, **more: object) -> SourceConfig:
    return SourceConfig.model_validate({"name": "docs", "tenant": "acme", "options": {**place.options, **more}})


def listed(connector: Connector) -> tuple[list[str], list[str], str | None]:
    """Locators, reasons of problems, and what kept the listing from being complete."""
    listing = connector.list_items()
    entries = list(listing)
    assert listing.complete == (listing.error is None)
    items = [entry.locator for entry in entries if isinstance(entry, SourceItem)]
    return items, [entry.reason for entry in entries if isinstance(entry, Problem)], listing.error


@pytest.fixture
def connect(place: Server) -> Iterator[Callable[..., Connector]]:
    with stamina.set_testing(True, attempts=1):
        opened = []

        def connect(**more: object) -> Connector:
            manager = open_connector(source(place, **more), ConnectorContext(fetch_policy=LOOPBACK))
            opened.append(manager)
            return manager.__enter__()

        yield connect
        for manager in opened:
            manager.__exit__(None, None, None)


class TestFiles(ConnectorSuite):
    """The suite of every connector."""


def test_odd_names_are_listed_once_and_read_as_they_are(place: Server, connect: Callable[..., Connector]) -> None:
    for name in ODD_NAMES:
        place.put(name, f"text of {name}")
    connector = connect()
    items = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
    texts = sorted(connector.fetch(item).content.decode() for item in items)
    assert texts == sorted(f"text of {name}" for name in ODD_NAMES)
    with pytest.raises(NotFound):
        connector.fetch(SourceItem("gone.txt", "1"))


def test_what_is_too_large_excluded_or_hidden_is_said_or_left_out(
    place: Server, connect: Callable[..., Connector]
) -> None:
    for name in ("a.md", "b.txt", ".hidden.md", "old/c.md"):
        place.put(name, name)
    place.put("big.md", "x" * 2000)
    found = listed(connect(include=["**/*.md"], exclude=["old/**"], max_file_bytes=1000))
    assert found == (["a.md"], ["FILE_TOO_LARGE"], None)
    assert "max_files (2)" in str(listed(connect(max_files=2))[2])


def test_a_wrong_password_is_refused_and_never_shown(
    place: Server, connect: Callable[..., Connector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_SECRET_FILES", "another-one")
    found = connect().check()
    assert (found["ok"], found["error"].partition(":")[0]) == (False, "ACCESS_REFUSED")
    assert "another-one" not in found["error"]


def test_a_folder_that_is_not_there_is_no_empty_one(place: Server, connect: Callable[..., Connector]) -> None:
    items, _, error = listed(connect(path="/elsewhere"))
    assert (items, error) == ([], "SOURCE_UNAVAILABLE: the folder /elsewhere is not there")


@pytest.mark.parametrize("place", [sftp], indirect=True)
class TestSftp:
    def test_a_listing_continues_after_the_connection_broke(self, place: Server) -> None:
        for number in range(6):
            place.put(f"{number}/a.txt", "text")
        context = ConnectorContext(fetch_policy=LOOPBACK)
        with stamina.set_testing(True, attempts=3), open_connector(source(place, attempts=3), context) as connector:
            listing = connector.list_items()
            entries = iter(listing)
            found = [next(entries), next(entries)]
            place.server.stop()
            place.server.start()
            found += entries
        assert sorted(entry.locator for entry in found) == [f"{number}/a.txt" for number in range(6)]
        assert (listing.complete, listing.error) == (True, None)

    def test_a_listing_that_breaks_off_is_never_complete(
        self, place: Server, connect: Callable[..., Connector]
    ) -> None:
        place.put("a.txt", "text")
        place.put("b/b.txt", "text")
        listing = connect().list_items()
        entries = iter(listing)
        next(entries)
        place.server.stop()
        assert (list(entries), listing.complete, bool(listing.error)) == ([], False, True)
        place.server.start()

    def test_a_folder_that_may_not_be_read_makes_the_listing_incomplete(
        self, place: Server, connect: Callable[..., Connector]
    ) -> None:
        place.put("locked/a.txt", "text")
        assert str(listed(connect())[2]).startswith("ACCESS_REFUSED")

    def test_links_are_not_followed(self, place: Server, connect: Callable[..., Connector]) -> None:
        place.put("a.txt", "text")
        (place.root / "link").symlink_to("/etc")
        assert listed(connect()) == (["a.txt"], ["SYMLINK_IGNORED"], None)

    def test_readers_are_those_of_the_same_files_in_a_folder(
        self, place: Server, connect: Callable[..., Connector]
    ) -> None:
        """Owner, group and mode, of the file and of each folder to it, and a tag that changes with them."""
        place.put("team/a.txt", "text")
        place.put("b.txt", "text")
        local = FilesystemConnector(
            FilesystemOptions(kind="folder", root=str(place.root), directory="corp"), ConnectorContext(1000)
        )
        seen, tags = set[tuple[str, ...] | None](), set[str]()
        for outer, inner in ((0o755, 0o644), (0o755, 0o640), (0o750, 0o644), (0o700, 0o604), (0o711, 0o604)):
            (place.root / "team").chmod(outer)
            (place.root / "team" / "a.txt").chmod(inner)
            connector = connect(directory="corp")
            found, expected = ({one.locator: one for one in each.list_items()} for each in (connector, local))
            acls = {name: connector.fetch(one).acl for name, one in found.items() if isinstance(one, SourceItem)}
            assert acls == {name: local.fetch(one).acl for name, one in expected.items() if isinstance(one, SourceItem)}
            item = found["team/a.txt"]
            assert isinstance(item, SourceItem)
            assert connector.fetch(item).item.version_tag == item.version_tag
            seen.add(acls["team/a.txt"])
            tags.add(item.version_tag)
        assert (len(seen), len(tags)) == (4, 4)

    def test_another_server_at_the_address_gets_no_password(
        self, place: Server, connect: Callable[..., Connector]
    ) -> None:
        found = connect(host_keys=["SHA256:" + "A" * 43]).check()
        assert (found["ok"], "host key" in found["error"]) == (False, True)


@pytest.mark.parametrize("place", [webdav], indirect=True)
class TestWebdav:
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (Answer(b"<html>Sign in</html>", 200, {"content-type": "text/html"}), "RESPONSE_INVALID"),
            (Answer(b"<d:multistatus xmlns:d='DAV:'/>", 207), "RESPONSE_INVALID"),
            (Answer(status=302, headers={"location": "http://127.0.0.2:9/docs/"}), "CROSS_ORIGIN"),
            (Answer(status=503, headers={"retry-after": "1"}), "HTTP_STATUS"),
            (Answer(status=429), "RATE_LIMITED"),
            (Answer(status=405), "HTTP_STATUS"),
        ],
    )
    def test_an_answer_that_is_no_listing_is_no_empty_folder(
        self, connect: Callable[..., Connector], answer: Answer, reason: str
    ) -> None:
        with FakeServer() as server:
            server.reply("/*", lambda _: answer)
            items, _, error = listed(connect(url=server.url()))
        assert items == []
        assert str(error).startswith(reason)


SHARE = {"kind": "smb", "host": "127.0.0.1", "share": "docs", "user": "rag@ACME.EXAMPLE", "attempts": 1}
SECRET = {"env": "RAG_SECRET_FILES"}


@pytest.mark.skipif(find_spec("gssapi") is not None, reason="the extra smb-kerberos is installed")
def test_the_packages_that_kerberos_needs_are_named() -> None:
    config = {"name": "docs", "tenant": "acme", "options": SHARE | {"kerberos": {"keytab": "/etc/rag.keytab"}}}
    with open_connector(SourceConfig.model_validate(config), ConnectorContext(fetch_policy=LOOPBACK)) as connector:
        error = connector.check()["error"]
    assert error.startswith("PACKAGE_MISSING: ")
    assert "rag-platform[smb-kerberos]" in error


def test_a_share_is_signed_in_to_in_one_way_and_its_key_is_a_file_that_it_opens() -> None:
    key = SmbOptions.model_validate(SHARE | {"kerberos": {"keytab": "/etc/rag.keytab"}})
    assert key.opened() == Opened(("/etc/rag.keytab",), (("127.0.0.1", 445),))
    assert SmbOptions.model_validate(SHARE | {"password": SECRET, "kerberos": {}}).key_files == ()
    both = {"keytab": "/etc/rag.keytab", "ccache": "/tmp/rag"}  # noqa: S108
    for more in ({}, {"kerberos": {}}, {"kerberos": both}, {"kerberos": {"ccache": "/k"}, "password": SECRET}):
        with pytest.raises(ValueError, match="password: name it"):
            SmbOptions.model_validate(SHARE | more)
