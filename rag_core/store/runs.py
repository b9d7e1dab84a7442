"""What each stage of each run did, for the accounting check, the console and the operator."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from rag_core.store.tables import run_stages


def record(
    connection: Connection,
    *,
    run_id: str,
    tenant: str,
    source: str,
    shard: int,
    stage: str,
    counts: Mapping[str, int],
    seconds: float,
    complete: bool = True,
    problem: str | None = None,
) -> None:
    """Store the outcome of a stage; a repeated stage of the same run replaces it."""
    values = {
        "counts": dict(counts),
        "seconds": {"total": round(seconds, 3)},
        "complete": complete,
        "problem": problem,
        "finished_at": func.now(),
    }
    statement = insert(run_stages).values(
        run_id=run_id, tenant=tenant, source=source, shard=shard, stage=stage, **values
    )
    connection.execute(statement.on_conflict_do_update(constraint=run_stages.primary_key, set_=values))


def counts(connection: Connection, *, run_id: str, tenant: str, source: str, shard: int, stage: str) -> dict[str, int]:
    """The counts of a stage of a run; empty when it has not finished."""
    columns = run_stages.c
    found: dict[str, int] | None = connection.scalar(
        select(columns.counts).where(
            columns.run_id == run_id,
            columns.tenant == tenant,
            columns.source == source,
            columns.shard == shard,
            columns.stage == stage,
        )
    )
    return found or {}
