"""`rag up`: from nothing, from a crash or from a running stack to a running stack."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag_core.files import update_file
from rag_core.packages import require_complete
from rag_core.settings import Settings
from ragctl.gateway.bootstrap import write_dynamic
from ragctl.gateway.live import current_options
from ragctl.local_stack.data_dir import DataDir, StackState, load
from ragctl.local_stack.display import Display
from ragctl.local_stack.environment import stack_environment, write_stack_env
from ragctl.local_stack.lifecycle import run_all, service_work, step_work, stop_services, stop_stack
from ragctl.local_stack.processes import check_distinct_ports, check_ports, stop_processes
from ragctl.local_stack.restarts import describe_stack, environment_hash, services_to_restart
from ragctl.local_stack.services import FIRST_QUERY_SERVER, VIEWER_STEP, Service, build_services
from ragctl.local_stack.start_deadline import StartDeadline
from ragctl.local_stack.steps import model_is_prepared
from ragctl.local_stack.supervisor import Supervisor
from ragctl.local_stack.trace_viewer.install import is_installed
from ragctl.tokens import DEFAULT_TENANT, ensure_keys, new_secret

if TYPE_CHECKING:
    from rag_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    settings: Settings
    home: DataDir
    services: list[Service]
    seconds: float
    console_password: str | None = None
    """Password of the console account that this command made; it is shown once and stored nowhere."""


def start_stack(display: Display, **given: object) -> Stack:
    """Start what does not run yet and wait until all services are healthy. Call it with the home's lock held.

    `given` are settings that win over the environment, and are kept.

    Raises `Conflict` (`PORT_TAKEN`, `HOME_IN_USE`), `ConfigError`, or `Unavailable` (`START_FAILED`;
    `INDEX_UNAVAILABLE` for a Qdrant server that cannot be used, before anything is started).
    """
    began = time.monotonic()
    require_complete()
    settings, data_dir = load(None, **given)
    if settings.qdrant_url is not None:
        from rag_core.retrieval.engines.qdrant import check_qdrant  # most stacks have none

        check_qdrant(settings.qdrant_url, settings)
    prepared = _prepare(settings, data_dir, given)
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
    if settings.traces and not is_installed(data_dir):
        steps.append(step_work(VIEWER_STEP, (), environment, display))
    deadline = StartDeadline(settings.start_seconds)
    starts = [service_work(part, supervisor, data_dir, deadline) for part in services]
    asyncio.run(run_all([*steps, *starts], display))
    # Last, so that a start which failed has not used up the one time that the password is shown.
    console_password = prepare_accounts(settings)
    return Stack(settings, data_dir, services, time.monotonic() - began, console_password)


@dataclass(frozen=True, slots=True)
class _Prepared:
    settings: Settings
    services: list[Service]
    state: StackState


def _prepare(settings: Settings, data_dir: DataDir, given: Mapping[str, object]) -> _Prepared:
    """Write every file the services read, and stop the running services that have read something else."""
    supervisor = Supervisor(data_dir)
    state = data_dir.read_state()
    services = build_services(settings, data_dir)
    check_distinct_ports(services)
    if supervisor.running() and state is not None:
        if state.environment == environment_hash(state.stack_id, settings):
            return _change(settings, data_dir, given, state)
        stop_stack(settings, data_dir, services)
    elif state is not None:
        stop_processes(state.stack_id, services)  # the supervisor died; a service may still be about to end after it
    shutil.rmtree(data_dir.counts, ignore_errors=True)
    data_dir.create()  # again: stopping removes the runtime folder
    check_ports(services, patient=True)
    prepared = _write_files(settings, data_dir, given, new_secret())
    data_dir.write_state(prepared.state)
    return prepared


def _change(settings: Settings, data_dir: DataDir, given: Mapping[str, object], before: StackState) -> _Prepared:
    """Bring a running stack to these settings: what reads one that has changed is stopped, to be started again.

    The gateway stops sending before a query server stops, and sends to a new one only when its health check has passed.
    """
    supervisor = Supervisor(data_dir)
    alive = {name for name, info in supervisor.infos().items() if info.alive}
    services = build_services(settings, data_dir)
    check_ports((part for part in services if part.name not in alive), patient=True)
    check_ports(services, ours=before.ports, patient=True)
    prepared = _write_files(settings, data_dir, given, before.stack_id)
    stale = [part for part in services_to_restart(before, prepared.state, prepared.services) if part.name in alive]
    stop_services(settings, supervisor, before.stack_id, stale)
    supervisor.reload()
    data_dir.write_state(prepared.state)
    return prepared


def _write_files(settings: Settings, data_dir: DataDir, given: Mapping[str, object], stack_id: str) -> _Prepared:
    from rag_assets.instance import render_dagster_yaml, render_workspace_yaml

    ensure_keys(settings)
    write_stack_env(settings, data_dir)
    settings, _ = load(data_dir, **given)
    services = build_services(settings, data_dir)
    instance = render_dagster_yaml(settings, compute_logs=data_dir.dagster / "compute_logs")
    update_file(data_dir.dagster / "dagster.yaml", instance)
    update_file(data_dir.workspace_file, render_workspace_yaml(settings))
    write_dynamic(current_options(settings, data_dir.gateway), data_dir.gateway)
    Supervisor(data_dir).write_config(services)
    return _Prepared(settings, services, describe_stack(stack_id, settings, data_dir, services))


ACTOR = f"{DEFAULT_TENANT}/rag-up"


def prepare_accounts(settings: Settings) -> str | None:
    """Make the account `admin` when there is none; returns its password."""
    from rag_core.database import open_store
    from rag_core.governance.access import create_first_account

    with closing(open_store(settings)) as store, store.engine.begin() as connection:
        return create_first_account(connection, tenant=DEFAULT_TENANT, actor=ACTOR)
