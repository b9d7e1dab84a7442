"""The job that runs every maintenance asset."""

from __future__ import annotations

import dagster as dg

maintenance_job = dg.define_asset_job(
    "maintenance", selection=dg.AssetSelection.groups("maintenance"), executor_def=dg.in_process_executor
)
