"""`python -m ragctl.local_stack.watchdog`: end services that no longer answer, so that the supervisor restarts them.

supervisord sees a process that ends, not one that hangs (a dead lock in the engine, SIGSTOP, a disk that fails). Every
service with a `heartbeat` is probed with a deadline: `grpc.health.v1.Health/Check`, the definitions of a code server,
or a database connection. One that has answered before and then does not for `RAG_HANG_SECONDS` is killed with its
children (supervisord makes each service the leader of a process group). What it was doing is repaired like any crash.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import grpc
import psycopg

from rag_core.database import recovering
from rag_core.settings import Settings
from ragctl.grpc_client import query_channel
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.probes import LIST_DEFINITIONS
from ragctl.local_stack.services import CODE_SERVER, TLS, Service, build_services
from ragctl.local_stack.supervisor import ProcessInfo, Supervisor

ROUND_SECONDS = 5.0
"""Between two rounds of questions, unless a service is ended so soon that more are needed until then."""
_ROUNDS = 6
"""At least so many questions stay without an answer before a service is ended."""
ASK_SECONDS = 2.0
_OWN_POOL = ("grpc.use_local_subchannel_pool", 1)
"""Each question has a connection of its own."""
_HEALTH_CHECK = "/grpc.health.v1.Health/Check"
Ask = Callable[[str], bool]


def answers(settings: Settings, address: str) -> bool:
    """Return whether the database at a URL, or the gRPC server at an address, answers in time; `https://` is one with
    TLS."""
    if address.startswith(CODE_SERVER):
        return _server_answers(_plain_channel(address.removeprefix(CODE_SERVER)), LIST_DEFINITIONS)
    if address.startswith(TLS):
        return _server_answers(query_channel(settings, address.removeprefix(TLS), _OWN_POOL))
    if "://" in address:
        return _database_answers(address)
    return _server_answers(_plain_channel(address))


def _plain_channel(address: str) -> grpc.Channel:
    return grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0), _OWN_POOL])


def _database_answers(url: str) -> bool:
    """Return whether it accepts or refuses a connection. After a crash it may recover for ever, when a disk fails."""
    try:
        psycopg.connect(url, connect_timeout=int(ASK_SECONDS)).close()
    except psycopg.OperationalError as error:
        return "FATAL:" in str(error) and not recovering(error)
    return True


def _server_answers(opened: grpc.Channel, method: str = _HEALTH_CHECK) -> bool:
    """Return whether it answers; that it is not serving, or could not load its definitions, is an answer too."""
    with opened as channel:
        ask = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        try:
            ask(b"", timeout=ASK_SECONDS)
        except grpc.RpcError:
            return False
    return True


class Watchdog:
    """Probes the services of one supervisor. `silence` is in seconds."""

    def __init__(self, supervisor: Supervisor, services: Sequence[Service], *, silence: float, ask: Ask) -> None:
        self._supervisor = supervisor
        self.watch(services)
        self._silence = silence
        self._ask = ask
        self._answered: dict[tuple[str, int], float] = {}

    def watch(self, services: Sequence[Service]) -> None:
        """Set the watched services: a deployment starts and retires query servers while the stack runs."""
        self._addresses = {part.name: part.heartbeat for part in services if part.heartbeat is not None}

    def poll(self) -> list[str]:
        """Ask every service once; returns the names of those that were ended.

        A process that has not answered yet is left alone: it starts, and its start has a limit of its own.
        """
        infos = self._supervisor.infos()
        alive = {name: info for name, info in infos.items() if name in self._addresses and info.state == "RUNNING"}
        processes = {(name, info.pid) for name, info in alive.items()}
        self._answered = {process: seen for process, seen in self._answered.items() if process in processes}
        return [name for name, info in alive.items() if self._hangs(info) and self._end(info)]

    def _hangs(self, info: ProcessInfo) -> bool:
        process = (info.name, info.pid)
        if self._ask(self._addresses[info.name]):
            self._answered[process] = time.monotonic()
            return False
        seen = self._answered.get(process)
        return seen is not None and time.monotonic() - seen > self._silence

    def _end(self, info: ProcessInfo) -> bool:
        # Only what the supervisor still runs under this id: a process that ended meanwhile gave its id back.
        now = self._supervisor.infos().get(info.name)
        if now is None or now.pid != info.pid or not now.alive:
            return False
        os.killpg(info.pid, signal.SIGKILL)
        print(json.dumps({"event": "hung part killed", "part": info.name, "pid": info.pid}), flush=True)
        return True


def main() -> None:
    """Check until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings.load()
    data_dir = DataDir.of(settings)
    ask = partial(answers, settings)
    watchdog = Watchdog(Supervisor(data_dir), (), silence=settings.hang_seconds, ask=ask)
    pause = min(ROUND_SECONDS, settings.hang_seconds / _ROUNDS) if settings.hang_seconds else ROUND_SECONDS
    while not stop.is_set():
        if settings.hang_seconds:
            watchdog.watch(build_services(settings, data_dir))
            watchdog.poll()
        data_dir.watchdog_heartbeat.touch()
        stop.wait(pause)


if __name__ == "__main__":
    main()
