"""The generated supervisord configuration, in a real supervisord, and which answers of a database are signs of life."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socketserver
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from benchmarks.ports import free_port
from rag_core.database import open_store
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.errors import Unavailable
from rag_core.governance.history import StoredSeries, Tally
from rag_core.settings import Settings
from ragctl.local_stack import lifecycle, probes
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.environment import stack_environment
from ragctl.local_stack.lifecycle import stop_stack, wait_healthy
from ragctl.local_stack.measuring import StackMeasurement
from ragctl.local_stack.probes import ProbeResult
from ragctl.local_stack.services import Service, build_services
from ragctl.local_stack.start_deadline import StartDeadline
from ragctl.local_stack.supervisor import Supervisor
from ragctl.local_stack.watchdog import Watchdog, answers
from tests.support.postgres import die_with_parent, reachable_folder


def _parts(home: DataDir) -> dict[str, Service]:
    async def awake() -> ProbeResult:
        return ProbeResult("100 % awake" in home.log("sleeper").read_text())

    async def never() -> ProbeResult:
        return ProbeResult(False, "no answer")

    sleeper = "import subprocess; print('100 % awake', flush=True); subprocess.run(['sleep', '1000'])"
    broken = "raise SystemExit('cannot find my keys')"
    return {
        "sleeper": Service(name="sleeper", command=(sys.executable, "-c", sleeper), probe=awake),
        "broken": Service(name="broken", command=(sys.executable, "-c", broken), probe=never),
    }


async def _until(true: Callable[[], bool]) -> None:
    """Ask now and then; supervisord has nothing that could be awaited."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.05)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[DataDir]:
    made = DataDir(tmp_path / "a b%c ;d")
    made.create()
    yield made
    shutil.rmtree(made.runtime, ignore_errors=True)


@pytest.fixture
def supervisor(home: DataDir) -> Iterator[Supervisor]:
    running = Supervisor(home)
    running.write_config(_parts(home).values())
    running.start(stack_environment(Settings(home=home.root), home, "test"))
    yield running
    running.shutdown()
    assert not running.running()


async def test_a_part_starts_logs_and_comes_back_after_kill_9(home: DataDir, supervisor: Supervisor) -> None:
    sleeper = _parts(home)["sleeper"]
    assert supervisor.infos()["sleeper"].state == "STOPPED"
    supervisor.start_service("sleeper")
    supervisor.start_service("sleeper")
    await wait_healthy(sleeper, supervisor, home, StartDeadline(600))
    halted = replace(sleeper, probe=_parts(home)["broken"].probe, start_probe=sleeper.probe)
    await wait_healthy(halted, supervisor, home, StartDeadline(0))
    first = supervisor.infos()["sleeper"].pid
    psutil.Process(first).kill()
    await _until(lambda: (home.counts / "sleeper").read_text() == "2")
    assert supervisor.infos()["sleeper"].pid != first
    supervisor.stop_service("sleeper")
    supervisor.stop_service("sleeper")
    await _until(lambda: not supervisor.infos()["sleeper"].alive)
    assert "100 % awake" in home.log("sleeper").read_text()


async def test_a_part_that_was_started_long_ago_and_is_broken_is_started_again(
    home: DataDir, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rag up` beside it ends; without that it would wait for as long as the part takes processor time."""
    monkeypatch.setattr(lifecycle, "_BROKEN_SECONDS", 0)
    supervisor.start_service("sleeper")
    await _until(lambda: supervisor.infos()["sleeper"].uptime_seconds > 0)
    first = supervisor.infos()["sleeper"].pid

    async def repaired() -> ProbeResult:
        return ProbeResult(supervisor.infos()["sleeper"].pid != first)

    broken = replace(_parts(home)["sleeper"], probe=repaired, start_seconds=0)
    await wait_healthy(broken, supervisor, home, StartDeadline(600, clock=lambda: 0))
    assert supervisor.infos()["sleeper"].alive


async def test_a_part_that_keeps_dying_is_given_up_with_its_last_words(home: DataDir, supervisor: Supervisor) -> None:
    supervisor.start_service("broken")
    with pytest.raises(Unavailable, match=r"broken: it keeps ending.*cannot find my keys"):
        await wait_healthy(_parts(home)["broken"], supervisor, home, StartDeadline(600))


async def test_the_history_gets_the_memory_of_services_and_the_size_of_folders(
    home: DataDir, supervisor: Supervisor
) -> None:
    supervisor.start_service("sleeper")
    await wait_healthy(_parts(home)["sleeper"], supervisor, home, StartDeadline(600))
    (home.logs / "long.log").write_bytes(b"x" * 200_000)
    tally = Tally()
    StackMeasurement(Settings(home=home.root), home)(tally, 60)
    (minute,) = tally.take(before=61)
    found = {(key.series, key.label): figure.total for key, figure in minute.figures.items()}
    assert found[StoredSeries.MEMORY, "sleeper"] == pytest.approx(
        psutil.Process(supervisor.infos()["sleeper"].pid).memory_info().rss, rel=0.2
    )
    assert (StoredSeries.MEMORY, "broken") not in found
    assert found[StoredSeries.DISK, "logs"] >= 200_000
    assert found[StoredSeries.DISK_FREE, "RAG_HOME"] > 0


def test_a_supervisor_that_is_not_there_has_no_parts(home: DataDir) -> None:
    assert not Supervisor(home).running()
    assert Supervisor(home).infos() == {}


def test_the_parts_of_the_default_stack_stop_from_the_outside_in(home: DataDir) -> None:
    services = {part.name: part for part in build_services(Settings(home=home.root), home)}
    waves = {name: part.stop_wave for name, part in services.items()}
    assert waves["gateway"] < waves["dagster-daemon"] < waves["query-server"] < waves["postgres"]
    assert services["query-server"].needs == ("migrate", "model")


def test_with_a_database_elsewhere_none_is_started(home: DataDir) -> None:
    settings = Settings(home=home.root, database_url="postgresql://rag:hunter2@db/rag")
    names = [part.name for part in build_services(settings, home)]
    assert "postgres" not in names
    Supervisor(home).write_config(build_services(settings, home))
    assert "hunter2" not in (home.run / "supervisord.conf").read_text()


class _Pulse:
    """Stands for the heartbeat of a part in the test's hands."""

    def __init__(self) -> None:
        self.beats = True

    def ask(self, _address: str) -> bool:
        return self.beats


async def test_a_part_that_answered_once_and_hangs_is_killed_and_comes_back(
    home: DataDir, supervisor: Supervisor
) -> None:
    sleeper, pulse = replace(_parts(home)["sleeper"], heartbeat="unused"), _Pulse()
    watchdog = Watchdog(supervisor, [sleeper], silence=0, ask=pulse.ask)
    supervisor.start_service("sleeper")
    await _until(lambda: supervisor.infos()["sleeper"].state == "RUNNING")
    first = supervisor.infos()["sleeper"].pid
    children = psutil.Process(first).children()
    pulse.beats = False
    assert watchdog.poll() == []  # it may still be starting
    pulse.beats = True
    assert watchdog.poll() == []
    pulse.beats = False
    assert watchdog.poll() == ["sleeper"]
    await _until(lambda: supervisor.infos()["sleeper"].pid not in {0, first})
    assert len(children) == 1
    assert psutil.wait_procs(children, 60)[1] == [], "a child that hangs too would stay for ever"


def test_a_stack_of_the_release_before_is_stopped_though_it_lacks_a_service(home: DataDir) -> None:
    supervisor, parts = Supervisor(home), _parts(home)
    supervisor.write_config(parts.values())
    supervisor.start(stack_environment(Settings(home=home.root), home, "test"))
    new = replace(parts["broken"], name="new")
    try:
        assert stop_stack(Settings(home=home.root), home, [*parts.values(), new])
        assert not supervisor.running()
    finally:
        if supervisor.running():
            supervisor.shutdown()


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
