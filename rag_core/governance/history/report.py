"""Series for a chart, from stored figures: rates, quantiles, levels; a time that nobody recorded is a gap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

from rag_core.governance.history.base import LATENCY_BOUNDS, QUERY_SERVER, ROWS, History, Series, StoredSeries, TimeSpan

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.governance.history.store import Point

MAX_LABELS = 20
"""Lines of one series; the smaller ones are summed up as `other`."""
OTHER = "other"

_RATES = (StoredSeries.CALLS, StoredSeries.FAILURES)
_COUNTS = (StoredSeries.ANSWERS, StoredSeries.FOUND, StoredSeries.CITED)
_PER_MINUTE = (StoredSeries.INGESTED, StoredSeries.REFUSED)
_LEVELS = (StoredSeries.DOCUMENTS, StoredSeries.PENDING, StoredSeries.QUARANTINED, StoredSeries.QUEUED_RUNS)
_DURATIONS = (StoredSeries.SEARCH_SECONDS, StoredSeries.ANSWER_SECONDS)
_OF_TENANTS = (*_RATES, *_COUNTS, *_PER_MINUTE, *_LEVELS, *_DURATIONS)
_OF_PLATFORM = (
    StoredSeries.LAG,
    StoredSeries.LAG_SECONDS,
    StoredSeries.MEMORY,
    StoredSeries.DISK,
    StoredSeries.DISK_FREE,
)
_QUANTILES = {"p50": 0.5, "p95": 0.95}


def read_history(
    connection: Connection, span: TimeSpan, now: datetime, *, tenant: str | None, platform: bool
) -> History:
    """The series of a span, of one tenant or of all (`None`); with `platform` those that no tenant owns as well."""
    from rag_core.governance.history import store

    begins, until = _edges(span, now)
    since = datetime.fromtimestamp(begins, UTC)
    tenants = None if tenant is None else (tenant,)
    # First: of a minute that is written between the two its figures are read too, where none would mean zero.
    present = store.presence(connection, step=span.step, since=since)
    points = store.read(connection, step=span.step, since=since, series=_OF_TENANTS, tenants=tenants)
    if platform:
        points += store.read(connection, step=span.step, since=since, series=_OF_PLATFORM, tenants=("",))
    return History(begins, until, span.step, tuple(_series(points, present)))


def _edges(span: TimeSpan, now: datetime) -> tuple[int, int]:
    step, moment = span.step, int(now.timestamp())
    until = moment // step * step + step
    return until - span.seconds, until


def _series(points: Sequence[Point], present: Mapping[tuple[str, int], float]) -> list[Series]:
    served = {at: seconds for (service, at), seconds in present.items() if service == QUERY_SERVER and seconds > 0}
    measured = {at: seconds for (service, at), seconds in present.items() if service == ROWS and seconds > 0}
    found: defaultdict[str, dict[str, dict[int, Point]]] = defaultdict(dict)
    for point in points:
        found[point.series].setdefault(point.label, {})[point.at] = point
    made: list[Series] = []
    for name, labels in found.items():
        totals = {label: {at: point.total for at, point in values.items()} for label, values in labels.items()}
        if name in _DURATIONS:
            made += _quantiles(name, totals)
        elif name in _RATES:
            made += _lines(name, totals, served, per=1.0)
        elif name in _COUNTS:
            made += _lines(name, totals, served)
        elif name in (*_PER_MINUTE, *_LEVELS):  # a level has one sample a minute, and none when it is 0
            made += _lines(name, totals, measured, per=60.0)
        else:  # of memory, disk and lag each sample stands for itself: there is no zero to fill in
            made += [
                Series(name, label, {at: point.level for at, point in values.items()})
                for label, values in sorted(labels.items())
            ]
    return made


def _lines(
    name: str, labels: Mapping[str, Mapping[int, float]], present: Mapping[int, float], per: float | None = None
) -> list[Series]:
    """Lines with zero where nothing happened while somebody recorded; `per` makes them counts per so many seconds."""
    made = []
    for label, values in _largest(labels).items():
        points = {at: values.get(at, 0.0) * (per / seconds if per else 1.0) for at, seconds in sorted(present.items())}
        made.append(Series(name, label, points, 0.0 if name in _LEVELS else sum(values.values())))
    return made


def _largest(labels: Mapping[str, Mapping[int, float]]) -> dict[str, Mapping[int, float]]:
    ordered = sorted(labels, key=lambda label: (-sum(labels[label].values()), label))
    if len(ordered) <= MAX_LABELS:
        return {label: labels[label] for label in ordered}
    shown: dict[str, Mapping[int, float]] = {label: labels[label] for label in ordered[:MAX_LABELS] if label != OTHER}
    rest: defaultdict[int, float] = defaultdict(float)
    for label in labels:
        if label not in shown:
            for at, value in labels[label].items():
                rest[at] += value
    return {**shown, OTHER: rest}


def _quantiles(name: str, classes: Mapping[str, Mapping[int, float]]) -> list[Series]:
    """`p50` and `p95` in seconds of every bucket with calls; one without has none."""
    buckets: defaultdict[int, dict[float, float]] = defaultdict(dict)
    for bound, values in classes.items():
        for at, count in values.items():
            buckets[at][float(bound)] = count
    return [
        Series(name, label, {at: quantile(counts, share) for at, counts in sorted(buckets.items())})
        for label, share in _QUANTILES.items()
    ]


def quantile(counts: Mapping[float, float], share: float) -> float:
    """The duration in seconds below which a share of the calls lie, by linear interpolation in its class."""
    wanted, below = share * sum(counts.values()), 0.0
    for lower, bound in zip((0.0, *LATENCY_BOUNDS), (*LATENCY_BOUNDS, inf), strict=True):
        count = counts.get(bound, 0.0)
        if count and below + count >= wanted:
            return lower if bound == inf else lower + (bound - lower) * (wanted - below) / count
        below += count
    return LATENCY_BOUNDS[-1]
