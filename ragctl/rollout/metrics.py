"""Errors and latency of a colour, from the metrics of its servers between two polls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from rag_core.errors import Reason
from rag_core.settings import Settings
from ragctl.rollout.policy import AnalysisResult
from ragctl.rollout.targets.base import ColourTraffic, Server

# --------------------------------------------------------------------------------------------------------------------
# Metrics pages of servers and Envoy over HTTP, read without a proxy and with a short timeout.


_SECONDS = 3.0
_open = build_opener(ProxyHandler({})).open


def fetch(url: str) -> str | None:
    """The page, None when there is none."""
    try:
        with _open(url, timeout=_SECONDS) as response:
            return str(response.read().decode("utf-8", "replace"))
    except (URLError, OSError, ValueError):
        return None


def fetch_counts(page: str) -> dict[str, int]:
    """Envoy's plain statistics, `name: number` a line."""
    pairs = (line.rpartition(": ") for line in page.splitlines())
    return {name: int(value) for name, _, value in pairs if value.isdecimal()}


def ready(server: str) -> str:
    """Return why a query server is not ready to answer; empty when it is."""
    try:
        with _open(f"{server}/ready", timeout=_SECONDS):
            return ""
    except HTTPError as error:
        return f"{server} is not ready: {_reasons(error)}"
    except (URLError, OSError, ValueError):
        return f"{server} does not answer"


def _reasons(error: HTTPError) -> str:
    try:
        return ", ".join(map(str, json.loads(error.read())["reasons"]))
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP {error.code}"


_METHODS = "/ragproto.query."
_TIMED = ("Search", "/Query")
"""Ends of the methods of the latency objective (objectives.yaml): answers take their model's time."""
_FAULTS = frozenset(
    "UNAVAILABLE INTERNAL UNKNOWN DEADLINE_EXCEEDED DATA_LOSS RESOURCE_EXHAUSTED UNIMPLEMENTED".split()  # noqa: SIM905
)
"""Statuses that are the server's fault; the others are the caller's."""
ENOUGH = 20
"""Calls that distinguish a failing release from chance before the time is over."""

SILENT_POLLS = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of one server since its start: calls, failed calls, and searches by upper bound in seconds."""

    calls: float = 0
    failed: float = 0
    within: dict[float, float] = field(default_factory=dict)


Sample = dict[str, Counts]


def read(servers: Sequence[Server]) -> Sample | AnalysisResult:
    """Counters by server; a failed result when a server shows none, because its health is then unknown."""
    found: Sample = {}
    for server in servers:
        page = fetch(f"{server.http}/metrics")
        counts = _parse(page) if page is not None else None
        if counts is None:
            return AnalysisResult.bad(Reason.GREEN_SILENT, f"{server.http} shows no metrics")
        found[server.http] = counts
    if not found:
        return AnalysisResult.bad(Reason.GREEN_SILENT, "there is no server to show metrics")
    return found


class MetricsPoller:
    """Polls the metrics of a colour's servers."""

    def __init__(self, settings: Settings, servers: Callable[[], Sequence[Server]]) -> None:
        self._settings, self._servers = settings, servers
        self._before: Sample | None = None
        self._silent = 0

    def poll(self, final: bool) -> AnalysisResult | None:
        """The result; None when it is too early to decide. The `final` poll always decides.

        A busy machine may answer a poll too late, so only several polls in a row without metrics are a failure.
        """
        now = read(self._servers())
        if isinstance(now, AnalysisResult):
            self._silent += 1
            return now if final or self._silent >= SILENT_POLLS else None
        self._silent = 0
        if self._before is None:
            self._before = now
        return analyse(self._settings, self._before, now, final=final)


def analyse(settings: Settings, before: Sample, now: Sample, *, final: bool) -> AnalysisResult | None:
    """The result for the time between two samples; None when it is too early to decide.

    A server whose counters restarted in between has died: that is a result too.
    """
    delta = Counts()
    for server, counts in now.items():
        earlier = before.get(server, Counts())
        if counts.calls < earlier.calls:
            return AnalysisResult.bad(Reason.CANDIDATE_UNHEALTHY, f"{server} was restarted while it was watched")
        delta = _add(delta, counts, earlier)
    if not final and delta.calls < ENOUGH:
        return None
    result = _analyse(settings, delta)
    return result if final or not result.passed else None


def analyse_traffic(
    settings: Settings,
    before: Mapping[str, ColourTraffic],
    now: Mapping[str, ColourTraffic],
    result: AnalysisResult | None,
) -> AnalysisResult | None:
    """The servers' own `verdict`, unless the gateways counted calls that reached no server.

    A result of no calls counts only when the gateways confirm it.
    """
    deltas = [counts.since(before.get(name, ColourTraffic())) for name, counts in now.items()]
    requests, failed = (sum(getattr(delta, name) for delta in deltas) for name in ("requests", "failed"))
    allowed = (100 - settings.deploy_success_percent) / 100 * requests
    if failed > allowed and (result is not None or failed >= ENOUGH):
        message = f"the gateway counted {failed} failures of {requests} requests to this colour"
        return AnalysisResult.bad(Reason.CANDIDATE_UNHEALTHY, message, requests=requests, failed=failed)
    if result is None or result.figures.get("calls") != 0:
        return result
    if not now:
        return AnalysisResult.bad(
            Reason.GREEN_SILENT, "its servers counted no calls, and no gateway says how many there were"
        )
    begun = sum(counts.begun_since(before.get(name, ColourTraffic())) for name, counts in now.items())
    if begun:
        return AnalysisResult.bad(
            Reason.CANDIDATE_UNHEALTHY, f"none of {begun} requests of the gateway reached its servers"
        )
    return result


def _analyse(settings: Settings, delta: Counts) -> AnalysisResult:
    if delta.calls == 0:
        return AnalysisResult.good("its metrics say that nobody called", calls=0)
    good = 100 * (1 - delta.failed / delta.calls)
    p95 = _quantile(delta.within, 0.95)
    message = f"{good:.1f} % of {delta.calls:.0f} calls succeeded, p95 {p95 * 1000:.0f} ms"
    figures = {"calls": int(delta.calls), "success_percent": round(good, 2), "p95_seconds": round(p95, 4)}
    if good < settings.deploy_success_percent:
        return AnalysisResult.bad(Reason.GREEN_FAILING, message, **figures)
    if p95 > settings.deploy_latency_seconds:
        return AnalysisResult.bad(
            Reason.GREEN_SLOW, f"{message}; the objective is {settings.deploy_latency_seconds:g} s", **figures
        )
    return AnalysisResult.good(message, **figures)


def _parse(page: str) -> Counts | None:
    calls, failed, within, known = 0.0, 0.0, dict[float, float](), False
    try:
        families = list(text_string_to_metric_families(page))
    except ValueError:
        return None
    for family in families:
        known = known or family.name == "rag_server_requests"
        for sample in family.samples:
            method = sample.labels.get("method", "")
            if not method.startswith(_METHODS):
                continue
            if sample.name == "rag_server_requests_total":
                calls += sample.value
                failed += sample.value if sample.labels["code"] in _FAULTS else 0
            elif sample.name == "rag_server_request_seconds_bucket" and method.endswith(_TIMED):
                bound = float(sample.labels["le"])
                within[bound] = within.get(bound, 0) + sample.value
    return Counts(calls, failed, within) if known else None


def _add(total: Counts, counts: Counts, earlier: Counts) -> Counts:
    within = {
        bound: total.within.get(bound, 0) + value - earlier.within.get(bound, 0)
        for bound, value in counts.within.items()
    }
    return Counts(
        total.calls + counts.calls - earlier.calls,
        total.failed + counts.failed - earlier.failed,
        total.within | within,
    )


def _quantile(within: dict[float, float], share: float) -> float:
    """As Prometheus does it: linear within the bucket; calls beyond the last finite bound count as that bound."""
    bounds = sorted(within)
    wanted = share * within[bounds[-1]] if bounds else 0
    low, below = 0.0, 0.0
    for bound in bounds:
        if within[bound] >= wanted > 0:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (wanted - below) / max(within[bound] - below, 1e-9)
        low, below = bound, within[bound]
    return 0.0
