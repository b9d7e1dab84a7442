"""What `rag status` calls healthy."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from rag_core.settings import Settings
from ragctl.local_stack.status import ServiceStatus, StackStatus, disk_problem


def test_a_stack_whose_disk_is_full_is_not_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = [ServiceStatus("postgres", "healthy", 1, 1.0, 0, None, "")]
    settings = Settings(home=tmp_path)
    assert StackStatus(True, services, problem=disk_problem(settings)).healthy
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    status = StackStatus(True, services, problem=disk_problem(settings))
    assert not status.healthy
    assert status.problem == "STORAGE_FULL: 1 MiB are free; the index needs 64 MiB at least"
