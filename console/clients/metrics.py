"""Traffic figures from Prometheus when configured, otherwise from the services' own pages, kept for 15 minutes."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from console.clients.errors import ServiceError
from console.clients.http import http_client
from console.clients.prometheus import ChartLines, read_lines
from console.settings import ConsoleSettings

Labels = tuple[tuple[str, str], ...]
KEEP_SECONDS = 900.0
LEAST_SECONDS = 2.0
"""Minimum interval between two reads of the pages, for all sessions together."""
SERIES = (
    "rag_server_requests_total",
    "rag_server_request_seconds_bucket",
    "rag_server_gate_refused_total",
    "rag_server_answers_total",
    "rag_server_ready",
    "rag_server_in_flight",
    "rag_server_tenant_calls_total",
    "rag_canary_seconds_bucket",
    "rag_stream_lag_messages",
    "rag_stream_lag_seconds",
    "rag_stream_halted",
)
_LABELS = ("__name__", "method", "code", "reason", "gate", "outcome", "tenant", "step", "stream", "le")
_GATEWAY_SERIES = (
    "envoy_http_local_rate_limit_rate_limited",
    "envoy_http_local_rate_limit_ok",
    "envoy_cluster_upstream_rq_active_overflow",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Every series at one moment (seconds since the epoch), summed over the servers that answered."""

    at: float
    values: Mapping[tuple[str, Labels], float]


@dataclass(frozen=True, slots=True)
class Replica:
    """A host behind the gateway as its health checks see it; `weight` is its share within its cluster."""

    cluster: str
    address: str
    health: str
    weight: int


@dataclass(frozen=True, slots=True)
class SlowCall:
    """A call that was recorded as a trace, as the histogram of its method names it: an exemplar."""

    at: float
    method: str
    seconds: float
    trace_id: str


class MetricsClient:
    """Reads and caches the figures. One per process; thread-safe."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._pages = [page.strip() for page in settings.metrics_urls.split(",") if page.strip()]
        self._envoy = settings.envoy_admin_url
        self._prometheus = settings.prometheus_url
        self._http = http_client(settings.call_seconds)
        self._ring: deque[Sample] = deque()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    @property
    def has_own_history(self) -> bool:
        """True when history is our own ring buffer, which begins at the console's first poll."""
        return self._prometheus is None

    def history(self) -> list[Sample]:
        """The last 15 minutes, oldest first. Raises `ServiceError` (`METRICS_UNAVAILABLE`) when nothing answers."""
        if self._prometheus is not None:
            return self._from_prometheus(self._prometheus.rstrip("/"))
        with self._lock:
            now = time.time()
            if not self._ring or now - self._ring[-1].at >= LEAST_SECONDS:
                self._ring.append(self._poll(now))
            while self._ring[0].at < now - KEEP_SECONDS:
                self._ring.popleft()
            return list(self._ring)

    def long_history(self, own: ChartLines) -> ChartLines | None:
        """Return what Prometheus has of the time of the platform's own lines, `None` without a Prometheus.

        Raises `ServiceError` (`METRICS_UNAVAILABLE`).
        """
        return read_lines(self._http, self._prometheus, own) if self._prometheus is not None else None

    def gateway(self) -> Mapping[tuple[str, Labels], float] | None:
        """Envoy's own figures now, `None` when its admin interface is not configured. Raises `ServiceError`."""
        if self._envoy is None:
            return None
        text = self._get("gateway", f"{self._envoy.rstrip('/')}/stats/prometheus")
        return parse(text, _GATEWAY_SERIES)

    def replicas(self) -> list[Replica]:
        """The hosts that the gateway knows; none when its admin interface is not configured. Raises `ServiceError`."""
        if self._envoy is None:
            return []
        try:
            clusters = json.loads(self._get("gateway", f"{self._envoy.rstrip('/')}/clusters?format=json"))
            return [_replica(cluster["name"], host) for cluster in clusters["cluster_statuses"]
                    for host in cluster.get("host_statuses", ())]  # fmt: skip
        except (ValueError, KeyError, TypeError):
            raise ServiceError("gateway", "METRICS_UNAVAILABLE") from None

    def slow_calls(self) -> list[SlowCall]:
        """The newest recorded call of each bucket of latency, of the servers that answer."""
        calls: list[SlowCall] = []
        for page in self._pages:
            with suppress(ServiceError):
                calls += exemplars(self._get("metrics", page, Accept=_OPENMETRICS))
        return calls

    def _poll(self, now: float) -> Sample:
        values: dict[tuple[str, Labels], float] = {}
        failure: ServiceError | None = None
        answered = 0
        for page in self._pages:
            try:
                found = parse(self._get("metrics", page), SERIES)
            except ServiceError as error:
                failure = error
                continue
            answered += 1
            for key, value in found.items():
                values[key] = values.get(key, 0.0) + value
        if failure is not None and not answered:
            raise failure
        return Sample(now, values)

    def _from_prometheus(self, url: str) -> list[Sample]:
        end = time.time()
        query = f'sum by ({", ".join(_LABELS)}) ({{__name__=~"{"|".join(SERIES)}"}})'
        params = {"query": query, "start": str(end - KEEP_SECONDS), "end": str(end), "step": "15"}
        try:
            body = self._http.get(f"{url}/api/v1/query_range", params=params).json()
            results = body["data"]["result"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise ServiceError("Prometheus", "METRICS_UNAVAILABLE") from None
        moments: dict[float, dict[tuple[str, Labels], float]] = {}
        for series in results:
            labels = dict(series["metric"])
            name = labels.pop("__name__", "")
            for at, value in series["values"]:
                moments.setdefault(float(at), {})[name, _labels(labels)] = float(value)
        return [Sample(at, values) for at, values in sorted(moments.items())]

    def _get(self, service: str, url: str, **headers: str) -> str:
        try:
            response = self._http.get(url, headers=headers)
        except httpx.HTTPError:
            raise ServiceError(service, "METRICS_UNAVAILABLE") from None
        if not response.is_success:
            raise ServiceError(service, "METRICS_UNAVAILABLE")
        return response.text


def _replica(cluster: str, host: dict[str, Any]) -> Replica:
    socket = host["address"].get("socket_address", {})
    status = host.get("health_status", {})
    # Whatever is set beside the health of the discovery service is a check that failed.
    failed = [name for name, value in status.items() if name != "eds_health_status" and value]
    health = failed[0] if failed else str(status.get("eds_health_status", "UNKNOWN")).lower()
    address = f"{socket.get('address', '?')}:{socket.get('port_value', '?')}"
    return Replica(cluster, address, health, int(host.get("weight", 1)))


def parse(text: str, names: Iterable[str]) -> dict[tuple[str, Labels], float]:
    """The wanted series of a metrics page. Raises `ServiceError` (`METRICS_UNAVAILABLE`) for what is no such page."""
    wanted = set(names)
    lines = "\n".join(line for line in text.splitlines() if line.partition("{")[0].partition(" ")[0] in wanted)
    try:
        return {
            (sample.name, _labels(sample.labels)): sample.value
            for family in text_string_to_metric_families(lines + "\n")
            for sample in family.samples
        }
    except ValueError:
        raise ServiceError("metrics", "METRICS_UNAVAILABLE") from None


_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
_EXEMPLAR = re.compile(
    r'^rag_server_request_seconds_bucket\{le="[^"\n]+",method="([^"\n]+)"\} \S+'
    r' # \{(?:span_id="[0-9a-f]{16}",)?trace_id="([0-9a-f]{32})"\} (\S+) (\S+)$',
    re.MULTILINE,
)


def exemplars(text: str) -> list[SlowCall]:
    """The calls that a metrics page names beside its buckets."""
    return [
        SlowCall(float(at), method, float(seconds), trace) for method, trace, seconds, at in _EXEMPLAR.findall(text)
    ]


def _labels(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))
