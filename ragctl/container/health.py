"""Health checks inside a container: Compose has no other way to probe, and images contain no curl.

One runs every few seconds in each container, so it imports nothing that it can do without: settings, logging and an
HTTP client would take two seconds of processor time.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import sys
import time
import urllib.error
import urllib.request

from rag_core.errors import ConfigError, Reason, Unavailable
from ragctl.local_stack import probes
from ragctl.local_stack.probes import Probe, ProbeResult

_SECONDS = 10.0
_AGAIN_SECONDS = 0.5
PLACES = {
    "query-server": ("RAG_METRICS_PORT", 9464, "/ready"),
    "stream": ("RAG_STREAM_METRICS_PORT", 9466, "/health"),
    "interfaces": ("RAG_INTERFACES_PORT", 8090, "/health"),
    "rate-limits": ("RAG_RATE_LIMITS_METRICS_PORT", 9468, "/health"),
    "console": ("RAG_CONSOLE_PORT", 8501, "/_stcore/health"),
    "dagster-code": ("RAG_CODE_LOCATION_PORT", 4266, ""),
    "dagster-webserver": ("RAG_DAGSTER_PORT", 3000, ""),
}
"""The probe of each role: the variable of its port with the default of the setting, and the page."""


def check(target: str, seconds: float = 0) -> None:
    """Check the role in this container, or a URL; returns when it is healthy.

    Checks again for `seconds` while it is not: packets of a new pod may be dropped until policies know it. Raises
    `Unavailable` (`SERVER_UNAVAILABLE`) with the last reason.
    """
    if target == "dagster-daemon":
        _become_liveness_check()
    probe, deadline = _probe(target), time.monotonic() + seconds
    while not (health := asyncio.run(_health(probe))).ok:
        if time.monotonic() >= deadline:
            raise Unavailable(Reason.SERVER_UNAVAILABLE, health.detail)
        time.sleep(_AGAIN_SECONDS)


def _become_liveness_check() -> None:
    """The heartbeats of the daemon are in the database; Dagster's own command reads them."""
    from rag_core.settings import Settings
    from ragctl.container import roles

    roles.prepare(Settings.load(), "dagster-daemon")
    os.execv(sys.executable, [sys.executable, "-P", "-m", "dagster._daemon", "liveness-check"])  # noqa: S606


async def _health(probe: Probe) -> ProbeResult:
    return await probe()


def _probe(target: str) -> Probe:
    if target.startswith("dagster+http://"):
        return probes.code_locations(target.removeprefix("dagster+"))
    if target.startswith(("http://", "https://")):
        return _answers(target)
    if target not in PLACES:
        raise ConfigError(Reason.USAGE, f"no such role: {target}")
    variable, default, path = PLACES[target]
    address = f"127.0.0.1:{os.environ.get(variable) or default}"
    match target:
        case "dagster-code":
            return probes.definitions(address)
        case "dagster-webserver":
            return probes.code_locations(f"http://{address}")
    return _answers(f"http://{address}{path}")


def _answers(url: str) -> Probe:
    """Healthy when a GET succeeds."""

    async def probe() -> ProbeResult:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            direct.open(url, timeout=_SECONDS).close()
        except urllib.error.HTTPError as error:
            said = error.read(200).decode("utf-8", "replace").strip()
            return ProbeResult(False, f"HTTP {error.code}: {said}")
        except (OSError, http.client.HTTPException) as error:
            return ProbeResult(False, f"no answer ({type(getattr(error, 'reason', error)).__name__})")
        return ProbeResult(True)

    return probe
