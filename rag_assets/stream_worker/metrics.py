"""Metrics of a stream worker, and /metrics, /health and /live over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    make_wsgi_app,
)

from rag_core.errors import Conflict, Reason
from rag_core.settings import Settings

# --------------------------------------------------------------------------------------------------------------------
# Every metric of a stream worker; docs/reference/metrics.md is generated from it. Streams and reasons are bounded.


_LATENCY = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class StreamMetrics:
    """The metrics of one worker in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.events = Counter(
            "rag_stream_events",
            "Changes by outcome: applied, deleted, stale, superseded (by a newer one of its batch), dead.",
            ["stream", "outcome"],
            registry=registry,
        )
        self.dead = Counter(
            "rag_stream_dead_letters", "Changes given up on, by reason code.", ["stream", "reason"], registry=registry
        )
        self.batch = Histogram(
            "rag_stream_batch_events", "Changes in a micro-batch.", ["stream"], buckets=_SIZES, registry=registry
        )
        self.batch_seconds = Histogram(
            "rag_stream_batch_seconds",
            "Time to store, chunk, embed and index a micro-batch.",
            ["stream"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.latency = Histogram(
            "rag_stream_latency_seconds",
            "From the time of the change at its source until searches see it.",
            ["stream"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.lag = Gauge("rag_stream_lag_messages", "Changes that wait.", ["stream"], registry=registry)
        self.lag_seconds = Gauge(
            "rag_stream_lag_seconds", "How long the oldest of them has waited.", ["stream"], registry=registry
        )
        self.retries = Counter(
            "rag_stream_retries", "Micro-batches tried again, by reason code.", ["stream", "reason"], registry=registry
        )
        self.halted = Gauge(
            "rag_stream_halted", "1 while a stream waits for an operator.", ["stream"], registry=registry
        )
        self.beat = Gauge("rag_stream_heartbeat_timestamp", "Time of the last heartbeat.", registry=registry)
        self.finished = Counter(
            "rag_stream_reconciled_documents",
            "Documents that were stored and not indexed, found and brought in by the reconciler.",
            registry=registry,
        )
        self._define_canary(registry)
        self._define_runs(registry)

    def _define_canary(self, registry: CollectorRegistry) -> None:
        self.canary_seconds = Histogram(
            "rag_canary_seconds",
            "Canary documents: from the push until a search finds it (searchable) or does not any more (gone).",
            ["step"],
            buckets=_LATENCY,
            registry=registry,
        )
        self.canary_last = Gauge(
            "rag_canary_last_seconds", "The last measured time of a step.", ["step"], registry=registry
        )
        self.canary_failures = Counter(
            "rag_canary_failures", "Canary steps that did not end in time.", ["step"], registry=registry
        )

    def _define_runs(self, registry: CollectorRegistry) -> None:
        self.runs = Gauge(
            "rag_dagster_runs",
            "Runs in Dagster's storage by status; finished ones leave it after `RAG_EVENT_RETENTION_DAYS`.",
            ["status"],
            registry=registry,
        )
        self.run_seconds = Gauge(
            "rag_dagster_last_run_seconds",
            "Time that the last finished run of a job took; jobs among the last 100 finished runs.",
            ["job"],
            registry=registry,
        )
        self.run_failed = Gauge(
            "rag_dagster_last_run_failed", "1 when the last finished run of a job failed.", ["job"], registry=registry
        )
        self.daemon_beat = Gauge(
            "rag_dagster_daemon_heartbeat_timestamp_seconds",
            "Last heartbeat of each of Dagster's daemons, Unix time.",
            ["daemon"],
            registry=registry,
        )


# --------------------------------------------------------------------------------------------------------------------
# /metrics, /health and /live of a worker over HTTP.


Start = Callable[..., Any]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Probes come every second and say nothing."""


class MetricsServer:
    """Serves from a thread of its own. Port 0 takes a free one.

    `GET /health` answers 503 while a stream is halted, and says `degraded` while one waits for something outside. `GET
    /live` answers 200 as long as the process works: a restart mends neither.
    """

    def __init__(self, settings: Settings, registry: CollectorRegistry, status: Callable[[], dict[str, Any]]) -> None:
        self._metrics = make_wsgi_app(registry)
        self._status = status
        try:
            self._server: WSGIServer = make_server(
                settings.host, settings.stream_metrics_port, self._answer, handler_class=_Quiet
            )
        except OSError:
            raise Conflict(
                Reason.PORT_TAKEN, f"port {settings.stream_metrics_port} is taken (RAG_STREAM_METRICS_PORT)"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _answer(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start)
            return answer
        if environ.get("PATH_INFO") not in ("/health", "/live"):
            start("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics, /health, /live\n"]
        streams = self._status()
        status = summary(streams)
        halted = status == "halted" and environ["PATH_INFO"] == "/health"
        start("503 Service Unavailable" if halted else "200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"status": status, "streams": streams}).encode()]


def summary(streams: Mapping[str, Mapping[str, Any]]) -> str:
    """`halted` when one waits for an operator, `degraded` when one waits for something outside, else `ok`."""
    states = [str(stream.get("state", "")) for stream in streams.values()]
    if any(state.startswith(("halted", "failed")) for state in states):
        return "halted"
    return "degraded" if any(state.startswith("waiting") for state in states) else "ok"
