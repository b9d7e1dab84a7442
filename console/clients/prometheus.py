"""The series of the history from Prometheus, in the shape in which the platform's own recorder has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from console.clients.errors import ServiceError

_KINDS = {"search": ".*QueryService/(Search|BatchSearch)", "answer": ".*QueryService/(Answer|Query)",
          "documents": ".*DocumentService/.*"}  # fmt: skip
_LEAST_WINDOW = 120
"""Seconds of a rate: several scrapes at any usual interval."""


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A line of a chart: values by Unix time. A time without a value is a gap."""

    name: str
    label: str
    points: Mapping[int, float] = field(default_factory=dict)
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class ChartLines:
    """The lines of a span; `ends` is when the last point ends."""

    begins: int
    ends: int
    step: int
    lines: tuple[ChartLine, ...]
    recording: bool = True


def read_lines(http: httpx.Client, url: str, own: ChartLines) -> ChartLines:
    """Return what Prometheus has of all tenants and services for the time and the step of the platform's own lines.

    Raises `ServiceError` (`METRICS_UNAVAILABLE`).
    """
    begins, ends, step = own.begins, own.ends, own.step
    window = max(step, _LEAST_WINDOW)

    def ask(query: str) -> list[tuple[Mapping[str, str], dict[int, float]]]:
        # A point stands for the step that begins at it, and Prometheus looks back from the moment it is asked for.
        asked = {"query": query, "start": str(begins + step), "end": str(ends), "step": str(step)}
        try:
            body = http.get(f"{url.rstrip('/')}/api/v1/query_range", params=asked).json()
            return [(series["metric"], _points(series["values"], step)) for series in body["data"]["result"]]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise ServiceError("Prometheus", "METRICS_UNAVAILABLE") from None

    lines: list[ChartLine] = []
    for kind, methods in _KINDS.items():
        where = f'method=~"{methods}"'
        found = ask(f"sum(rate(rag_server_requests_total{{{where}}}[{window}s]))")
        lines += [ChartLine("calls", kind, points, sum(points.values()) * step) for _, points in found]
        if kind != "documents":
            lines += _durations(ask, kind, where, window)
    failed = f'sum by (reason) (rate(rag_server_requests_total{{method!~".*admin.*", code!="OK"}}[{window}s]))'
    lines += [
        ChartLine("failures", labels.get("reason", ""), points, sum(points.values()) * step)
        for labels, points in ask(failed)
    ]
    outcomes = ask(f"sum by (outcome) (increase(rag_server_answers_total[{window}s])) * {step / window}")
    lines += [
        ChartLine("answers", labels.get("outcome", ""), points, sum(points.values())) for labels, points in outcomes
    ]
    for name, query, label in (
        ("lag", "max by (stream) (rag_stream_lag_messages)", "stream"),
        ("lag_seconds", "max by (stream) (rag_stream_lag_seconds)", "stream"),
        ("memory", "max by (job) (process_resident_memory_bytes)", "job"),
    ):
        lines += [ChartLine(name, labels.get(label, ""), points) for labels, points in ask(query)]
    return ChartLines(begins, ends, step, tuple(lines))


Ask = Callable[[str], list[tuple[Mapping[str, str], dict[int, float]]]]


def _durations(ask: Ask, kind: str, where: str, window: int) -> list[ChartLine]:
    buckets = f"sum by (le) (rate(rag_server_request_seconds_bucket{{{where}}}[{window}s]))"
    return [
        ChartLine(f"{kind}_seconds", f"p{share}", points)
        for share in (50, 95)
        for _, points in ask(f"histogram_quantile({share / 100}, {buckets})")
    ]


def _points(values: list[tuple[float, str]], step: int) -> dict[int, float]:
    found = {int(at) - step: float(value) for at, value in values}
    return {at: value for at, value in found.items() if math.isfinite(value)}
