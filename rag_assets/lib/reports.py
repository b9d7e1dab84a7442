"""The report of a stage as Dagster metadata and log lines. The UI plots every number over the runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from rag_core.ingestion.pipeline import Progress, StageResult

PROGRESS_SECONDS = 10.0
"""Dagster keeps every log line, so progress is logged rarely."""


def materialized(report: StageResult, key: dg.AssetKey, **more: Any) -> dg.MaterializeResult[None]:
    """The result of a stage's asset."""
    metadata: dict[str, Any] = {**report.counts, "seconds": round(report.seconds, 3), "bytes": report.bytes, **more}
    if report.preview:
        metadata["preview"] = dg.MetadataValue.table([dg.TableRecord(_plain(row)) for row in report.preview])
    if report.problem:
        metadata["problem"] = str(report.problem)
        metadata["problem_message"] = report.message or ""
    return dg.MaterializeResult(asset_key=key, metadata=metadata)


def failure_table(rows: Iterable[Mapping[str, str | int | float]]) -> dict[str, dg.MetadataValue[Any]]:
    """Return what a check found wrong, as the table `failures` of its metadata; empty when nothing is."""
    records = [dg.TableRecord(_plain(row)) for row in rows]
    return {"failures": dg.MetadataValue.table(records)} if records else {}


def _plain(row: Mapping[str, str | int | float]) -> dict[str, str | int | float]:
    """Dagster cannot store the members of a `StrEnum`, which reason codes are."""
    return {name: str(value) if isinstance(value, str) else value for name, value in row.items()}


def progress_to(context: dg.AssetExecutionContext) -> Progress:
    """A progress callback that logs to the run at most once every `PROGRESS_SECONDS`."""
    message = time.monotonic()

    def progress(done: int, total: int | None) -> None:
        nonlocal message
        if time.monotonic() - message >= PROGRESS_SECONDS:
            message = time.monotonic()
            context.log.info(f"{done} of {total}" if total is not None else f"{done}")

    return progress
