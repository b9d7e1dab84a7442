"""Runs, assets, sensors and schedules as rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from console.i18n import N_
from rag_clients.dagster_answers import Asset, Automation, DagsterRun, source_of_backfill
from ragproto.admin.v1 import operations_pb2 as ops

STAGES = N_(("documents", "chunks", "embeddings", "index"))
_STATUSES = N_({"started": "running", "not_started": "queued"})


def run_rows(runs: Iterable[DagsterRun], now: float) -> list[dict[str, Any]]:
    """One table row per run. `now` is in seconds since the epoch; `seconds` is how long it took so far."""
    return [
        {
            "source": run.source or "–",
            "job": "sync" if run.source else run.job,
            "status": status_of(run),
            "started": run.started,
            "seconds": round((run.ended or now) - run.started, 1) if run.started else None,
            "shard": run.partition,
            "run": run.run_id,
        }
        for run in runs
    ]


def status_of(run: DagsterRun) -> str:
    """The status of a run in the words of the stages: one that has started runs."""
    status = run.status.lower()
    return _STATUSES.get(status, status)


def problems(stages: Iterable[ops.RunStage]) -> dict[str, str]:
    """The reason code of each run that did not do all it should, by run."""
    return {item.run_id: item.problem for item in stages if item.problem}


def stage_rows(assets: Iterable[Asset]) -> list[dict[str, Any]]:
    """One row per asset of a source that runs make, in the order of the chain."""
    order = {"documents": 0, "chunks": 1, "embeddings": 2, "index": 3}
    return [
        {"stage": asset.stage, "status": _status(asset), "at": asset.at}
        for asset in sorted(assets, key=lambda asset: order.get(asset.stage, 9))
        if asset.stage != "source"  # the folder or table itself, which nothing here materializes
    ]


def _status(asset: Asset) -> str:
    if asset.running:
        return "running"
    if asset.queued:
        return "queued"
    if not asset.status:
        return N_("stream worker") if asset.at else "never"
    return asset.status.lower()


MARKS = {
    "success": "✔",
    "stream worker": "✔",
    "running": "▶",
    "queued": "…",
    "failure": "✖",
    "canceled": "■",
    "never": "○",
}


def graph(rows: Sequence[dict[str, Any]]) -> str:
    """The chain as a DOT drawing; shape and mark show the state as well as the colour does."""
    done = "#1a7f37"
    colours = {
        "success": done,
        "stream worker": done,
        "running": "#0b5cad",
        "failure": "#b42318",
        "canceled": "#8a6100",
    }
    lines = ['digraph { rankdir=LR; bgcolor="transparent"; node [shape=box, style="rounded", fontname="sans-serif"];']
    for row in rows:
        colour, mark = colours.get(row["status"], "#777777"), MARKS.get(row["status"], "•")
        shape = ", peripheries=2" if row["status"] == "failure" else ""
        label = f"{mark} {row['stage']}"
        lines.append(f'"{row["stage"]}" [label="{label}", color="{colour}", fontcolor="{colour}"{shape}];')
    names = [row["stage"] for row in rows]
    lines += [f'"{a}" -> "{b}" [color="#777777"];' for a, b in pairwise(names)]
    return "\n".join([*lines, "}"])


def automation_rows(automations: Iterable[Automation]) -> list[dict[str, Any]]:
    """One row per sensor and schedule."""
    return [
        {
            "name": item.name,
            "kind": item.kind,
            "on": item.running,
            "last": item.last_at,
            "tick": item.last_status.lower(),
            "next": item.next_at,
            "note": item.note,
        }
        for item in automations
    ]


def backfill_rows(backfills: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per backfill with the share of its partitions that are done."""
    rows = []
    for item in backfills:
        counts = {entry["runStatus"]: entry["count"] for entry in item.get("partitionStatusCounts") or ()}
        done, total = counts.get("SUCCESS", 0), item.get("numPartitions") or 0
        rows.append(
            {
                "backfill": item["id"],
                "source": source_of_backfill(item),
                "status": item["status"].lower(),
                "at": item["timestamp"],
                "progress": done / total if total else 0.0,
                "done": f"{done} / {total}",
                "failed": counts.get("FAILURE", 0),
            }
        )
    return rows
