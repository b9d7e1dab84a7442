"""The schedule of the evaluation."""

from __future__ import annotations

import dagster as dg

from rag_assets.defs.evaluation.jobs import evaluation_job

evaluation_schedule = dg.ScheduleDefinition(
    name="evaluation_daily",
    job=evaluation_job,
    cron_schedule="45 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
