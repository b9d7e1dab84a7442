"""A temporary stack with the console, driven by the `rag` command as an operator would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.ports import free_port
from benchmarks.processes import leaving_nothing
from rag_core.settings import Settings

PORTS = tuple(name for name, field in Settings.model_fields.items() if name.endswith("_port") and field.default)
COOKIE = "rag_console"
_UP_SECONDS = 900


@dataclass(frozen=True)
class Stack:
    """A running stack: where its console is, the cookie of its operator, and its settings as environment variables."""

    url: str
    cookie: str
    environment: Mapping[str, str]

    @property
    def database_url(self) -> str:
        """PostgreSQL of the stack."""
        home = Path(self.environment["RAG_HOME"])
        return Settings(home=home, postgres_port=int(self.environment["RAG_POSTGRES_PORT"])).effective_database_url


@contextmanager
def running_stack(settings: Settings, sources: int) -> Iterator[Stack]:
    """A stack of `sources` sources that never run by themselves; all of it is removed at the end."""
    parent = (settings.home / "bench").resolve()
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="console-", dir=parent))
    folder.chmod(0o755)  # the database server may run as another user
    environment = {**os.environ, "RAG_HOME": str(folder / "home"), "RAG_EMBEDDER": "fake"}
    environment |= {f"RAG_{name.upper()}": str(free_port()) for name in PORTS}
    try:
        with leaving_nothing():
            _write_sources(folder, sources)
            printed = _rag(environment, "up", "--no-ingest", "--no-wait")
            url = f"http://127.0.0.1:{environment['RAG_CONSOLE_PORT']}"
            yield Stack(url, _sign_in(url, printed["console_account"]), environment)
    finally:
        subprocess.run(_command("down"), env=environment, capture_output=True, timeout=120, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def source_name(number: int) -> str:
    """The name of a source of the benchmark."""
    return f"source-{number:03d}"


def _write_sources(folder: Path, count: int) -> None:
    documents, target = folder / "documents", folder / "home" / "sources"
    documents.mkdir()
    target.mkdir(parents=True)
    for number in range(count):
        attributes = {
            "name": source_name(number),
            "tenant": "default",
            "acl": ["everyone"],
            "enabled": False,
            "options": {"kind": "folder", "root": str(documents)},
        }
        document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
        (target / f"{source_name(number)}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def _command(*arguments: str) -> list[str]:
    return [str(Path(sysconfig.get_path("scripts")) / "rag"), *arguments, "--output", "json"]


def _rag(environment: Mapping[str, str], *arguments: str) -> Any:
    done = subprocess.run(_command(*arguments), env=environment, capture_output=True, text=True, timeout=_UP_SECONDS,
                          check=False)  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"rag {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return json.loads(done.stdout)["data"]


def _sign_in(url: str, account: Mapping[str, str]) -> str:
    form = {"name": account["name"], "password": account["password"]}
    answer = httpx.post(f"{url}/sign-in", data=form, timeout=30, trust_env=False)
    return answer.cookies[COOKIE]
