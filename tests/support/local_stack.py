"""A whole local stack on ports and in a folder of its own, driven by the `rag` command as an operator would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

from benchmarks.ports import free_port
from rag_assets.run_forkserver import PROCESS_NAME
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import load
from ragctl.local_stack.services import build_services
from ragctl.local_stack.status import read_status
from tests.support.models import prepared_home

RAG = str(Path(sysconfig.get_path("scripts")) / "rag")
PORTS = tuple(
    name.upper()
    for name, field in Settings.model_fields.items()
    if name.endswith("_port") and field.default is not None
)


def temporary_folder() -> Path:
    """A folder that PostgreSQL's user may enter, outside /dev/shm: a system folder is refused as a source."""
    folder = Path(tempfile.mkdtemp(prefix="rag-test-stack-"))
    folder.chmod(0o755)
    return folder


@dataclass
class LocalStack:
    """`home` and `docs` below one temporary folder; `extra` are further settings without the prefix."""

    folder: Path = field(default_factory=temporary_folder)
    extra: dict[str, str] = field(default_factory=dict)
    command: str = RAG

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.docs = self.folder / "docs"
        self.docs.mkdir()
        if "EMBEDDER" not in self.extra:  # the bundled model, whose files take half a minute to make
            self.home.mkdir(exist_ok=True)
            (self.home / "models").symlink_to(prepared_home() / "models")
        # A port per call could be handed out twice, so all are asked for before any is used.
        ports = {f"RAG_{name}": str(free_port()) for name in PORTS}
        settings = {f"RAG_{name}": value for name, value in self.extra.items()}
        self.environment = {**os.environ, "RAG_HOME": str(self.home), **ports, **settings}

    def rag(self, *arguments: str, seconds: float = 300) -> tuple[int, Any]:
        """Run a command with `--json`; returns its exit code and what it printed."""
        result = subprocess.run(
            [self.command, *arguments, "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        try:
            return result.returncode, json.loads(result.stdout)
        except json.JSONDecodeError:
            return result.returncode, result.stdout + result.stderr

    def up(self, seconds: float = 300) -> None:
        code, printed = self.rag("up", "--docs", str(self.docs), "--no-wait", seconds=seconds)
        assert code == 0, printed

    def status(self) -> dict[str, Any]:
        """What `rag status --json` prints, without a process: who waits asks often, and a start takes a second."""
        with patch.dict(os.environ, self.environment), ThreadPoolExecutor(1) as apart:
            settings, data_dir = load()
            # It runs an event loop, and a browser's test is inside of one.
            found = apart.submit(read_status, settings, data_dir, build_services(settings, data_dir)).result()
        return {"healthy": found.healthy, **asdict(found)}

    def pid(self, service: str) -> int | None:
        """Process id of a part, `None` while it is down."""
        found = [item["pid"] for item in self.status()["parts"] if item["name"] == service and item["pid"]]
        return found[0] if found else None

    def listening(self) -> dict[int, str]:
        """Every port that a process of this stack listens on, with the setting that changes it."""
        with patch.dict(os.environ, self.environment):
            settings, data_dir = load()
            named = {port: name for part in build_services(settings, data_dir) for port, name in part.port_settings}
        found: dict[int, str] = {}
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                opened = [item for item in process.net_connections("inet") if item.status == psutil.CONN_LISTEN]
                found |= {
                    item.laddr.port: named.get(item.laddr.port, f"{process.name()}: no setting") for item in opened
                }
        return found

    def run_workers(self) -> list[psutil.Process]:
        """The processes that execute Dagster runs of this stack now."""
        return [
            process
            for process in psutil.process_iter(["name"])
            if process.info["name"] == PROCESS_NAME and self._is_ours(process)
        ]

    def processes(self) -> list[psutil.Process]:
        """Every process of this stack; those of the database have no environment of ours and work in its folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if self._is_ours(process) or Path(process.cwd()).is_relative_to(self.home):
                    found.append(process)
        return found

    def freeze(self) -> list[psutil.Process]:
        """Halt every process, those too that are made meanwhile."""
        halted: list[psutil.Process] = []
        while new := [process for process in self.processes() if process not in halted]:
            for process in new:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            halted += new
        return halted

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("RAG_HOME") == str(self.home)
        except psutil.Error:
            return False

    def close(self) -> None:
        self.rag("down")
        shutil.rmtree(self.folder, ignore_errors=True)
