"""The job that runs every maintenance asset, and its schedule."""

from __future__ import annotations

import dagster as dg

maintenance_job = dg.define_asset_job(
    "maintenance", selection=dg.AssetSelection.groups("maintenance"), executor_def=dg.in_process_executor
)


maintenance_schedule = dg.ScheduleDefinition(
    name="maintenance_daily",
    job=maintenance_job,
    cron_schedule="15 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
