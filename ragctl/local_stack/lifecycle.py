"""Start services in dependency order, and stop them from the outside in."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from rag_core.errors import RagError, Reason, Unavailable
from rag_core.settings import Settings
from ragctl.gateway.admin import DRAIN_HEADER
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.display import Display
from ragctl.local_stack.processes import StackProcess, stop_processes
from ragctl.local_stack.services import GATEWAY, Service
from ragctl.local_stack.start_deadline import StartDeadline
from ragctl.local_stack.supervisor import ProcessInfo, Supervisor

# --------------------------------------------------------------------------------------------------------------------
# Start: each service as soon as its dependencies are ready; a service is ready when its probe succeeds.


_POLL_SECONDS = 0.2
_MAX_DEATHS = 3
_BROKEN_SECONDS = 30.0
"""So long a service that was started long ago may be unhealthy, as one is that waits for another."""
_LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class LifecycleStep:
    """Something to do once everything in `needs` is done."""

    name: str
    needs: tuple[str, ...]
    run: Callable[[], Awaitable[None]]


async def run_all(works: Iterable[LifecycleStep], display: Display) -> dict[str, float]:
    """Do all works in dependency order, in parallel where possible. Returns seconds by name.

    The first failure cancels the rest and is raised. A need that no work provides counts as done.
    """
    listed = list(works)
    done = {work.name: asyncio.Event() for work in listed}
    seconds: dict[str, float] = {}

    async def perform(work: LifecycleStep) -> None:
        for need in work.needs:
            if need in done:
                await done[need].wait()
        display.begin(work.name)
        began = time.monotonic()
        try:
            await work.run()
        except RagError:
            display.failed(work.name)
            raise
        seconds[work.name] = time.monotonic() - began
        display.ready(work.name, seconds[work.name])
        done[work.name].set()

    try:
        async with asyncio.TaskGroup() as group:
            for work in listed:
                group.create_task(perform(work))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return seconds


def service_work(service: Service, supervisor: Supervisor, data_dir: DataDir, deadline: StartDeadline) -> LifecycleStep:
    """Start a service unless it runs, and wait until it is healthy."""

    async def run() -> None:
        supervisor.start_service(service.name)
        await wait_healthy(service, supervisor, data_dir, deadline)

    return LifecycleStep(service.name, service.needs, run)


async def wait_healthy(service: Service, supervisor: Supervisor, data_dir: DataDir, deadline: StartDeadline) -> None:
    """Wait until the service is healthy; where it has a `start_probe`, until that says so.

    A service that has long been started and is broken is started again, once.

    Raises `Unavailable` (`START_FAILED`) when it keeps dying, and when neither it nor another that is not healthy yet
    has worked for its `start_seconds`.
    """
    deaths: set[float] = set()
    probe = service.start_probe or service.probe
    repair = _Repair(service, supervisor)
    while True:
        info = supervisor.infos().get(service.name)
        if info is None:
            raise Unavailable(Reason.STACK_NOT_RUNNING, "the supervisor is gone; run `rag up`")
        health = await probe() if info.alive else None
        if health is not None and health.ok:
            deadline.healthy(service.name)
            return
        if not info.alive:
            deaths.add(info.started)
        if len(deaths) >= _MAX_DEATHS or deadline.is_over(service.name, info.pid, idle=service.start_seconds):
            why = health.detail if health is not None else "it keeps ending soon after its start"
            raise Unavailable(Reason.START_FAILED, f"{service.name}: {why}; {last_log_line(data_dir, service.name)}")
        repair.advance(info)
        await asyncio.sleep(_POLL_SECONDS)


class _Repair:
    """Starts a service again that was running before this command and has stayed unhealthy during it."""

    def __init__(self, service: Service, supervisor: Supervisor) -> None:
        self._service = service
        self._supervisor = supervisor
        self._first: ProcessInfo | None = None
        self._stopped = False

    def advance(self, info: ProcessInfo) -> None:
        """Take the next step, if one is due. `info` is of a service that is not healthy."""
        if self._first is None:
            self._first = info
        if self._stopped and not info.alive:
            self._supervisor.start_service(info.name)
        if not self._stopped and info.pid == self._first.pid and self._is_broken(info, self._first):
            self._stopped = True
            self._supervisor.stop_service(info.name)

    def _is_broken(self, info: ProcessInfo, first: ProcessInfo) -> bool:
        return first.uptime_seconds > self._service.start_seconds and info.now - first.now >= _BROKEN_SECONDS


def last_log_line(data_dir: DataDir, name: str) -> str:
    """The last line of a service's log, and where the rest is."""
    try:
        with data_dir.log(name).open(encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in deque(file, _LOG_LINES) if line.strip()]
    except OSError:
        return "it left no log"
    last = f"its log ends with: {lines[-1][:300]}" if lines else "its log is empty"
    return f"{last} (all of it: {data_dir.log(name)})"


def step_work(name: str, needs: tuple[str, ...], environment: Mapping[str, str], display: Display) -> LifecycleStep:
    """A step of `ragctl.local_stack.steps` in a child process."""

    async def run() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "ragctl.local_stack.steps", name,
            env=dict(environment), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        stderr = asyncio.create_task(process.stderr.read())
        try:
            failure = await _follow(process.stdout, name, display)
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if failure is not None:
            raise failure
        if code != 0:
            lines = (await stderr).decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
            raise Unavailable(Reason.START_FAILED, f"{name}: {lines[-1]}")

    return LifecycleStep(name, needs, run)


async def _follow(lines: asyncio.StreamReader, name: str, display: Display) -> RagError | None:
    """Show progress lines; the failure, when one is reported."""
    failure: RagError | None = None
    async for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a library printed something
        if not isinstance(event, dict):
            continue
        if "reason" in event:
            failure = Unavailable(Reason(event["reason"]), event["message"])
        elif "done" in event:
            display.progress(name, event["done"], event["total"])
    return failure


# --------------------------------------------------------------------------------------------------------------------
# Stop: from the outside in, so that every service keeps its dependencies until it ends.


_GATEWAY_DRAIN_SECONDS = 5.0
_STOP_POLL_SECONDS = 0.05

Progress = Callable[[str], None]


def stop_stack(
    settings: Settings, data_dir: DataDir, services: list[Service], progress: Progress = lambda _: None
) -> bool:
    """Stop the stack of this home and its remaining processes. Returns whether any process was running."""
    supervisor = Supervisor(data_dir)
    state = data_dir.read_state()
    found = supervisor.running()
    if found:
        stop_services(settings, supervisor, state.stack_id if state is not None else None, services, progress)
        supervisor.shutdown()
    if state is not None:
        found = stop_processes(state.stack_id, services) > 0 or found
        data_dir.state_file.unlink(missing_ok=True)
    shutil.rmtree(data_dir.counts, ignore_errors=True)
    shutil.rmtree(data_dir.runtime, ignore_errors=True)
    return found


def stop_services(
    settings: Settings,
    supervisor: Supervisor,
    stack_id: str | None,
    services: Sequence[Service],
    progress: Progress = lambda _: None,
) -> None:
    """Stop services of a running stack in their waves, each with the processes that it has started."""
    if any(part.name == GATEWAY for part in services):
        _drain_gateway(settings)
    for wave in sorted({part.stop_wave for part in services}):
        members = [part for part in services if part.stop_wave == wave]
        _stop_wave(supervisor, members, progress)
        if stack_id is not None:
            # Child processes of these services, above all run workers; they need the other services to end well.
            stop_processes(stack_id, services, only=_started_by(members))


def _stop_wave(supervisor: Supervisor, members: list[Service], progress: Progress) -> None:
    for service in members:
        supervisor.stop_service(service.name)
    waiting = {part.name for part in members}
    # supervisord kills what outlives its `stopwaitsecs`; the margin is for that.
    deadline = time.monotonic() + max(part.stop_seconds for part in members) + 5
    while waiting and time.monotonic() < deadline:
        infos = supervisor.infos()
        for name in sorted(waiting):
            if name not in infos or not infos[name].alive:
                waiting.discard(name)
                progress(name)
        time.sleep(_STOP_POLL_SECONDS)


def _started_by(members: Iterable[Service]) -> Callable[[StackProcess], bool]:
    names = {part.name for part in members}
    return lambda item: item.service in names


def _drain_gateway(settings: Settings) -> None:
    """Let calls in flight finish: the gateway takes no new ones, then we wait until none is left."""
    admin = f"http://127.0.0.1:{settings.envoy_admin_port}"
    try:
        url, drain = f"{admin}/drain_listeners?graceful&skip_exit", {DRAIN_HEADER: "1"}
        _fetch(Request(url, method="POST", headers=drain))  # noqa: S310
        deadline = time.monotonic() + _GATEWAY_DRAIN_SECONDS
        while time.monotonic() < deadline and _active_requests(admin) > 0:
            time.sleep(_STOP_POLL_SECONDS)
    except (URLError, OSError, ValueError):
        return  # it does not run


def _active_requests(admin: str) -> int:
    text = _fetch(Request(f"{admin}/stats?filter=http.(public%7Cinternal).downstream_rq_active"))  # noqa: S310
    return sum(int(line.rpartition(" ")[2]) for line in text.splitlines())


def _fetch(request: Request) -> str:
    with build_opener(ProxyHandler({})).open(request, timeout=2) as response:
        return str(response.read().decode())
