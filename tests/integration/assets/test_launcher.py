from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.test_utils import create_run_for_test, instance_for_test

from rag_assets.launcher import PROCESS_TAG, ProcessRunLauncher
from rag_assets.run_forkserver import NOT_RECORDED, PROCESS_NAME
from rag_assets.run_processes import RunProcess, RunProcesses
from tests.integration.assets.dagster_stack import until

Status = dg.DagsterRunStatus
# Says when it is ready, so that a signal cannot come before its handler is set.
_STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
_POLITE = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    launcher = {"module": "rag_assets.launcher", "class": "ProcessRunLauncher"}
    config = {"kill_after_seconds": 1}
    with instance_for_test(overrides={"run_launcher": {**launcher, "config": config}}) as opened:
        assert isinstance(opened.run_launcher, ProcessRunLauncher)
        yield opened


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def _worker(processes: list[subprocess.Popen[bytes]], code: str) -> tuple[subprocess.Popen[bytes], dict[str, str]]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    processes.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process, {PROCESS_TAG: f"{process.pid}:{psutil.Process(process.pid).create_time():.2f}"}


def test_health_tells_a_live_process_from_a_dead_one(
    instance: dg.DagsterInstance, processes: list[subprocess.Popen[bytes]]
) -> None:
    process, tags = _worker(processes, _POLITE)
    run = create_run_for_test(instance, status=Status.STARTED, tags=tags)
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    process.send_signal(signal.SIGKILL)
    until(
        lambda: instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.FAILED,
        seconds=10,
        what="a killed process counts as failed even while it is a zombie",
    )


def test_health_is_not_fooled_by_a_process_that_got_the_same_number(
    instance: dg.DagsterInstance, processes: list[subprocess.Popen[bytes]]
) -> None:
    process, _ = _worker(processes, _POLITE)
    run = create_run_for_test(instance, status=Status.STARTED, tags={PROCESS_TAG: f"{process.pid}:1000.00"})
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.FAILED


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        *(({PROCESS_TAG: mark}, WorkerStatus.FAILED) for mark in ("", "x:1", "1", "99999999999999999999:1")),
        ({}, WorkerStatus.NOT_FOUND),
    ],
)
def test_a_mark_that_makes_no_sense_is_a_dead_process_and_a_run_without_one_is_not_found(
    instance: dg.DagsterInstance, tags: dict[str, str], status: WorkerStatus
) -> None:
    run = create_run_for_test(instance, status=Status.STARTED, tags=tags)
    assert instance.run_launcher.check_run_worker_health(run).status is status


@pytest.mark.catalogue("F05")
@pytest.mark.parametrize("code", [_POLITE, _STUBBORN])
def test_a_cancelled_run_ends_even_when_its_process_does_not_listen(
    instance: dg.DagsterInstance, processes: list[subprocess.Popen[bytes]], code: str
) -> None:
    process, tags = _worker(processes, code)
    run = create_run_for_test(instance, status=Status.STARTED, tags=tags)
    assert instance.run_launcher.terminate(run.run_id)
    process.wait(60)

    def canceled() -> bool:
        found = instance.get_run_by_id(run.run_id)
        return found is not None and found.status is Status.CANCELED

    until(canceled, seconds=20, what="the run is cancelled")


@pytest.mark.catalogue("F05")
def test_cancelling_a_run_whose_process_is_gone_ends_it_at_once(instance: dg.DagsterInstance) -> None:
    run = create_run_for_test(instance, status=Status.STARTED, tags={PROCESS_TAG: "1:1000.00"})
    assert instance.run_launcher.terminate(run.run_id)
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is Status.CANCELED
    assert not instance.run_launcher.terminate(run.run_id)


@pytest.mark.catalogue("F01")
def test_a_process_that_dies_before_the_run_begins_fails_it_at_once(instance: dg.DagsterInstance) -> None:
    pointer = ModuleCodePointer("a_module_that_does_not_exist", "defs", None)
    origin = JobPythonOrigin("job", RepositoryPythonOrigin(sys.executable, pointer))
    run = create_run_for_test(instance, status=Status.STARTING, job_code_origin=origin)
    instance.run_launcher.launch_run(LaunchRunContext(run, None))

    def failed() -> bool:
        found = instance.get_run_by_id(run.run_id)
        return found is not None and found.status is Status.FAILURE

    until(failed, seconds=100, what="the run has failed")


_DIES_BEFORE_IT_RECORDS = """
import sys
import dagster as dg
from dagster._core.launcher import LaunchRunContext
from rag_core import failpoints

failpoints.arm("before_run_recorded:1:kill")
with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
    instance.run_launcher.launch_run(LaunchRunContext(instance.get_run_by_id(sys.argv[2]), None))
"""


def _of_daemon(home: Path) -> list[psutil.Process]:
    """Processes of runs and their server that a daemon with this home has left."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("DAGSTER_HOME") == str(home):
                found.append(process)
    return found


def test_a_run_whose_process_was_not_recorded_does_not_begin(tmp_path: Path) -> None:
    """Resumed, it would work beside the first process, which nobody knows."""
    launcher = {"module": "rag_assets.launcher", "class": "ProcessRunLauncher"}
    (tmp_path / "dagster.yaml").write_text(json.dumps({"run_launcher": launcher}))
    pointer = ModuleCodePointer("a_module_that_does_not_exist", "defs", None)
    origin = JobPythonOrigin("job", RepositoryPythonOrigin(sys.executable, pointer))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = create_run_for_test(instance, status=Status.STARTING, job_code_origin=origin)
        daemon = [sys.executable, "-c", _DIES_BEFORE_IT_RECORDS, str(tmp_path), run.run_id]
        env = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
        assert subprocess.run(daemon, check=False, env=env).returncode == -signal.SIGKILL
        until(lambda: not _of_daemon(tmp_path), seconds=30, what="its processes have ended")
        after = instance.get_run_by_id(run.run_id)
        assert after is not None
        assert PROCESS_TAG not in after.tags
        events = [str(record.event_log_entry) for record in instance.get_records_for_run(run.run_id).records]
        assert not any("a_module_that_does_not_exist" in event for event in events), "it never began"


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the platform that every interpreter imports."""
    (tmp_path / "sitecustomize.py").write_text("import rag_probe")
    module = tmp_path / "rag_probe.py"
    module.write_text("")
    os.utime(module, (1000, 1000))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    return module


def _ended(process: RunProcess) -> int | None:
    assert process.ended.wait(60)
    return process.code


def test_runs_are_forked_from_one_server_until_it_ends_or_its_code_changes(probe: Path) -> None:
    with contextlib.closing(RunProcesses()) as processes:
        with processes.start("job", ["--version"]) as first, processes.start("job", ["--version"]) as second:
            server = psutil.Process(first.pid).parent()
            assert server is not None
            assert psutil.Process(second.pid).ppid() == server.pid != os.getpid()
            until(lambda: psutil.Process(second.pid).name() == PROCESS_NAME, seconds=10, what="`ps` shows what it is")
            first.go()
            assert _ended(first) == 0
        assert _ended(second) == NOT_RECORDED, "it was never told to begin"
        os.utime(probe)
        with processes.start("job", ["--version"]) as third:
            renewed = psutil.Process(third.pid).parent()
            assert renewed is not None
            assert renewed.pid != server.pid
            assert not server.is_running()
        with processes.start("job", ["--version"]) as fourth:
            renewed.kill()
            assert _ended(fourth) is None, "nobody is left who could say how it ends"
            fourth.go()
            with processes.start("job", ["--version"]) as fifth:
                fifth.go()
                assert _ended(fifth) == 0
                assert fifth.seconds > 0
