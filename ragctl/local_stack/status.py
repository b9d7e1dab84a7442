"""`rag status`: each service as its supervisor and its probe see it, and the report of the query server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rag_core.errors import RagError, Reason
from rag_core.retrieval.engines.edge import SPACE_RESERVE
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.local_stack.probes import ProbeResult
from ragctl.local_stack.services import Service, any_query_server
from ragctl.local_stack.supervisor import ProcessInfo, Supervisor

_CALL_SECONDS = 5.0
_NUMBERS = {"documents", "chunks", "pending", "quarantined", "held_deletions", "points", "count", "ahead"}


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One service. `state` is `stopped`, `restarting`, `unhealthy` or `healthy`."""

    name: str
    state: str
    pid: int
    uptime_seconds: float
    restarts: int
    url: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class StackStatus:
    """The whole stack. `platform` is the query server's own report, absent while it does not answer."""

    running: bool
    parts: list[ServiceStatus]
    platform: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None

    @property
    def healthy(self) -> bool:
        components = self.platform.get("components", [])
        return (
            self.running
            and all(part.state == "healthy" for part in self.parts)
            and self.problem is None
            and all(component["healthy"] for component in components)
        )


def read_status(settings: Settings, data_dir: DataDir, services: list[Service]) -> StackStatus:
    """Probe every service once; never raises for a service that is down."""
    supervisor = Supervisor(data_dir)
    infos = supervisor.infos()
    healths = asyncio.run(_probe_all(services, infos))
    statuses = [_service_status(part, infos.get(part.name), healths.get(part.name), data_dir) for part in services]
    if not infos:
        return StackStatus(False, statuses, problem="the stack is not running; `rag up` starts it")
    try:
        return StackStatus(True, statuses, read_platform(settings), disk_problem(settings))
    except RagError as error:
        return StackStatus(True, statuses, problem=disk_problem(settings) or str(error))


def disk_problem(settings: Settings) -> str | None:
    """Reads need no free space, so no service reports that writes fail."""
    places = [place for place in (settings.home, settings.postgres_dir, settings.index_dir) if place.exists()]
    free = min(shutil.disk_usage(place).free for place in places)
    if free >= SPACE_RESERVE:
        return None
    return f"{Reason.STORAGE_FULL}: {free >> 20} MiB are free; the index needs {SPACE_RESERVE >> 20} MiB at least"


async def _probe_all(services: Iterable[Service], infos: dict[str, ProcessInfo]) -> dict[str, ProbeResult]:
    alive = [part for part in services if part.name in infos and infos[part.name].alive]
    found = await asyncio.gather(*(part.probe() for part in alive))
    return {part.name: health for part, health in zip(alive, found, strict=True)}


def _service_status(
    service: Service, info: ProcessInfo | None, health: ProbeResult | None, data_dir: DataDir
) -> ServiceStatus:
    if info is None or not (info.alive or info.state == "BACKOFF"):
        state, detail = "stopped", f"exit code {info.exit_status}" if info and info.started else ""
    elif not info.alive:
        state, detail = "restarting", info.problem or f"exit code {info.exit_status}"
    else:
        state = "healthy" if health is not None and health.ok else "unhealthy"
        detail = health.detail if health is not None else ""
    return ServiceStatus(
        name=service.name,
        state=state,
        pid=info.pid if info else 0,
        uptime_seconds=round(info.uptime_seconds, 1) if info else 0.0,
        restarts=max(0, _starts(data_dir, service.name) - 1),
        url=service.url,
        detail=detail,
    )


def _starts(data_dir: DataDir, name: str) -> int:
    try:
        return int((data_dir.counts / name).read_text())
    except (OSError, ValueError):
        return 0


def read_platform(settings: Settings) -> dict[str, Any]:
    """The query server's report (`admin.v1.GetStatus`) as plain data. Raises `RagError` when it cannot be had."""
    from google.protobuf.json_format import MessageToDict

    from ragctl.grpc_client import query_channel, typed_errors
    from ragctl.tokens import mint_token
    from ragproto.admin.v1 import admin_pb2, admin_pb2_grpc

    token = mint_token(settings, subject="rag-status", scopes=("ops.read", "platform.read"), lifetime=60)
    with query_channel(settings, any_query_server(settings)) as channel, typed_errors():
        response = admin_pb2_grpc.AdminServiceStub(channel).GetStatus(
            admin_pb2.GetStatusRequest(), timeout=_CALL_SECONDS, metadata=[("authorization", f"Bearer {token}")]
        )
    data: dict[str, Any] = MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    conditions = [item["condition"] for item in data["sources"] if "condition" in item]
    for item in [*data["sources"], *conditions, *data["generations"]]:
        # JSON has no 64-bit integers, so protobuf prints them as text.
        item.update({key: int(item[key]) for key in _NUMBERS & item.keys()})
    return data
