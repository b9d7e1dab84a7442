"""Ending the runs of a source, as the console does before it removes one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from rag_core.content.sources import Source
from rag_core.database import open_store
from rag_core.governance.audit import audit_store
from rag_core.settings import Settings

if TYPE_CHECKING:
    from rag_clients.dagster import DagsterClient


def end_runs(api: DagsterClient, settings: Settings, source: Source, *, actor: str) -> list[str]:
    """End what is queued and under way of a source, backfills first: they start further runs. Returns what was ended.

    Each is recorded in the audit log before it is asked for, so that none ends unseen. Raises `Unavailable`
    (`DAGSTER_UNAVAILABLE`, `DATABASE_UNAVAILABLE`).
    """
    backfills, runs = api.active_work(source.name.replace("-", "_"))
    if not backfills and not runs:
        return []
    details = {"tenant": source.tenant, "source": source.name, "reason": "the source is deleted"}
    with closing(open_store(settings)) as store:
        for run in (*backfills, *runs):
            with store.engine.begin() as connection:
                audit_store.record(connection, actor=actor, action="dagster.terminate", target=run, details=details)
            if run in backfills:
                api.cancel_backfill(run)
            else:
                api.terminate(run, ended_ok=True)
    return [*backfills, *runs]
