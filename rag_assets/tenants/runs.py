"""Removal of Dagster's records of the runs of sources: names of documents are in their events."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)
_STAGES = ("source", "documents", "chunks", "embeddings", "index")


def forget_runs(settings: Settings, sources: Sequence[str]) -> int:
    """Delete the runs and assets of sources from Dagster's storage; returns how many runs.

    Without a Dagster instance in reach there is nothing to do: events are deleted after `RAG_EVENT_RETENTION_DAYS`.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home)
    if not sources or not (home / "dagster.yaml").is_file():
        return 0
    import dagster as dg

    from rag_assets.version_tags import SYNC_TAG

    deleted = 0
    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            for key in (name.replace("-", "_") for name in sources):
                found = {
                    run.run_id
                    for filters in (dg.RunsFilter(job_name=f"{key}_sync"), dg.RunsFilter(tags={SYNC_TAG: key}))
                    for run in instance.get_runs(filters)
                }
                for run_id in found:
                    instance.delete_run(run_id)
                deleted += len(found)
                instance.wipe_assets([dg.AssetKey([key, stage]) for stage in _STAGES])
    except Exception as error:  # Dagster raises what its storage raises; the events end with their retention
        log.warning("runs_not_forgotten", problem=type(error).__name__)
    return deleted
