"""Which answers of a database count as signs of life."""

from __future__ import annotations

import os
import signal
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from rag_core.database import open_store
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.errors import Unavailable
from rag_core.settings import Settings
from ragctl.local_stack import probes
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.services import build_services
from ragctl.local_stack.watchdog import answers
from tests.support.postgres import die_with_parent, reachable_folder

SSL_REQUEST = 80877103
AUTHENTICATED = b"R" + struct.pack("!ii", 8, 0) + b"Z" + struct.pack("!i", 5) + b"I"


@contextmanager
def server_saying(answer: bytes) -> Iterator[str]:
    """A server of PostgreSQL's protocol that answers a connection, and no statement."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while True:
                size, kind = struct.unpack("!ii", self.rfile.read(8))
                self.rfile.read(size - 8)
                if kind != SSL_REQUEST:
                    break
                self.wfile.write(b"N")
            self.wfile.write(answer)
            while self.rfile.read(1):
                pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"postgresql://rag@127.0.0.1:{server.server_address[1]}/rag"
        server.shutdown()


def refusal(code: str, message: str) -> bytes:
    fields = b"".join(kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"C", code), (b"M", message)))
    return b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\0"


def test_a_database_that_repairs_itself_gives_no_sign_of_life_and_is_named_as_that() -> None:
    with server_saying(refusal("57P03", "the database system is in recovery mode")) as url:
        assert not answers(Settings(), url)
        with pytest.raises(Unavailable, match="recovers from a crash"):
            open_store(Settings(database_url=url)).engine.connect()


def test_a_database_that_has_no_connection_left_lives() -> None:
    with server_saying(refusal("53300", "sorry, too many clients already")) as url:
        assert answers(Settings(), url)


async def test_a_probe_does_not_wait_for_a_statement_that_gets_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_TIMEOUT_SECONDS", 1.0)
    with server_saying(AUTHENTICATED) as url:
        assert await probes.postgres(url)() == probes.ProbeResult(False, "a statement gets no answer")


def test_a_database_that_is_stopped_gives_no_sign_of_life_until_it_continues() -> None:
    folder = reachable_folder()
    server = EmbeddedPostgres(folder / "postgres", free_port(), durable=False)
    server.start(preexec=die_with_parent)
    assert server.pid is not None
    try:
        assert answers(Settings(), server.url())
        os.kill(server.pid, signal.SIGSTOP)
        assert not answers(Settings(), server.url())
    finally:
        os.kill(server.pid, signal.SIGCONT)
        server.stop()


def test_the_watchdog_asks_the_embedded_database(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    services = {part.name: part for part in build_services(settings, DataDir(tmp_path))}
    assert services["postgres"].heartbeat == settings.effective_database_url
