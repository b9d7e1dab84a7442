"""What a stage did, as Dagster metadata and log lines. Every number is plotted by the UI over the runs."""

from __future__ import annotations

import time
from typing import Any

import dagster as dg

from rag_core.pipeline import Progress, StageReport

PROGRESS_SECONDS = 10.0
"""Dagster keeps every log line, so progress is told rarely."""


def materialized(report: StageReport, **more: Any) -> dg.MaterializeResult[None]:
    """The result of a stage's asset."""
    metadata: dict[str, Any] = {**report.counts, "seconds": round(report.seconds, 3), "bytes": report.bytes, **more}
    if report.preview:
        metadata["preview"] = dg.MetadataValue.table(records=[dg.TableRecord(dict(row)) for row in report.preview])
    if report.problem:
        metadata["problem"] = str(report.problem)  # an enumeration cannot be stored with the event
        metadata["problem_message"] = report.message or ""
    return dg.MaterializeResult(metadata=metadata)


def progress_to(context: dg.AssetExecutionContext) -> Progress:
    """A progress callback that logs to the run at most once every `PROGRESS_SECONDS`."""
    told = time.monotonic()

    def progress(done: int, total: int | None) -> None:
        nonlocal told
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            context.log.info(f"{done} of {total}" if total is not None else f"{done}")

    return progress
