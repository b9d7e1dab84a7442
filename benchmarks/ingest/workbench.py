"""A temporary installation: its own home and PostgreSQL, shared model files."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql
from pydantic import SecretStr

from benchmarks.ports import free_port
from benchmarks.processes import index_process
from rag_core.content.embedding import prepare_model
from rag_core.database import upgrade
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.settings import Settings
from ragctl.tokens import new_secret


class Workbench:
    """Makes fresh installations on one running database server."""

    def __init__(self, settings: Settings, root: Path, server: EmbeddedPostgres) -> None:
        self._settings = settings
        self.root = root
        self.home = settings.home.resolve()
        self._server = server
        self._numbers = itertools.count()

    def installation(self, embedder: Literal["onnx", "fake"]) -> Settings:
        """Settings of a new, empty installation with the user's limits and thread counts."""
        name = f"bench{next(self._numbers)}"
        with psycopg.connect(self._server.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        upgrade(self._server.url(name))
        home = self.root / name
        home.mkdir()
        (home / "models").symlink_to(self._settings.model_dir.resolve())
        changes = {"home": home, "database_url": self._server.url(name), "embedder": embedder, "index_endpoint": None}
        return Settings.model_validate(self._settings.model_dump() | changes)

    @contextmanager
    def with_index_process(self, settings: Settings) -> Iterator[Settings]:
        """The same installation with its index in a process of its own, as in a running stack."""
        ports = {name: free_port() for name in ("index_port", "index_metrics_port")}
        reach = {"index_endpoint": f"127.0.0.1:{ports['index_port']}", "index_secret": SecretStr(new_secret())}
        apart = settings.model_copy(update=ports | reach)
        with index_process(apart):
            yield apart


@contextmanager
def open_workbench(settings: Settings) -> Iterator[Workbench]:
    """A workbench under RAG_HOME/bench with a durable PostgreSQL, as in production; all of it is removed at the end."""
    prepare_model(settings)
    parent = (settings.home / "bench").resolve()
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=parent) as folder:
        root = Path(folder)
        root.chmod(0o755)  # the database server may run as another user
        server = EmbeddedPostgres(root / "postgres", free_port())
        server.start(log=root / "postgres.log")
        try:
            yield Workbench(settings, root, server)
        finally:
            server.stop()
