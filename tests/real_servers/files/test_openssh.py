"""SFTP sources against OpenSSH: the contract of connectors with a login by key, and a server that restarts."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest

from benchmarks.ports import free_port
from rag_assets.testing import ConnectorSuite
from rag_core.content.sources import SourceItem
from tests.contract.connectors.test_files import ODD_NAMES, Server

SSHD = os.environ.get("RAG_TEST_SSHD") or shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(SSHD is None, reason="no sshd (Debian's openssh-server), and RAG_TEST_SSHD names none"),
]


class Sshd:
    """OpenSSH's server for one user by key, run by an account without rights.

    With PAM, since an account without a password may be locked otherwise."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder = free_port(), folder
        self.user = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        for name in ("host", "login"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        self.fingerprint = paramiko.Ed25519Key.from_private_key_file(str(folder / "host")).fingerprint
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM yes\n"
            "StrictModes no\n"
            f"AuthorizedKeysFile {folder}/login.pub\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
        )
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, self.user)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [str(SSHD), "-D", "-e", "-f", str(self._folder / "sshd_config")]
        account: dict[str, Any] = (
            {"user": self.user, "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
        )
        with (self._folder.with_suffix(".log")).open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, cwd="/", **account)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            probe = subprocess.run(["ssh-keyscan", "-p", str(self.port), "127.0.0.1"], capture_output=True, check=False)
            if probe.stdout:
                return
        raise AssertionError(self._folder.with_suffix(".log").read_text())

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    close = stop


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="rag-sshd-") as folder:
        root = Path(folder) / "files"
        root.mkdir()
        server = Sshd(Path(folder))
        monkeypatch.setenv("RAG_SECRET_KEY", (Path(folder) / "login").read_text())
        options = {"kind": "sftp", "host": "127.0.0.1", "port": server.port, "user": server.user, "path": str(root),
                   "login": {"type": "key", "private_key": {"env": "RAG_SECRET_KEY"}}, "attempts": 1,
                   "host_keys": [server.fingerprint]}  # fmt: skip
        place = Server(root, server, options)
        place.lose = server.stop  # type: ignore[method-assign]
        yield place
        server.stop()


class TestOpenSsh(ConnectorSuite):
    """The suite of every connector."""

    def test_odd_names_are_listed_once_and_read_as_they_are(self, place: Server) -> None:
        for name in ODD_NAMES:
            place.put(name, f"text of {name}")
        with self.connect(place) as connector:
            items = [entry for entry in connector.list_items() if isinstance(entry, SourceItem)]
            texts = sorted(connector.fetch(item).content.decode() for item in items)
        assert texts == sorted(f"text of {name}" for name in ODD_NAMES)
