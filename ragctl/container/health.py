"""Health checks inside a container: Compose has no other way to probe, and images contain no curl."""

from __future__ import annotations

import asyncio
import os
import sys

from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.settings import Settings
from ragctl.container import roles
from ragctl.local_stack import probes
from ragctl.local_stack.probes import Health, Probe
from ragctl.local_stack.services import LOCATIONS_QUERY, locations_health

_SECONDS = 10.0
_LIST = "/api.DagsterApi/ListRepositories"


def check(settings: Settings, target: str) -> None:
    """Check the role in this container, or a URL; returns when it is healthy.

    Raises `Unavailable` (`SERVER_UNAVAILABLE`) with the reason.
    """
    if target == "dagster-daemon":
        # Its heartbeats are in the database; Dagster's own command reads them.
        roles.prepare(settings, target)
        os.execv(sys.executable, [sys.executable, "-P", "-m", "dagster._daemon", "liveness-check"])  # noqa: S606
    health = asyncio.run(_health(_probe(settings, target)))
    if not health.ok:
        raise Unavailable(Reason.SERVER_UNAVAILABLE, health.detail)


async def _health(probe: Probe) -> Health:
    return await probe()


def _probe(settings: Settings, target: str) -> Probe:
    if target.startswith("dagster+http://"):
        return probes.graphql(f"{target.removeprefix('dagster+')}/graphql", LOCATIONS_QUERY, locations_health)
    if target.startswith(("http://", "https://")):
        return probes.http(target)
    match target:
        case "query-server":
            return probes.http(f"http://127.0.0.1:{settings.metrics_port}/ready")
        case "stream":
            return probes.http(f"http://127.0.0.1:{settings.stream_metrics_port}/health")
        case "interfaces":
            return probes.http(f"http://127.0.0.1:{settings.interfaces_port}/health")
        case "rate-limits":
            return probes.http(f"http://127.0.0.1:{settings.rate_limits_metrics_port}/health")
        case "console":
            return probes.http(f"http://127.0.0.1:{settings.console_port}/_stcore/health", expect="ok")
        case "dagster-code":
            return _loaded(f"127.0.0.1:{settings.code_location_port}")
        case "dagster-webserver":
            url = f"http://127.0.0.1:{settings.dagster_port}/graphql"
            return probes.graphql(url, LOCATIONS_QUERY, locations_health)
    raise ConfigError(Reason.USAGE, f"no such role: {target}")


def _loaded(address: str) -> Probe:
    """Healthy when the code server has loaded its code; it answers on its port when it could not, too.

    Dagster's own client would take two seconds of processor time to import, for a question of one field.
    """

    async def probe() -> Health:
        import grpc

        async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
            ask = channel.unary_unary(_LIST, request_serializer=bytes, response_deserializer=bytes)
            try:
                answer = await ask(b"", timeout=_SECONDS)
            except grpc.aio.AioRpcError as error:
                return Health(False, f"the code server does not answer ({error.code().name})")
        failed = b'"SerializableErrorInfo"' in answer
        return Health(not failed, "the code location could not be loaded; its log says why" if failed else "")

    return probe
