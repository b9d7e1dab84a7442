"""The schedule of maintenance."""

from __future__ import annotations

import dagster as dg

from rag_assets.defs.maintenance.jobs import maintenance_job

maintenance_schedule = dg.ScheduleDefinition(
    name="maintenance_daily",
    job=maintenance_job,
    cron_schedule="15 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
