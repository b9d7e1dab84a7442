"""Rates, latencies and refusals from samples of counters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from console.clients import Sample

Values = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
REQUESTS, SECONDS = "rag_server_requests_total", "rag_server_request_seconds_bucket"


def rates(samples: Sequence[Sample], name: str, label: str, *, without: str = "-") -> list[dict[str, Any]]:
    """Per second, for each value of a label, between each two samples: rows of `at`, the label and `rate`.

    Methods whose name begins with `without` are left out: the console's own looks are no traffic.
    """
    if len(samples) < 2:
        return []

    # What never moved in this time would only crowd the legend.
    def counted(labels: dict[str, str]) -> bool:
        return not labels.get("method", "").startswith(without)

    moved = {value for value, count in _grew(samples[0], samples[-1], name, label, where=counted).items() if count}
    rows = []
    for before, after in pairwise(samples):
        seconds = after.at - before.at
        if seconds <= 0:
            continue
        grew = _grew(before, after, name, label, where=counted)
        rows += [
            {"at": after.at, label: short(value), "rate": grew.get(value, 0.0) / seconds} for value in sorted(moved)
        ]
    return rows


def table(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """One row per method over all samples: calls per second, p50/p95/p99 in milliseconds, share of errors."""
    if len(samples) < 2:
        return []
    first, last = samples[0], samples[-1]
    seconds = last.at - first.at
    calls = _grew(first, last, REQUESTS, "method")
    failed = _grew(first, last, REQUESTS, "method", where=lambda labels: labels.get("code") != "OK")
    rows = []
    for method, count in sorted(calls.items()):
        if not count:
            continue
        buckets = _buckets(first, last, method)
        rows.append(
            {
                "method": short(method),
                "rate": count / seconds if seconds else 0.0,
                **{f"p{share}": quantile(buckets, share / 100) for share in (50, 95, 99)},
                "errors": failed.get(method, 0.0) / count if count else 0.0,
            }
        )
    return rows


def overall(samples: Sequence[Sample], method: str = "QueryService") -> tuple[float, float | None]:
    """Calls per second and the p95 in milliseconds over all methods whose name holds `method`."""
    if len(samples) < 2:
        return 0.0, None
    first, last = samples[0], samples[-1]
    calls = {name: grew for name, grew in _grew(first, last, REQUESTS, "method").items() if method in name}
    merged: dict[float, float] = {}
    for name in calls:
        for bound, count in _buckets(first, last, name).items():
            merged[bound] = merged.get(bound, 0.0) + count
    return sum(calls.values()) / max(last.at - first.at, 1e-9), quantile(merged, 0.95)


def reasons(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Failed calls by reason code over all samples, the most frequent first."""
    if len(samples) < 2:
        return []
    counts = _grew(samples[0], samples[-1], REQUESTS, "reason")
    rows = [{"reason": reason, "calls": int(count)} for reason, count in counts.items() if reason and count]
    return sorted(rows, key=lambda row: (-row["calls"], row["reason"]))


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Milliseconds below which a share of the calls lie, by linear interpolation in cumulative buckets of seconds."""
    ordered = sorted(buckets.items())
    total = ordered[-1][1] if ordered else 0.0
    if total <= 0:
        return None
    below, lower = 0.0, 0.0
    for bound, count in ordered:
        if count >= share * total:
            if math.isinf(bound):
                return lower * 1000
            inside = count - below
            return (lower + (bound - lower) * ((share * total - below) / inside if inside else 1.0)) * 1000
        below, lower = count, bound
    return lower * 1000


def short(method: str) -> str:
    """`/ragproto.query.v2.QueryService/Search` as `query.v2 Search`."""
    service, _, name = method.removeprefix("/").partition("/")
    parts = service.split(".")
    return f"{'.'.join(parts[-3:-1])} {name}" if name and len(parts) > 2 else method


def gateway_rows(values: Values) -> list[dict[str, Any]]:
    """Envoy's clusters: hosts and how many of them are healthy."""
    clusters: dict[str, dict[str, float]] = {}
    for (name, labels), value in values.items():
        cluster = dict(labels).get("envoy_cluster_name")
        if cluster:
            clusters.setdefault(cluster, {})[name] = value
    return [
        {
            "cluster": cluster,
            "hosts": int(found.get("envoy_cluster_membership_total", 0)),
            "healthy": int(found.get("envoy_cluster_membership_healthy", 0)),
            "retries": int(found.get("envoy_cluster_upstream_rq_retry", 0)),
        }
        for cluster, found in sorted(clusters.items())
    ]


def limited(values: Values) -> int:
    """Calls that Envoy refused because a limit was reached, since it started."""
    return int(sum(value for (name, _), value in values.items() if "rate_limited" in name))


def shed(samples: Sequence[Sample]) -> int:
    """Calls that the query server refused because a queue was full."""
    if len(samples) < 2:
        return 0
    return int(sum(_grew(samples[0], samples[-1], "rag_server_gate_refused_total", "gate").values()))


def _grew(before: Sample, after: Sample, name: str, label: str, where: Any = lambda labels: True) -> dict[str, float]:
    found: dict[str, float] = {}
    for labels, value in _series(after, name):
        if where(labels):
            past = before.values.get((name, tuple(sorted(labels.items()))), 0.0)
            # A counter that fell belongs to a server that was started anew.
            found[labels.get(label, "")] = found.get(labels.get(label, ""), 0.0) + (
                value - past if value >= past else value
            )
    return found


def _buckets(before: Sample, after: Sample, method: str) -> dict[float, float]:
    return {
        float(bound): count
        for bound, count in _grew(
            before, after, SECONDS, "le", where=lambda labels: labels.get("method") == method
        ).items()
    }


def _series(sample: Sample, name: str) -> Iterable[tuple[dict[str, str], float]]:
    return ((dict(labels), value) for (found, labels), value in sample.values.items() if found == name)
