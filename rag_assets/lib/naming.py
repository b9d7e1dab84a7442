"""Names of a source's assets and jobs in Dagster, and the rows a run works on."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

from rag_assets.source_config import SourceConfig
from rag_core.content.sources import Scope
from rag_core.errors import InvalidInput, Reason

STAGES = ("documents", "chunks", "embeddings", "index")
PARTITION_TAG = "dagster/partition"
SOURCE_TAG = "rag/source"
TENANT_TAG = "rag/tenant"
"""Tag of a source's assets and of every run of its job; the console lists a tenant's runs by it."""


def asset_key(config: SourceConfig, stage: str) -> dg.AssetKey:
    """`<source>/<stage>`."""
    return dg.AssetKey([config.key, stage])


def job_name(config: SourceConfig) -> str:
    """The job that runs the whole chain."""
    return f"{config.key}_sync"


def partition_keys(config: SourceConfig) -> list[str | None]:
    """One key per shard; `None` alone for a source that is not sharded."""
    return [str(shard) for shard in range(config.shards)] if config.shards > 1 else [None]


def partitions(config: SourceConfig) -> dg.StaticPartitionsDefinition | None:
    """One partition per shard, `None` for a source that is not sharded."""
    keys = [key for key in partition_keys(config) if key is not None]
    return dg.StaticPartitionsDefinition(keys) if keys else None


def scope_of(config: SourceConfig, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Scope:
    """The shard of the run's partition, and the run's id, which is the same again when a killed run is resumed."""
    run = context.run
    return Scope(config.source, run.run_id, shard_of(config, run.tags.get(PARTITION_TAG, "0")))


def requested_at(config: SourceConfig, context: dg.AssetExecutionContext) -> datetime | None:
    """Return when the run of a shard was created, `None` for a source that is not sharded."""
    if config.shards == 1:
        return None
    record = context.instance.get_run_record_by_id(context.run.run_id)
    return record.create_timestamp if record is not None else None


def shard_of(config: SourceConfig, key: str) -> int:
    """The shard that a partition is. Raises `InvalidInput` (`FIELD_INVALID`) for one that the source does not have."""
    if key not in {str(shard) for shard in range(config.shards)}:
        message = f"the source has no partition {key[:20]!r}: its shards are 0 to {config.shards - 1}; run one of them"
        raise InvalidInput(Reason.FIELD_INVALID, message)
    return int(key)
