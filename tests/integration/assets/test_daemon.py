"""The daemon loads definitions again when they changed, and not each minute."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget

from rag_assets.daemon import load_when_changed
from tests.integration.assets.dagster_stack import stop, until
from tests.support.postgres import die_with_parent


@contextmanager
def _served(module: Path, port: int) -> Iterator[None]:
    command = ["-m", "dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(port), "-f", str(module)]
    process = subprocess.Popen([sys.executable, *command], env=os.environ, preexec_fn=die_with_parent)
    try:
        yield
    finally:
        stop([process], str(module))


def _load_time(workspace: WorkspaceProcessContext) -> float:
    """When its definitions were loaded, after a look as the daemon makes one each minute."""
    workspace.refresh_workspace()
    return workspace.get_current_workspace().code_location_entries["rag"].update_timestamp


def _jobs(workspace: WorkspaceProcessContext) -> list[str]:
    location = workspace.get_current_workspace().code_location_entries["rag"].code_location
    return (
        [] if location is None else sorted(job.name for job in location.get_repository("__repository__").get_all_jobs())
    )


@pytest.mark.filterwarnings("ignore:Error loading repository location")
def test_definitions_are_loaded_again_when_their_server_was_away_or_has_others(
    tmp_path: Path, free_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkspaceProcessContext, "refresh_workspace", WorkspaceProcessContext.refresh_workspace)
    load_when_changed()
    # The thread that notices other definitions by itself is not at work here: the look has to.
    monkeypatch.setattr(WorkspaceProcessContext, "_location_state_events_handler", lambda self, event: None)
    module = tmp_path / "code.py"
    text = "import dagster as dg\n@dg.job\ndef {name}(): ...\ndefs = dg.Definitions(jobs=[{name}])\n"
    module.write_text(text.format(name="first"))
    target = GrpcServerTarget(host="127.0.0.1", port=free_tcp_port, socket=None, location_name="rag")
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.local_temp(str(tmp_path)))
        workspace = stack.enter_context(WorkspaceProcessContext(instance, target))
        assert _jobs(workspace) == []
        with _served(module, free_tcp_port):
            until(lambda: _load_time(workspace) and _jobs(workspace), seconds=60, what="the server is there")
            assert _jobs(workspace) == ["first"]
            loaded = _load_time(workspace)
            assert _load_time(workspace) == loaded, "nothing has changed"
        assert _load_time(workspace) > loaded
        module.write_text(text.format(name="second"))
        with _served(module, free_tcp_port):
            until(lambda: _load_time(workspace) and _jobs(workspace), seconds=60, what="the server is there again")
            assert _jobs(workspace) == ["second"]
