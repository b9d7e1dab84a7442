"""The job that asks the owners' questions, and its schedule."""

from __future__ import annotations

import dagster as dg

evaluation_job = dg.define_asset_job(
    "evaluate_answers",
    selection=dg.AssetSelection.groups("evaluation"),
    description="Ask the owners' questions of the active generation and grade the answers.",
    executor_def=dg.in_process_executor,
)


evaluation_schedule = dg.ScheduleDefinition(
    name="evaluation_daily",
    job=evaluation_job,
    cron_schedule="45 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
