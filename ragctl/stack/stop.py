"""Stopping: from the outside in, so that nothing loses what it still needs, and nothing is left behind."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from rag_core.settings import Settings
from ragctl.stack.home import Home
from ragctl.stack.parts import Part
from ragctl.stack.processes import StackProcess, end_processes
from ragctl.stack.supervisor import Supervisor

_GATEWAY_DRAIN_SECONDS = 5.0
_POLL_SECONDS = 0.05

Progress = Callable[[str], None]


def stop_stack(settings: Settings, home: Home, parts: list[Part], progress: Progress = lambda _: None) -> bool:
    """Stop the stack of this home and whatever is left of it. Returns whether there was anything to stop."""
    supervisor = Supervisor(home)
    state = home.read_state()
    found = supervisor.running()
    if found:
        _drain_gateway(settings)
        for wave in sorted({part.stop_wave for part in parts}):
            members = [part for part in parts if part.stop_wave == wave]
            _stop_wave(supervisor, members, progress)
            if state is not None:
                # What these parts have started and left: run workers above all. They still need the rest to end well.
                end_processes(state.stack_id, parts, only=_started_by(members))
        supervisor.shutdown()
    if state is not None:
        found = end_processes(state.stack_id, parts) > 0 or found
        home.state_file.unlink(missing_ok=True)
    shutil.rmtree(home.counts, ignore_errors=True)
    shutil.rmtree(home.runtime, ignore_errors=True)
    return found


def _stop_wave(supervisor: Supervisor, members: list[Part], progress: Progress) -> None:
    for part in members:
        supervisor.stop_part(part.name)
    waiting = {part.name for part in members}
    # supervisord kills what outlives its `stopwaitsecs`; the margin is for that.
    deadline = time.monotonic() + max(part.stop_seconds for part in members) + 5
    while waiting and time.monotonic() < deadline:
        infos = supervisor.infos()
        for name in sorted(waiting):
            if name not in infos or not infos[name].alive:
                waiting.discard(name)
                progress(name)
        time.sleep(_POLL_SECONDS)


def _started_by(members: Iterable[Part]) -> Callable[[StackProcess], bool]:
    names = {part.name for part in members}
    return lambda item: item.part in names


def _drain_gateway(settings: Settings) -> None:
    """Let calls in flight finish: the gateway takes no new ones, then we wait until none is left."""
    admin = f"http://127.0.0.1:{settings.envoy_admin_port}"
    try:
        _fetch(Request(f"{admin}/drain_listeners?graceful&skip_exit", method="POST"))  # noqa: S310
        deadline = time.monotonic() + _GATEWAY_DRAIN_SECONDS
        while time.monotonic() < deadline and _active_requests(admin) > 0:
            time.sleep(_POLL_SECONDS)
    except (URLError, OSError, ValueError):
        return  # it does not run


def _active_requests(admin: str) -> int:
    text = _fetch(Request(f"{admin}/stats?filter=http.public.downstream_rq_active"))  # noqa: S310
    return int(text.strip().rpartition(" ")[2] or 0)


def _fetch(request: Request) -> str:
    with build_opener(ProxyHandler({})).open(request, timeout=2) as response:
        return str(response.read().decode())
