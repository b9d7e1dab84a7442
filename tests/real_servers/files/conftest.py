"""Two servers of Samba for the tests of shares; skipped where they cannot run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.samba import PASSWORD, SMBD, Namespace, Samba

Start = Callable[..., Iterator[Samba]]


@pytest.fixture(scope="session")
def start_samba() -> Start:
    """Starts a server, where one can run."""
    if SMBD is None:
        pytest.skip("no smbd (Debian's samba), and RAG_TEST_SMBD names none")
    if os.getuid() != 0:
        pytest.skip("Samba takes people for accounts of this machine, as root alone")
    return _started


@pytest.fixture(scope="session")
def samba(start_samba: Start) -> Iterator[Samba]:
    yield from start_samba("127.0.0.1")


@pytest.fixture(scope="session")
def second(samba: Samba, start_samba: Start) -> Iterator[Samba]:
    """Another server, on the same port as every server that links of DFS lead to."""
    yield from start_samba("127.0.0.2", samba.port)


@pytest.fixture
def namespace(samba: Samba, second: Samba, monkeypatch: pytest.MonkeyPatch) -> Iterator[Namespace]:
    monkeypatch.setenv("RAG_SECRET_FILES", PASSWORD)
    yield Namespace(samba, second)
    for server in (samba, second):
        for name in ("files", "links"):
            shutil.rmtree(server.folder / name)
            (server.folder / name).mkdir()


def _started(address: str, port: int | None = None, more: str = "") -> Iterator[Samba]:
    with tempfile.TemporaryDirectory(prefix="rag-smb-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_SECRET_FILES", PASSWORD)
        Path(folder).chmod(0o755)
        server = Samba(Path(folder), address, port, more)
        yield server
        server.stop()
