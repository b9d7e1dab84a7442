"""supervisord: write its configuration, start it, and call it over its private socket."""

from __future__ import annotations

import configparser
import http.client
import io
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Container, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_core.errors import Reason, Unavailable
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.services import Service
from ragctl.tokens import write_private

_LOG_BYTES = 10_000_000
_LOG_BACKUPS = 3
# Each failed start waits one second longer than the last, without end: a service comes back when its cause is gone.
_START_RETRIES = 1_000_000
# A service that dies sooner has not started: the next try waits. Later deaths are answered at once.
_START_SECONDS = 5
_START_TIMEOUT_SECONDS = 600.0
"""Reached by a hang alone: a busy or emulated machine takes minutes to load the program."""

_NOT_RUNNING_FAULTS = {10, 70}
"""10: a service of this release that the stack of the release before, which still runs, does not have."""
_ALREADY_STARTED_FAULTS = {60}


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """State of a service in supervisord. `state` is one of its names (STARTING, RUNNING, BACKOFF, ...)."""

    name: str
    state: str
    pid: int
    started: float
    now: float
    exit_status: int
    problem: str

    @property
    def alive(self) -> bool:
        return self.state in {"STARTING", "RUNNING", "STOPPING"}

    @property
    def uptime_seconds(self) -> float:
        return max(0.0, self.now - self.started) if self.alive else 0.0


@contextmanager
def _sigint_as_usual() -> Iterator[None]:
    """A shell that runs a command in the background has it ignore SIGINT, and the services would inherit that.

    Dagster gives SIGTERM the meaning of SIGINT, so its processes could not be ended in order.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Supervisor:
    """Client of the supervisord of one home."""

    def __init__(self, data_dir: DataDir) -> None:
        self._home = data_dir
        self._socket = data_dir.runtime / "supervisor.sock"
        self._config = data_dir.run / "supervisord.conf"
        self._pid_file = data_dir.runtime / "supervisord.pid"

    def running(self) -> bool:
        """Return whether a supervisord answers."""
        try:
            with self._rpc() as supervisor:
                return bool(supervisor.getState())
        except (OSError, xmlrpc.client.Error):
            return False

    def write_config(self, services: Iterable[Service]) -> None:
        """Write the configuration; it holds no secret."""
        write_private(self._config, self._render(services))

    def start(self, environment: dict[str, str]) -> None:
        """Start supervisord as a daemon in a session of its own, so that Ctrl-C here does not reach it.

        Raises `Unavailable` (`START_FAILED`) when it does not come up.
        """
        for stale in (self._socket, self._pid_file):
            stale.unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(self._config)]
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        try:
            with _sigint_as_usual():
                result = subprocess.run(
                    command,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=_START_TIMEOUT_SECONDS,
                    check=False,
                    start_new_session=True,
                )
        except subprocess.TimeoutExpired:
            raise Unavailable(Reason.START_FAILED, "supervisord hangs; run `rag doctor`, then `rag up`") from None
        while not self.running():
            if result.returncode != 0 or time.monotonic() > deadline:
                lines = (result.stderr or result.stdout).strip().splitlines() or ["it does not answer"]
                raise Unavailable(Reason.START_FAILED, f"supervisord: {lines[-1]}")
            time.sleep(0.02)

    def infos(self) -> dict[str, ProcessInfo]:
        """State of every service by name; empty when supervisord does not answer."""
        try:
            with self._rpc() as supervisor:
                listed = supervisor.getAllProcessInfo()
        except (OSError, xmlrpc.client.Error):
            return {}
        return {item["name"]: _info(item) for item in listed}

    def reload(self, only: Container[str] | None = None) -> None:
        """Take up the configuration that was written: new services can be started, dropped ones are stopped first.

        With `only` parts of other names stay as they run.
        """
        with self._rpc() as supervisor:
            [found] = supervisor.reloadConfig()
            added, changed, removed = ([name for name in names if only is None or name in only] for names in found)
            for name in (*changed, *removed):
                supervisor.stopProcessGroup(name)
                supervisor.removeProcessGroup(name)
            for name in (*changed, *added):
                supervisor.addProcessGroup(name)

    def start_service(self, name: str) -> None:
        """Start a service without waiting; no-op when it runs."""
        self._call("startProcess", name, ignore=_ALREADY_STARTED_FAULTS)

    def stop_service(self, name: str) -> None:
        """Ask a service to stop without waiting; no-op when it does not run."""
        self._call("stopProcess", name, ignore=_NOT_RUNNING_FAULTS)

    def shutdown(self, timeout: float = 30) -> None:
        """End supervisord and wait for it. Services that still run are stopped by it first."""
        with self._rpc() as supervisor:
            pid = int(supervisor.getPID())
            supervisor.shutdown()
        deadline = time.monotonic() + timeout
        while self.running() or _exists(pid):
            if time.monotonic() > deadline:
                raise Unavailable(
                    Reason.STACK_NOT_RUNNING, f"supervisord (process {pid}) did not end in {timeout:.0f} s"
                )
            time.sleep(0.05)

    def _call(self, method: str, name: str, *, ignore: set[int]) -> None:
        try:
            with self._rpc() as supervisor:
                getattr(supervisor, method)(name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in ignore:
                raise Unavailable(Reason.START_FAILED, f"{name}: {fault.faultString}") from None
        except OSError:
            raise Unavailable(Reason.STACK_NOT_RUNNING, "the supervisor is gone; run `rag up`") from None

    @contextmanager
    def _rpc(self) -> Iterator[Any]:
        with closing(_SocketTransport(self._socket)) as transport:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _escape(self, value: str) -> str:
        # supervisord expands % once or twice, depending on the option, and cuts values at " ;" and " #".
        # The link has none of these.
        return value.replace(str(self._home.root), str(self._home.link)).replace("%", "%%")

    def _render(self, services: Iterable[Service]) -> str:
        config = configparser.RawConfigParser()
        config["unix_http_server"] = {"file": str(self._socket), "chmod": "0700"}
        config["supervisorctl"] = {"serverurl": f"unix://{self._socket}"}
        config["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        config["supervisord"] = {
            "logfile": self._escape(str(self._home.log("supervisord"))),
            "logfile_maxbytes": str(_LOG_BYTES),
            "logfile_backups": str(_LOG_BACKUPS),
            "pidfile": str(self._pid_file),
            "directory": self._escape(str(self._home.root)),
            "nocleanup": "true",
            "umask": "022",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        }
        for service in services:
            config[f"program:{service.name}"] = self._program(service)
        buffer = io.StringIO()
        config.write(buffer)
        return buffer.getvalue()

    def _program(self, service: Service) -> dict[str, str]:
        return {
            "command": self._escape(shlex.join(self._wrapped(service))),
            "autostart": "false",
            "autorestart": "true",
            "startsecs": str(_START_SECONDS),
            "startretries": str(_START_RETRIES),
            "stopsignal": service.stop_signal,
            "stopwaitsecs": str(service.stop_seconds),
            "killasgroup": "true",
            "priority": str(900 - service.stop_wave * 100),
            "redirect_stderr": "true",
            "stdout_logfile": self._escape(str(self._home.log(service.name))),
            "stdout_logfile_maxbytes": str(_LOG_BYTES),
            "stdout_logfile_backups": str(_LOG_BACKUPS),
        }

    def _wrapped(self, service: Service) -> list[str]:
        options = [f"--part={service.name}", f"--count={self._home.counts / service.name}"]
        options += [f"--wait={address}" for address in service.waits]
        options += [f"--env={name}={value}" for name, value in service.env]
        return [sys.executable, "-P", "-m", "ragctl.local_stack.exec", *options, "--", *service.command]


def _info(item: dict[str, Any]) -> ProcessInfo:
    return ProcessInfo(
        name=item["name"],
        state=item["statename"],
        pid=item["pid"],
        started=float(item["start"]),
        now=float(item["now"]),
        exit_status=item["exitstatus"],
        problem=item["spawnerr"],
    )


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class _SocketTransport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket. supervisor's own transport imports its web server, for each `rag status`."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        made = self._connection[1] or _SocketConnection(self._path)
        self._connection = host, made
        return made


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))
