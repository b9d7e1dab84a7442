"""The sensor `history`: measures once a minute what only rows know, and sums the history into coarser steps.

The other services count what they do themselves (`rag_core.governance.history.HistoryRecorder`). Of sensors one runs
at a time, so that nothing is measured twice, embedded, in Compose and in a cluster alike.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import dagster as dg
from sqlalchemy import Connection

from rag_assets.lib.failures import typed_failures
from rag_core.content.streams import store as streams
from rag_core.database import Store
from rag_core.governance.history import ROWS, StoredSeries, Tally
from rag_core.governance.history import store as history
from rag_core.governance.tenants import CANARY_TENANT
from rag_core.ingestion.pipeline import Pipeline
from rag_core.ingestion.source_status import read_all
from rag_core.platform import resident_bytes
from rag_core.settings import Settings

INTERVAL_SECONDS = 60
MAX_SHARE = 0.05
"""Part of the time that measuring may take: it reads every document, so a large installation is measured less often."""
_GRACE_MINUTES = 3
"""A sensor that runs every minute sometimes leaves one out, which the next measurement stands for."""
_CODE_SERVER = "dagster-code"


def history_sensor(settings: Settings) -> dg.SensorDefinition:
    """One sensor for everything; with `RAG_HISTORY_DAYS=0` it only deletes."""

    @dg.sensor(
        name="history",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Measures sources, streams and disk for the history of traffic and pipeline. Starts no run.",
    )
    def sense(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SkipReason:
        with typed_failures():
            found, cursor = record(pipeline.store, pipeline.settings, context.cursor, time.time())
        context.update_cursor(cursor)
        return dg.SkipReason(found)

    return sense


def record(store: Store, settings: Settings, cursor: str | None, now: float) -> tuple[str, str]:
    """Measure the minutes that have ended since the last time, when it is due; returns what was done, and a cursor."""
    known = json.loads(cursor) if cursor else {}
    last, due, purged = (int(known.get(name, 0)) for name in ("minute", "due", "purged"))
    ended = int(now) // 60 * 60
    if now < due or ended - 60 <= last:
        return "not due yet", cursor or "{}"
    started, moment = time.monotonic(), datetime.fromtimestamp(now, UTC)
    # The minutes since the last measurement, unless nobody measured for longer than was planned: then it is a gap.
    first = last + 60 if last and ended - last <= max(due - last, 0) + _GRACE_MINUTES * 60 else ended - 60
    with store.engine.begin() as connection:
        if settings.history_days:
            measured = measure(connection, settings, range(first, ended, 60))
            for minute in measured.take(before=ended):
                history.write(connection, ROWS, minute)
            history.downsample(connection, moment)
        if now - purged >= 3600:
            plain = settings.unanswered_questions == "plain"
            history.purge(connection, moment, days=settings.history_days, plain_questions=plain)
            purged = int(now)
    planned = int(now + (time.monotonic() - started) / MAX_SHARE)
    done = "measured" if settings.history_days else "switched off"
    return done, json.dumps({"minute": ended - 60, "due": planned, "purged": purged})


def measure(connection: Connection, settings: Settings, minutes: range) -> Tally:
    """Return what the rows say now, as samples of each of these minutes."""
    tally, size = Tally(), history.database_bytes(connection)
    queued, memory = history.queued_runs(connection), resident_bytes()
    reports = [(tenant, report.counts) for tenant, report in read_all(connection) if tenant != CANARY_TENANT]
    lags = _lags(connection, settings.stream_lost_seconds)
    for at in minutes:
        tally.record_up(at, ROWS, 60)
        tally.sample(StoredSeries.DISK, size, label="database", at=at)
        if memory is not None:
            tally.sample(StoredSeries.MEMORY, memory, label=_CODE_SERVER, at=at)
        for tenant, source, count in queued:
            tally.sample(StoredSeries.QUEUED_RUNS, count, tenant=tenant, label=source, at=at)
        for tenant, counts in reports:
            for series, value in (
                (StoredSeries.DOCUMENTS, counts.documents),
                (StoredSeries.PENDING, counts.pending),
                (StoredSeries.QUARANTINED, counts.quarantined),
            ):
                if value:  # what is left out counts as 0
                    tally.sample(series, value, tenant=tenant, label=counts.name, at=at)
        for stream, (messages, seconds) in lags.items():
            tally.sample(StoredSeries.LAG, messages, label=stream, at=at)
            tally.sample(StoredSeries.LAG_SECONDS, seconds, label=stream, at=at)
    return tally


def _lags(connection: Connection, living: float) -> dict[str, tuple[float, float]]:
    """Return what waits in each stream and for how long, by the worker that is furthest behind."""
    found: dict[str, tuple[float, float]] = {}
    for worker in streams.workers(connection, within_seconds=living):
        for stream, state in worker["details"].items():
            if isinstance(state, dict) and "lag" in state:
                lag = (float(state["lag"]), float(state.get("lag_seconds", 0)))
                found[stream] = max(found.get(stream, lag), lag)
    return found
