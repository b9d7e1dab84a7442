from __future__ import annotations

import contextlib
import json
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


@pytest.mark.parametrize("mark", ["", "x:1", "1", "99999999999999999999:1"])
def test_a_mark_that_makes_no_sense_is_a_dead_process(instance: dg.DagsterInstance, mark: str) -> None:
    run = create_run_for_test(instance, status=Status.STARTED, tags={PROCESS_TAG: mark})
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.FAILED


def test_a_run_without_a_process_is_not_found(instance: dg.DagsterInstance) -> None:
    run = create_run_for_test(instance, status=Status.STARTED)
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND


@pytest.mark.catalogue("F05")
@pytest.mark.parametrize("code", [_POLITE, _STUBBORN])
def test_a_cancelled_run_ends_even_when_its_process_does_not_listen(
    instance: dg.DagsterInstance, processes: list[subprocess.Popen[bytes]], code: str
) -> None:
    process, tags = _worker(processes, code)
    run = create_run_for_test(instance, status=Status.STARTED, tags=tags)
    assert instance.run_launcher.terminate(run.run_id)
    process.wait(20)

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


def _of_run(run_id: str) -> list[psutil.Process]:
    """Processes that hold the run in their arguments, but for the daemon's stand-in."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(run_id in part for part in process.cmdline()) and _DIES_BEFORE_IT_RECORDS not in process.cmdline():
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
        assert subprocess.run(daemon, check=False).returncode == -signal.SIGKILL
        until(lambda: not _of_run(run.run_id), seconds=30, what="its process has ended")
        after = instance.get_run_by_id(run.run_id)
        assert after is not None
        assert PROCESS_TAG not in after.tags
        events = [str(record.event_log_entry) for record in instance.get_records_for_run(run.run_id).records]
        assert not any("a_module_that_does_not_exist" in event for event in events), "it never began"
