"""Sources of a wiki against MediaWiki itself: PHP's own server, SQLite, and its maintenance scripts for changes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import free_port
from tests.support.wiki_suite import PASSWORD, WikiSuite

PHP = shutil.which("php")
CODE = Path(os.environ.get("RAG_TEST_MEDIAWIKI", "/usr/share/mediawiki"))
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(
        PHP is None or not (CODE / "api.php").exists(),
        reason="no MediaWiki (Debian's mediawiki, php-cli, php-sqlite3, php-xml, …), and RAG_TEST_MEDIAWIKI names none",
    ),
]
SETTINGS = """<?php
require __DIR__ . '/installed/LocalSettings.php';
$wgSQLiteDataDir = __DIR__ . '/data';
$wgServer = 'http://' . ($_SERVER['HTTP_HOST'] ?? '127.0.0.1');
$wgEnableUploads = true;
$wgUploadDirectory = __DIR__ . '/files';
$wgUploadPath = '/files';
$wgFileExtensions = ['csv', 'txt'];
$wgCapitalLinks = false;
$wgJobRunRate = 0;
$wgRateLimits = [];
$wgPasswordAttemptThrottle = [];
$wgContentNamespaces = [NS_MAIN];
foreach (['*', 'user', 'staff', 'sysop'] as $group) {
    $wgGroupPermissions[$group]['read'] = in_array($group, explode(' ', file_get_contents(__DIR__ . '/readers')));
}
"""
ROUTER = """<?php
$file = __DIR__ . urldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
if (str_starts_with($file, __DIR__ . '/files/') && is_file($file)) { readfile($file); return; }
return false;
"""


class MediaWiki:
    """A wiki in a folder of its own: a copy of one that was installed, without its main page."""

    def __init__(self, folder: Path, installed: Path | None = None) -> None:
        self.folder, self.port = folder, free_port()
        if installed is None:
            self._install()
        else:
            shutil.copytree(installed, folder, dirs_exist_ok=True)
        self.options: dict[str, Any] = {
            "kind": "mediawiki", "url": f"http://127.0.0.1:{self.port}/api.php", "attempts": 1,
            "requests_per_second": 1000,
            "login": {"type": "password", "user": "Reader@rag", "password": {"env": "RAG_SECRET_WIKI"}},
        }  # fmt: skip
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("wb") as log:
            self._server = subprocess.Popen(
                [str(PHP), "-S", f"127.0.0.1:{self.port}", "-t", str(CODE), str(self.folder / "router.php")],
                env=self._environment(), stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + 60
        while time.monotonic() < until and self._server.poll() is None:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
        raise AssertionError((self.folder / "log").read_text())

    def _install(self) -> None:
        for name in ("data", "installed", "files"):
            (self.folder / name).mkdir()
        self.script(
            "install", "--dbtype", "sqlite", "--dbpath", self.folder / "data", "--dbname", "wiki", "--scriptpath", "",
            "--server", "http://127.0.0.1", "--confpath", self.folder / "installed", "--pass", PASSWORD,
            "wiki", "Admin", installed=False,
        )  # fmt: skip
        (self.folder / "LocalSettings.php").write_text(SETTINGS)
        (self.folder / "router.php").write_text(ROUTER)
        self.open("*", "user")
        self.script("createAndPromote", "--custom-groups", "staff", "Reader", PASSWORD)
        self.script("createBotPassword", "--appid", "rag", "--grants", "basic", "Reader", PASSWORD)
        self.remove("Main Page")

    def script(self, name: str, *arguments: object, text: str = "", installed: bool = True) -> None:
        done = subprocess.run(
            [str(PHP), CODE / "maintenance" / f"{name}.php", *map(str, arguments)],
            input=text, text=True, capture_output=True, env=self._environment(installed=installed),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def put(self, name: str, text: str) -> None:
        self.script("edit", "--user", "Admin", name, text=text)

    def remove(self, name: str) -> None:
        self.script("deleteBatch", "--u", "Admin", self._list(name))

    def move(self, name: str, new: str) -> None:
        self.script("moveBatch", "--u", "Admin", self._list(f"{name}|{new}"))

    def upload(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(content)
            self.script("importImages", "--user", "Admin", "--overwrite", "--extensions", "csv", folder)

    def jobs(self) -> None:
        # The wiki notes by the second when a page was brought up to date.
        self.script("runJobs")

    def open(self, *groups: str) -> None:
        (self.folder / "readers").write_text(" ".join(groups))

    def end_sessions(self) -> None:
        self.script("invalidateUserSessions", "--user", "Reader")

    def lose(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(30)

    def _list(self, line: str) -> Path:
        (self.folder / "list").write_text(f"{line}\n")
        return self.folder / "list"

    def _environment(self, *, installed: bool = True) -> dict[str, str]:
        return dict(os.environ) | ({"MW_CONFIG_FILE": str(self.folder / "LocalSettings.php")} if installed else {})


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rag-wiki-") as folder:
        yield MediaWiki(Path(folder)).folder


@pytest.fixture
def place(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MediaWiki]:
    monkeypatch.setenv("RAG_SECRET_WIKI", PASSWORD)
    with tempfile.TemporaryDirectory(prefix="rag-wiki-") as folder:
        made = MediaWiki(Path(folder), installed)
        made.start()
        yield made
        made.lose()


class TestMediaWiki(WikiSuite):
    """The suite of every source of a wiki."""
