"""A real code server and a real Dagster daemon on the test's database, with the configuration that `rag up` writes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import dagster as dg
import psutil

import rag_assets
from rag_assets.instance import render_dagster_yaml, render_workspace_yaml
from rag_core.settings import Settings
from tests.support.postgres import die_with_parent

T = TypeVar("T")
_POLL_SECONDS = 0.1


def until(condition: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """The first result of `condition` that is true; Dagster tells other processes nothing, so it is asked again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"not within {seconds} s: {what}")


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What the processes of a stack see."""
    assert settings.database_url is not None
    return {
        **os.environ,
        "PYTHONPATH": str(Path(rag_assets.__file__).parent.parent),
        "DAGSTER_HOME": str(settings.dagster_home),
        "RAG_HOME": str(settings.home),
        "RAG_DATABASE_URL": settings.database_url.get_secret_value(),
        "RAG_EMBEDDER": settings.embedder,
        **more,
    }


def write_instance(settings: Settings) -> None:
    """Write `dagster.yaml` and the workspace."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    (settings.dagster_home / "dagster.yaml").write_text(render_dagster_yaml(settings))
    (settings.dagster_home / "workspace.yaml").write_text(render_workspace_yaml(settings))


@contextmanager
def running(settings: Settings, **more: str) -> Iterator[None]:
    """Code server and daemon, both ended (with the runs they started) at the end."""
    env = environment(settings, **more)
    port = str(settings.code_location_port)
    code = ["api", "grpc", "-h", "127.0.0.1", "-p", port, "-m", "rag_assets.definitions", "--location-name", "rag"]
    workspace = str(settings.dagster_home / "workspace.yaml")
    commands = (["-m", "dagster", *code], ["-m", "rag_assets.daemon", "run", "-w", workspace])
    processes = [
        subprocess.Popen([sys.executable, *command], env=env, preexec_fn=die_with_parent) for command in commands
    ]
    try:
        yield
    finally:
        stop(processes, str(settings.home))


def stop(processes: list[subprocess.Popen[bytes]], home: str) -> None:
    """End our processes, and every process that belongs to our RAG_HOME (runs live in sessions of their own)."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(30)
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAG_HOME") == home and process.pid != os.getpid():
                process.kill()
        except psutil.Error:
            continue


def last_run(instance: dg.DagsterInstance, job: str) -> dg.DagsterRun | None:
    """The newest run of a job."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job), limit=1)
    return runs[0] if runs else None
