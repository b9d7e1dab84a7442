"""Sources and streams as rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict

from console.clients.metrics import Sample
from console.i18n import N_
from console.presenters.traffic import cumulative, quantile, series
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

# --------------------------------------------------------------------------------------------------------------------
# Sources: counts and freshness.


COUNTS = N_(("read", "added", "updated", "unchanged", "deleted", "quarantined", "skipped", "copies"))


def source_rows(
    counted: Iterable[admin_pb2.SourceStatus], details: Mapping[str, ops.SourceDetail], now: float
) -> list[dict[str, Any]]:
    """One row per source. `condition` is its state; `age` is seconds since the last complete listing; a stream
    has none. The share that is searchable is not known while the source is listed for the first time."""
    return [_row(item, details.get(item.name), now) for item in counted]


def _row(item: admin_pb2.SourceStatus, detail: ops.SourceDetail | None, now: float) -> dict[str, Any]:
    seconds = item.last_complete_at.seconds
    first_listing = not seconds and item.condition.state == admin_pb2.SOURCE_STATE_LISTING
    return {
        "source": item.name,
        "kind": item.kind,
        "condition": item.condition,
        "documents": item.documents,
        "chunks": item.chunks,
        "pending": item.pending,
        "searchable": item.coverage if (item.documents or item.unread) and not first_listing else None,
        "quarantined": item.quarantined,
        "held": item.held_deletions,
        "streamed": item.streamed,
        "age": max(0.0, now - seconds) if seconds else None,
        "problem": item.condition.reason or (detail.last_run.problem if detail is not None else ""),
    }


def key_of(source: str) -> str:
    """The name of a source as Dagster knows it, which may hold no dash."""
    return source.replace("-", "_")


def count_rows(stages: Iterable[ops.RunStage]) -> list[dict[str, Any]]:
    """One row per run and shard with the accounting of its first stage: read = added + updated + unchanged + …"""
    return [
        {
            "run": stage.run_id[:8],
            "shard": stage.shard,
            **{name: stage.counts.get(name, 0) for name in COUNTS},
            "seconds": round(stage.seconds, 1),
            "problem": stage.problem,
            "at": stage.finished_at.seconds,
        }
        for stage in stages
        if stage.stage == "documents"
    ]


def source_fields(detail: ops.SourceDetail) -> list[tuple[str, str]]:
    """Configuration and state of a source, as label and text."""
    cursor = MessageToDict(detail.cursor)
    return [
        ("Kind", detail.kind),
        (N_("Shards"), str(detail.shards)),
        (N_("ACL"), ", ".join(detail.acl) or "–"),
        (N_("Cursor"), json.dumps(cursor, ensure_ascii=False) if cursor else "–"),
        (N_("Approved deletions"), str(detail.approved_deletions)),
    ]


# --------------------------------------------------------------------------------------------------------------------
# Real time: latency from push to search, and pending changes of the streams.


CANARY = "rag_canary_seconds_bucket"


def canary(samples: Sequence[Sample], step: str = "searchable") -> float | None:
    """Seconds within which 95 of 100 canary documents reach a step, as far as they are remembered."""
    if not samples:
        return None

    def of_step(labels: dict[str, str]) -> bool:
        return labels.get("step") == step

    buckets = cumulative(samples[0], samples[-1], CANARY, of_step)
    if not any(buckets.values()):  # none in this time: all since the worker started
        buckets = cumulative(Sample(0, {}), samples[-1], CANARY, of_step)
    found = quantile(buckets, 0.95)
    return found / 1000 if found is not None else None


def lag_rows(samples: Sequence[Sample], tenant: str) -> list[dict[str, Any]]:
    """The streams of a tenant and the push inbox now: changes that wait, for how long, and whether one is halted."""
    if not samples:
        return []
    streams: dict[str, dict[str, float]] = {}
    for name in ("messages", "seconds", "halted"):
        metric = "rag_stream_halted" if name == "halted" else f"rag_stream_lag_{name}"
        for labels, value in series(samples[-1], metric):
            streams.setdefault(labels.get("stream", ""), {})[name] = value
    return [
        {"stream": name.removeprefix(f"{tenant}/"), "waiting": int(found.get("messages", 0)),
         "seconds": found.get("seconds", 0.0), "halted": bool(found.get("halted"))}
        for name, found in sorted(streams.items())
        if "/" not in name or name.startswith(f"{tenant}/")
    ]  # fmt: skip
