"""Health checks that run inside a container: Compose has no other way to ask, and images hold no curl."""

from __future__ import annotations

import asyncio
import os
import sys

from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.settings import Settings
from ragctl.container import roles
from ragctl.stack import probes
from ragctl.stack.parts import LOCATIONS_QUERY, judge_locations
from ragctl.stack.probes import Health, Probe

STREAM_PORT = 9465


def check(settings: Settings, target: str) -> None:
    """Return when the role in this container works, or the URL answers with success.

    Raises `Unavailable` (`SERVER_UNAVAILABLE`) with what it said.
    """
    if target == "dagster-daemon":
        # Its heartbeats are in the database; Dagster's own command reads them.
        roles.prepare(settings, target)
        os.execv(sys.executable, [sys.executable, "-P", "-m", "dagster._daemon", "liveness-check"])  # noqa: S606
    health = asyncio.run(_ask(_probe(settings, target)))
    if not health.ok:
        raise Unavailable(Reason.SERVER_UNAVAILABLE, health.detail)


async def _ask(probe: Probe) -> Health:
    return await probe()


def _probe(settings: Settings, target: str) -> Probe:
    if target.startswith(("http://", "https://")):
        return probes.http(target)
    match target:
        case "query-server":
            return probes.http(f"http://127.0.0.1:{settings.metrics_port}/ready")
        case "stream":
            return probes.http(f"http://127.0.0.1:{STREAM_PORT}/health")
        case "console":
            return probes.http(f"http://127.0.0.1:{settings.console_port}/_stcore/health", expect="ok")
        case "dagster-code":
            return probes.tcp("127.0.0.1", settings.code_location_port)
        case "dagster-webserver":
            url = f"http://127.0.0.1:{settings.dagster_port}/graphql"
            return probes.graphql(url, LOCATIONS_QUERY, judge_locations)
    raise ConfigError(Reason.USAGE, f"no such role: {target}")
