"""Metrics of a stream worker, and what its pages /health and /live say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from rag_core.errors import Reason
from rag_core.status_pages import Page

# --------------------------------------------------------------------------------------------------------------------
# Every metric of a stream worker; docs/reference/metrics.md is generated from it. Streams and reasons are bounded.


_LATENCY = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class StreamMetrics:
    """The metrics of one worker in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counter = partial(Counter, registry=self.registry)
        self._gauge = partial(Gauge, registry=self.registry)
        self._histogram = partial(Histogram, buckets=_LATENCY, registry=self.registry)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.events = self._counter(
            "rag_stream_events",
            "Changes by outcome: applied, deleted, stale, superseded (by a newer one of its batch), dead.",
            ["stream", "outcome"],
        )
        self.dead = self._counter(
            "rag_stream_dead_letters", "Changes given up on, by reason code.", ["stream", "reason"]
        )
        self.batch = self._histogram("rag_stream_batch_events", "Changes in a micro-batch.", ["stream"], buckets=_SIZES)
        self.batch_seconds = self._histogram(
            "rag_stream_batch_seconds", "Time to store, chunk, embed and index a micro-batch.", ["stream"]
        )
        self.latency = self._histogram(
            "rag_stream_latency_seconds", "From the time of the change at its source until searches see it.", ["stream"]
        )
        self.lag = self._gauge("rag_stream_lag_messages", "Changes that wait.", ["stream"])
        self.lag_seconds = self._gauge("rag_stream_lag_seconds", "How long the oldest of them has waited.", ["stream"])
        self.retries = self._counter(
            "rag_stream_retries", "Micro-batches tried again, by reason code.", ["stream", "reason"]
        )
        self.halted = self._gauge("rag_stream_halted", "1 while a stream waits for an operator.", ["stream"])
        self.halted_sources = self._gauge(
            "rag_stream_halted_sources",
            "Sources that wait for an operator because too many of their changes were unusable; the stream continues.",
            ["stream"],
        )
        self.beat = self._gauge("rag_stream_heartbeat_timestamp", "Time of the last heartbeat.")
        self.finished = self._counter(
            "rag_stream_reconciled_documents",
            "Documents that were stored and not indexed, found and brought in by the reconciler.",
        )
        self._define_canary()
        self._define_runs()

    def _define_canary(self) -> None:
        self.canary_seconds = self._histogram(
            "rag_canary_seconds",
            "Canary documents: from the push until a search finds it (searchable) or does not any more (gone).",
            ["step"],
        )
        self.canary_last = self._gauge("rag_canary_last_seconds", "The last measured time of a step.", ["step"])
        self.canary_failures = self._counter("rag_canary_failures", "Canary steps that did not end in time.", ["step"])

    def _define_runs(self) -> None:
        self.runs = self._gauge(
            "rag_dagster_runs",
            "Runs in Dagster's storage by status; finished ones leave it after `RAG_EVENT_RETENTION_DAYS`.",
            ["status"],
        )
        self.run_seconds = self._gauge(
            "rag_dagster_last_run_seconds",
            "Time that the last finished run of a job took; jobs among the last 100 finished runs.",
            ["job"],
        )
        self.run_failed = self._gauge(
            "rag_dagster_last_run_failed", "1 when the last finished run of a job failed.", ["job"]
        )
        self.daemon_beat = self._gauge(
            "rag_dagster_daemon_heartbeat_timestamp_seconds",
            "Last heartbeat of each of Dagster's daemons, Unix time.",
            ["daemon"],
        )


# --------------------------------------------------------------------------------------------------------------------
# /health and /live of a worker.


_HALTED_SOURCE = f"halted: {Reason.POISON_RATE}"
"""State of a topic, which is one source, whose changes are mostly unusable. The other streams continue."""


def health_pages(status: Callable[[], dict[str, Any]]) -> dict[str, Page]:
    """/health says 503 while a stream is halted, and `degraded` while one waits for something outside.

    A halted source is no state of the worker: otherwise the changes of one tenant would stop all others. /live answers
    200 as long as the process works: a restart mends neither.
    """

    def read() -> tuple[str, dict[str, object]]:
        streams = status()
        health = summary(streams)
        return health, {"status": health, "streams": {name: _counted(stream) for name, stream in streams.items()}}

    def health() -> tuple[bool, dict[str, object]]:
        health, body = read()
        return health != "halted", body

    return {"/health": health, "/live": lambda: (True, read()[1])}


def _counted(stream: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's state with numbers for lists of sources: names of tenants are not for a page without a token."""
    lists = {name: len(value) for name, value in stream.items() if isinstance(value, list | tuple)}
    return {**stream, "halted_sources": 0, **lists}


def summary(streams: Mapping[str, Mapping[str, Any]]) -> str:
    """`halted` when one waits for an operator, `degraded` when one waits for something outside, else `ok`."""
    states = [str(stream.get("state", "")) for stream in streams.values()]
    if any(state.startswith(("halted", "failed")) and state != _HALTED_SOURCE for state in states):
        return "halted"
    return "degraded" if any(state.startswith("waiting") for state in states) else "ok"
