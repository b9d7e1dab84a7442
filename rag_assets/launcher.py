"""A run launcher for one machine: starts each run as a process, detects a dead one and resumes it.

Dagster's own launcher for one machine starts runs inside the code server and cannot distinguish dead from slow.
With this one and `run_monitoring`, a killed run is the same run again seconds later; what it had committed stays, and
the stages do only the rest. On Kubernetes `K8sRunLauncher` does the same with jobs.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Self

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, ResumeRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs, ResumeRunArgs

from rag_assets.run_processes import RunProcess, RunProcesses
from rag_core import failpoints
from rag_core.logging import get_logger

log = get_logger(__name__)

PROCESS_TAG = "rag/process"
"""`pid:start time`; the start time distinguishes our process from a later one with the same id."""
_START_TOLERANCE_SECONDS = 1.0


class ProcessRunLauncher(dg.DefaultRunLauncher):
    """Starts, resumes and ends runs itself; from Dagster's own it has how `dagster.yaml` names a launcher.

    A cancelled run is killed after `kill_after_seconds`.
    """

    def __init__(self, inst_data: Any = None, *, kill_after_seconds: int = 30) -> None:
        super().__init__(inst_data)
        self._kill_after_seconds = kill_after_seconds
        self._processes = RunProcesses()

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {
            "kill_after_seconds": dg.Field(int, is_required=False, default_value=30),
        }

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        self._start(run, "execute_run", ExecuteRunArgs(_origin(run), run.run_id, self._instance.get_ref()))

    @property
    def supports_resume_run(self) -> bool:
        return True

    def resume_run(self, context: ResumeRunContext) -> None:
        run = context.dagster_run
        self._kill(run)  # a process that we wrongly took for dead must not work beside the new one
        self._start(run, "resume_run", ResumeRunArgs(_origin(run), run.run_id, self._instance.get_ref()))

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        mark = run.tags.get(PROCESS_TAG)
        if mark is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "no process was recorded for this run")
        if _find(mark) is None:
            return CheckRunHealthResult(WorkerStatus.FAILED, "the process of the run has ended", run_worker_id=mark)
        return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=mark)

    def dispose(self) -> None:
        self._processes.close()

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        process = _find(run.tags.get(PROCESS_TAG, ""))
        self._instance.report_run_canceling(run)
        if process is None:
            self._instance.report_run_canceled(run, "The process of the run had already ended.")
            return True
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
        # A run that is deep in native code does not hear the signal; the tables survive the harder one.
        self._in_background(self._end, process, run_id)
        return True

    def _start(self, run: dg.DagsterRun, verb: str, arguments: ExecuteRunArgs | ResumeRunArgs) -> None:
        origin = _origin(run)
        with self._processes.start(origin.job_name, ["api", verb, dg.serialize_value(arguments)]) as process:
            failpoints.reach("before_run_recorded")
            started = psutil.Process(process.pid).create_time()
            self._instance.add_run_tags(run.run_id, {PROCESS_TAG: f"{process.pid}:{started:.2f}"})
            process.go()
        self._instance.report_engine_event(f"Started a process for the run (pid {process.pid}).", run, cls=type(self))
        self._in_background(self._watch, process, run.run_id)

    def _in_background(self, work: Callable[..., None], *arguments: object) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception:
                # Run monitoring sees the same state at its next check; a thread has nobody else to report to.
                log.exception("run_watch_failed")

        threading.Thread(target=guarded, daemon=True, name="run-launcher").start()

    def _watch(self, process: RunProcess, run_id: str) -> None:
        """Report what the run cost, and fail one that died before it began, which monitoring would wait long for."""
        process.ended.wait()
        if process.code is None:
            return
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        if run is None:
            return
        if run.status in (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED):
            message = f"The process of the run ended with code {process.code} before it began."
            self._instance.report_run_failed(run, message)
        used = f"The process of the run used {process.seconds:.1f} s of processor time."
        self._instance.report_engine_event(used, run, cls=type(self))

    def _end(self, process: psutil.Process, run_id: str) -> None:
        try:
            process.wait(self._kill_after_seconds)
        except psutil.TimeoutExpired:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                process.wait(self._kill_after_seconds)
        run = self._instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            self._instance.report_run_canceled(run, "The process of the run did not end in time and was killed.")

    def _kill(self, run: dg.DagsterRun) -> None:
        process = _find(run.tags.get(PROCESS_TAG, ""))
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                process.kill()
                process.wait(self._kill_after_seconds)


def _origin(run: dg.DagsterRun) -> Any:
    if run.job_code_origin is None:
        raise dg.DagsterInvariantViolationError(f"run {run.run_id} does not say where its code is")
    return run.job_code_origin


def _find(mark: str) -> psutil.Process | None:
    """The live process of a mark, `None` when it ended (also as a zombie) or the number belongs to another by now."""
    pid, _, started = mark.partition(":")
    if not pid.isdigit():
        return None
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < _START_TOLERANCE_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (psutil.NoSuchProcess, psutil.AccessDenied, ValueError):
        return None
