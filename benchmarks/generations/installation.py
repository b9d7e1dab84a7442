"""A temporary installation with its processes: database, index, query server, stream worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks import processes
from benchmarks.generations import corpus
from benchmarks.ingest.workbench import open_workbench
from benchmarks.ports import free_port
from rag_core.content.streams import inbox_store as inbox
from rag_core.errors import Reason, Unavailable
from rag_core.ingestion.pipeline import Pipeline
from rag_core.settings import Settings
from ragctl.tokens import ensure_keys, new_secret

_PORTS = ("query_port", "index_port", "index_metrics_port", "metrics_port", "stream_metrics_port")
_RAG = Path(sys.executable).with_name("rag")
_LIMIT_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Installation:
    """Running. `pipeline` is this process's own way to its database and index."""

    settings: Settings
    pipeline: Pipeline

    def rag(self, *arguments: str, expect: int | None = 0) -> Any:
        """The data of a command's JSON document. Raises `Unavailable` for an unexpected exit code."""
        command = [str(_RAG), *arguments, "--output", "json"]
        done = subprocess.run(command, env=_environment(self.settings), capture_output=True, text=True, check=False)
        if expect is not None and done.returncode != expect:
            raise Unavailable(Reason.INTERNAL, f"rag {' '.join(arguments)}: {done.stderr[-500:]}{done.stdout[-500:]}")
        return json.loads(done.stdout)["data"]

    def wait_for_inbox(self) -> None:
        """Return when the stream worker has applied everything that was accepted."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        while True:
            with self.pipeline.store.engine.connect() as connection:
                waiting, _ = inbox.pending(connection)
            if not waiting:
                return
            if time.monotonic() > deadline:
                raise Unavailable(Reason.DEADLINE, f"{waiting} changes were not applied in {_LIMIT_SECONDS:.0f} s")
            time.sleep(0.1)


@contextmanager
def installed(settings: Settings, documents: int, qdrant_url: str | None = None) -> Iterator[Installation]:
    """Start everything, with a corpus of so many documents in the first generation."""
    with open_workbench(settings) as workbench:
        own = _own(workbench.installation("fake"), qdrant_url)
        ensure_keys(own)
        corpus.write_golden(own.home / "golden" / "bench", documents)
        owner = processes.qdrant_left_clean if own.qdrant_url else processes.index_process
        with owner(own), Pipeline(own) as pipeline:
            made = Installation(own, pipeline)
            with _process(own, "stream worker", [str(_RAG), "stream"], f"{own.stream_metrics_port}/health"):
                corpus.push(pipeline, range(documents))
                made.wait_for_inbox()
                server = [sys.executable, "-m", "query_server"]  # ready only once there is something to search
                with _process(own, "query server", server, f"{own.metrics_port}/ready"):
                    yield made


def _process(settings: Settings, name: str, command: list[str], ready: str) -> AbstractContextManager[float]:
    return processes.process(name, command, _environment(settings), settings.home, f"http://{settings.host}:{ready}")


def _own(settings: Settings, qdrant_url: str | None) -> Settings:
    (settings.home / "secrets").mkdir(mode=0o700, exist_ok=True)
    ports = {name: free_port() for name in _PORTS}
    changes = {
        **ports,
        "index_endpoint": f"{settings.host}:{ports['index_port']}",
        "index_secret": SecretStr(new_secret()),
        "chunk_tokens": corpus.CHUNK_TOKENS,
        "chunk_overlap": 0,
        "build_confirm_texts": 10**9,
        "stream_canary_seconds": 0,
        "qdrant_url": qdrant_url,
        "qdrant_prefix": None,  # made from the id of the throw-away database
    }
    return settings.model_copy(update=changes)


def _environment(settings: Settings) -> dict[str, str]:
    """Of every process: only what this installation says, nothing of the caller's own."""
    names = (
        "home", "host", *_PORTS, "embedder", "embed_threads", "index_endpoint", "chunk_tokens", "chunk_overlap",
        "build_confirm_texts", "stream_canary_seconds",
    )  # fmt: skip
    ours = {f"RAG_{name.upper()}": str(getattr(settings, name)) for name in names}
    secrets = {"RAG_DATABASE_URL": settings.database_url, "RAG_INDEX_SECRET": settings.index_secret}
    ours |= processes.qdrant_environment(settings)
    ours |= {name: secret.get_secret_value() for name, secret in secrets.items() if secret is not None}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    return inherited | ours
