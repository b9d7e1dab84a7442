"""The history of sources as sparklines, sums of what changed, and runs as bars of a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from console.i18n import N_
from rag_clients.dagster import ACTIVE
from rag_clients.dagster_answers import DagsterRun
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

CHANGES = N_(("added", "updated", "deleted", "quarantined"))
"""Outcomes that are a change, in the order of the columns."""
HOURS_SHOWN = 24
_LEAST_SHOWN = 120.0
"""Seconds that a bar of the timeline is wide at least, so that a run of a moment can be seen and pointed at."""
OUTCOMES = N_({"SUCCESS": "succeeded", "FAILURE": "failed", "CANCELED": "canceled"})


def trends(histories: Iterable[ops.SourceHistory]) -> dict[str, dict[str, list[float]]]:
    """By source, oldest first: live documents after each run, inputs each run quarantined, and the hours between
    complete listings, which is how old the source's documents became."""
    found = {}
    for item in histories:
        complete = [point.finished_at.seconds for point in item.points if point.complete]
        found[item.source] = {
            "documents": [float(point.documents) for point in item.points if point.HasField("documents")],
            "errors": [float(point.quarantined or bool(point.problem)) for point in item.points],
            "gaps": [round((later - earlier) / 3600, 2) for earlier, later in pairwise(complete)],
        }
    return found


def change_rows(histories: Iterable[ops.SourceHistory]) -> list[dict[str, Any]]:
    """One row per source that changed, the one with most changes first."""
    rows = [
        {"source": item.source, "runs": item.runs, **{name: item.changes.get(name, 0) for name in CHANGES}}
        for item in histories
    ]
    changed = [row for row in rows if any(row[name] for name in CHANGES)]
    return sorted(changed, key=lambda row: -sum(row[name] for name in CHANGES))


def promotions(generations: Iterable[admin_pb2.Generation], since: float) -> list[tuple[str, int]]:
    """Generations that readers were moved to since a moment, newest first, and when."""
    found = [(item.name, item.promoted_at.seconds) for item in generations if item.promoted_at.seconds >= since]
    return sorted(found, key=lambda entry: -entry[1])


def timeline(runs: Sequence[DagsterRun], now: float) -> list[dict[str, Any]]:
    """Runs that ran in the last 24 hours as bars: from when, until when, and how they ended."""
    begin = now - HOURS_SHOWN * 3600
    bars = []
    for run in runs:
        if run.started is None:
            continue
        ended = run.ended or (now if run.status in ACTIVE else run.started)
        if ended < begin:
            continue
        bars.append(
            {
                "source": run.source or run.job,
                "of_source": bool(run.source),
                "start": max(run.started, begin),
                "end": min(now, max(ended, run.started + _LEAST_SHOWN)),
                "seconds": ended - run.started,
                "outcome": OUTCOMES.get(run.status, "running"),
                "run": run.run_id,
            }
        )
    return bars


def shown_sources(sources: Iterable[admin_pb2.SourceStatus]) -> list[admin_pb2.SourceStatus]:
    """Sources in the order of a list: those that need somebody first, then by name."""
    return sorted(sources, key=lambda item: (not item.condition.needs_attention, item.name))
