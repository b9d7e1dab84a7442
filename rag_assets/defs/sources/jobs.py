"""The job of a source and its tags."""

from __future__ import annotations

from typing import Any, TypeAlias

import dagster as dg

from rag_assets.lib.naming import SOURCE_TAG, STAGES, TENANT_TAG, asset_key, job_name
from rag_assets.source_config import SourceConfig
from rag_clients.dagster import MAX_CRASH_RETRIES

AssetJob: TypeAlias = Any
"""The type that `dg.define_asset_job` returns: its class has no public name."""


def sync_job(config: SourceConfig) -> AssetJob:
    """The whole chain in one run (per shard), in one process: a run of four assets costs 2 s, not 8."""
    return dg.define_asset_job(
        job_name(config),
        selection=dg.AssetSelection.assets(*(asset_key(config, stage) for stage in STAGES)),
        description=f"Bring source `{config.name}` up to date, from listing to index.",
        tags=job_tags(config),
        executor_def=dg.in_process_executor,
    )


def job_tags(config: SourceConfig) -> dict[str, str]:
    """The tags of every run of a source."""
    tags = {TENANT_TAG: config.tenant, "dagster/max_retries": str(MAX_CRASH_RETRIES)}
    if config.shards == 1:
        # The run queue allows one run per value. Shards run side by side, each fenced by its lock in the database.
        tags[SOURCE_TAG] = config.key
    return tags
