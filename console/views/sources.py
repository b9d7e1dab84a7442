"""Sources: counts, freshness, and why one is stale."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from console.clients import Automation
from console.views.health import is_stale
from ragproto.admin.v1 import admin_pb2
from ragproto.admin.v1 import operations_pb2 as ops

COUNTS = ("read", "added", "updated", "unchanged", "deleted", "quarantined", "skipped")


def source_rows(
    counted: Iterable[admin_pb2.SourceStatus],
    details: Mapping[str, ops.SourceDetail],
    automations: Iterable[Automation],
    now: float,
) -> list[dict[str, Any]]:
    """One row per source. `state` is paused, held, stale or ok; `age` is seconds since the last complete listing."""
    running = {item.job.removesuffix("_sync") for item in automations if item.running}
    return [_row(item, details.get(item.name, ops.SourceDetail()), running, now) for item in counted]


def _row(item: admin_pb2.SourceStatus, detail: ops.SourceDetail, running: set[str], now: float) -> dict[str, Any]:
    seconds = item.last_complete_at.seconds
    return {
        "source": item.name,
        "kind": item.kind,
        "state": _state(item, detail, running, now),
        "documents": item.documents,
        "chunks": item.chunks,
        "pending": item.pending,
        "quarantined": item.quarantined,
        "held": item.held_deletions,
        "age": max(0.0, now - seconds) if seconds else None,
    }


def _state(item: admin_pb2.SourceStatus, detail: ops.SourceDetail, running: set[str], now: float) -> str:
    if item.held_deletions:
        return "held"
    if detail.name and is_stale(detail, now):
        return "stale"
    if running and key_of(item.name) not in running:
        return "paused"
    return "ok"


def key_of(source: str) -> str:
    """The name of a source's asset group, which may hold no dash."""
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


def facts(detail: ops.SourceDetail) -> list[tuple[str, str]]:
    """What is configured and remembered, as label and text."""
    cursor = MessageToDict(detail.cursor)
    return [
        ("Kind", detail.kind),
        ("Shards", str(detail.shards)),
        ("ACL", ", ".join(detail.acl) or "–"),
        ("Cursor", json.dumps(cursor, ensure_ascii=False) if cursor else "–"),
        ("Released deletions", str(detail.approved_deletions)),
    ]
