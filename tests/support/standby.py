"""A primary and a standby that streams from it, each with what the platform needs of a PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from benchmarks.ports import free_port
from rag_core.database.embedded.account import ServerAccount, programs, server_account
from rag_core.database.embedded.server import EmbeddedPostgres
from tests.support.postgres import die_with_parent, reachable_folder

_RULES = "\nlocal all postgres trust\nhost replication rag 127.0.0.1/32 trust\n"


@dataclass(frozen=True)
class Pair:
    """Two servers. What the primary has acknowledged, the standby has too."""

    primary: EmbeddedPostgres
    standby: EmbeddedPostgres
    account: ServerAccount

    def url(self, database: str) -> str:
        """A URL that names both, the standby first."""
        hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in (self.standby, self.primary))
        return f"postgresql://rag@/{database}?{hosts}&target_session_attrs=read-write"

    def kill_primary(self) -> None:
        """End it as a host that loses power does."""
        main = psutil.Process(self.primary.pid)
        for process in (main, *main.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        main.wait()

    def promote(self) -> None:
        """Make the standby the primary; it waits for no standby of its own."""
        self._run("pg_ctl", "promote", "-D", str(self.standby.data_dir))
        self.tell(self.standby, "ALTER SYSTEM RESET synchronous_standby_names")
        self.tell(self.standby, "SELECT pg_reload_conf()")

    def tell(self, server: EmbeddedPostgres, statement: str) -> None:
        """Run a statement as the administrator."""
        place = ["-h", str(server.data_dir), "-p", str(server.port), "-U", "postgres", "postgres"]
        self._run("psql", *place, "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--command={statement}")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(programs(self.account) / program), *arguments],
            user=self.account.uid,
            group=self.account.gid,
            cwd="/",
            env={"PATH": os.defpath},
            check=True,
            capture_output=True,
        )

    def _copy(self) -> None:
        self.standby.data_dir.mkdir(mode=0o700)
        if self.account.uid is not None and self.account.gid is not None:
            os.chown(self.standby.data_dir, self.account.uid, self.account.gid)
        source = f"host=127.0.0.1 port={self.primary.port} user=rag application_name=standby"
        self._run("pg_basebackup", "-d", source, "-D", str(self.standby.data_dir), "-R", "--checkpoint=fast")


@contextmanager
def replicated() -> Iterator[Pair]:
    """A running pair; the primary waits for the standby with every commit."""
    folder = reachable_folder()
    primary, standby = (EmbeddedPostgres(folder / name, free_port()) for name in ("primary", "standby"))
    pair = Pair(primary, standby, server_account())
    try:
        pair.primary.init()
        with (pair.primary.data_dir / "pg_hba.conf").open("a") as rules:
            rules.write(_RULES)
        pair.primary.start(log=folder / "primary.log", preexec=die_with_parent)
        pair.tell(pair.primary, "ALTER ROLE rag REPLICATION")
        pair._copy()
        pair.standby.start(log=folder / "standby.log", preexec=die_with_parent)
        pair.tell(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        pair.tell(pair.primary, "SELECT pg_reload_conf()")
        yield pair
    finally:
        for server in (primary, standby):
            with suppress(ProcessLookupError):
                server.stop()
        shutil.rmtree(folder, ignore_errors=True)
