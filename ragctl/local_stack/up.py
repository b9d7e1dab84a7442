"""`rag up`: from nothing, from a crash or from a running stack to a running stack."""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass

from rag_core.files import replace_file
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import write_dynamic
from ragctl.gateway.live import current_options
from ragctl.local_stack.accounts import prepare_accounts
from ragctl.local_stack.data_dir import DataDir, StackState, load, settings_digest
from ragctl.local_stack.display import Display
from ragctl.local_stack.environment import stack_environment, write_stack_env
from ragctl.local_stack.lifecycle import run_all, service_work, step_work, stop_stack
from ragctl.local_stack.processes import check_distinct_ports, check_ports, stop_processes
from ragctl.local_stack.services import FIRST_QUERY_SERVER, Service, build_services
from ragctl.local_stack.start_deadline import StartDeadline
from ragctl.local_stack.steps import model_is_prepared
from ragctl.local_stack.supervisor import Supervisor
from ragctl.tokens import ensure_keys, new_secret


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    settings: Settings
    home: DataDir
    services: list[Service]
    seconds: float
    console_password: str | None = None
    """Password of the console account that this command made; it is shown once and stored nowhere."""


def start_stack(display: Display, *, replicas: int | None = None, traces: bool | None = None) -> Stack:
    """Start what does not run yet and wait until all services are healthy. Call it with the home's lock held.

    `replicas` changes the number of query servers, `traces` whether traces are kept; None keeps what it is.

    Raises `Conflict` (`PORT_TAKEN`, `HOME_IN_USE`), `ConfigError`, or `Unavailable` (`START_FAILED`;
    `INDEX_UNAVAILABLE` for a Qdrant server that cannot be used, before anything is started).
    """
    began = time.monotonic()
    settings, data_dir = load(replicas=replicas, traces=traces)
    if settings.qdrant_url is not None:
        from rag_core.index.qdrant import check_qdrant  # most stacks have none

        check_qdrant(settings.qdrant_url, settings)
    prepared = _prepare(settings, data_dir)
    settings, services = prepared.settings, prepared.services
    supervisor = Supervisor(data_dir)
    environment = stack_environment(settings, data_dir, prepared.state.stack_id)
    if not supervisor.running():
        supervisor.start(environment)
    steps = [step_work("migrate", ("postgres",), environment, display)]
    if not model_is_prepared(settings):
        steps.append(step_work("model", (), environment, display))
    alive = frozenset(name for name, info in supervisor.infos().items() if info.alive)
    if any(name.startswith(FIRST_QUERY_SERVER) for name in alive):
        steps = []  # both have been done before it started
    deadline = StartDeadline(settings.start_seconds)
    starts = [service_work(part, supervisor, data_dir, deadline) for part in services]
    asyncio.run(run_all([*steps, *starts], display))
    # Last, so that a start which failed has not used up the one time that the password is shown.
    console_password = prepare_accounts(settings, data_dir.accounts_file)
    return Stack(settings, data_dir, services, time.monotonic() - began, console_password)


@dataclass(frozen=True, slots=True)
class _Prepared:
    settings: Settings
    services: list[Service]
    state: StackState


def _prepare(settings: Settings, data_dir: DataDir) -> _Prepared:
    """Write every file the services read, or find that they are written and the stack runs with them."""
    supervisor = Supervisor(data_dir)
    state = data_dir.read_state()
    services = build_services(settings, data_dir)
    check_distinct_ports(services)
    if supervisor.running() and state is not None:
        if state.settings_digest == settings_digest(settings):
            alive = {name for name, info in supervisor.infos().items() if info.alive}
            check_ports(part for part in services if part.name not in alive)
            if supervisor.infos().keys() != {part.name for part in services}:
                _scale(settings, data_dir, services)
            return _Prepared(settings, services, state)
        # Services read their settings once, so new ones need new processes. A sure restart beats a clever one.
        stop_stack(settings, data_dir, services)
    elif state is not None:
        stop_processes(state.stack_id, services)  # the supervisor died; a service may still be about to end after it
    shutil.rmtree(data_dir.counts, ignore_errors=True)
    data_dir.create()  # again: stopping removes the runtime folder
    check_ports(services)
    return _write_files(settings, data_dir)


def _write_files(settings: Settings, data_dir: DataDir) -> _Prepared:
    from rag_assets.instance import render_dagster_yaml, render_workspace_yaml

    ensure_keys(settings)
    write_stack_env(settings, data_dir)
    settings, _ = load(data_dir, replicas=settings.replicas, traces=settings.traces)
    services = build_services(settings, data_dir)
    instance = render_dagster_yaml(settings, compute_logs=data_dir.dagster / "compute_logs")
    replace_file(data_dir.dagster / "dagster.yaml", instance.encode())
    replace_file(data_dir.workspace_file, render_workspace_yaml(settings).encode())
    write_dynamic(current_options(settings, data_dir.gateway), data_dir.gateway)
    Supervisor(data_dir).write_config(services)
    state = StackState(new_secret(), settings_digest(settings))
    data_dir.write_state(state)
    return _Prepared(settings, services, state)


def _scale(settings: Settings, data_dir: DataDir, services: list[Service]) -> None:
    """More or fewer query servers beside the running ones; nobody else restarts.

    The gateway stops sending before a server stops, and sends to a new one only when its health check has passed.
    """
    write_stack_env(settings, data_dir)
    write_dynamic(current_options(settings, data_dir.gateway), data_dir.gateway)
    supervisor = Supervisor(data_dir)
    supervisor.write_config(services)
    supervisor.reload()
