"""A code location with what the console asks Dagster about: a source whose stages wait, fail or succeed by a file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import dagster as dg

SWITCH = Path(os.environ["LOCATION_SWITCH"])
STAGES = ("documents", "chunks", "embeddings", "index")


def _after(stage: str | None) -> list[dg.AssetKey]:
    return [dg.AssetKey(["docs", stage])] if stage else []


def stage(name: str, before: str | None) -> dg.AssetsDefinition:
    @dg.asset(name=name, key_prefix="docs", group_name="tenant_acme", deps=_after(before))
    def made() -> None:
        wanted = SWITCH.read_text() if SWITCH.is_file() else ""
        if wanted == f"fail {name}":
            raise dg.Failure(f"{name} was told to fail")
        if wanted == f"wait {name}":
            threading.Event().wait(120)  # until the run is stopped

    return made


@dg.asset_check(asset=dg.AssetKey(["docs", "documents"]), blocking=True)
def accounted() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True, metadata={"missing": 0})


@dg.sensor(job_name="docs_sync", name="docs_changes")
def docs_changes() -> dg.SkipReason:
    if SWITCH.is_file() and SWITCH.read_text() == "unreadable":
        raise ValueError("the folder cannot be read")
    return dg.SkipReason("nothing changed")


docs_sync = dg.define_asset_job(
    "docs_sync", selection=dg.AssetSelection.key_prefixes("docs"), tags={"rag/tenant": "acme"}
)
reports_sync = dg.define_asset_job("reports_sync", selection=dg.AssetSelection.key_prefixes("docs"))


@dg.sensor(jobs=[docs_sync, reports_sync])
def source_changes() -> dg.SkipReason:
    """As the platform has one for all sources."""
    return dg.SkipReason("nothing changed")


defs = dg.Definitions(
    assets=[stage(name, before) for name, before in zip(STAGES, (None, *STAGES), strict=False)],
    asset_checks=[accounted],
    jobs=[docs_sync, reports_sync],
    sensors=[docs_changes, source_changes],
    schedules=[dg.ScheduleDefinition(name="docs_daily", job=docs_sync, cron_schedule="0 3 * * *")],
    executor=dg.in_process_executor,  # as the platform's own: no process for each step
)
