"""Rows of runs: the result of each stage, and the accounting of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, text
from sqlalchemy.dialects.postgresql import insert

from rag_core.database import page_of
from rag_core.database.tables.content import run_stages

# --------------------------------------------------------------------------------------------------------------------
# The result of each stage of each run, for the accounting check, the console and the operator.


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
    """Store the result of a stage; a repeated stage of the same run replaces it."""
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
    keys = {"run_id": run_id, "tenant": tenant, "source": source, "shard": shard, "stage": stage}
    found: dict[str, int] | None = connection.scalar(select(run_stages.c.counts).filter_by(**keys))
    return found or {}


def problem(connection: Connection, *, run_id: str, tenant: str, source: str, shard: int, stage: str) -> str | None:
    """The reason code with which a stage of a run ended; `None` for none, and when it has not finished."""
    keys = {"run_id": run_id, "tenant": tenant, "source": source, "shard": shard, "stage": stage}
    found: str | None = connection.scalar(select(run_stages.c.problem).filter_by(**keys))
    return found


@dataclass(frozen=True, slots=True)
class Stage:
    """The result of one stage of one run over one shard; `seconds` is its duration."""

    run_id: str
    source: str
    shard: int
    stage: str
    counts: Mapping[str, int]
    seconds: float
    complete: bool
    problem: str | None
    finished_at: datetime


_SHOWN = [run_stages.c[name] for name in Stage.__slots__]


# By source, through the index on its newest stage: the table keeps all runs of several weeks.
_LATEST = text("""
SELECT r.run_id, r.source, r.shard, r.stage, r.counts, (r.seconds ->> 'total')::float AS seconds, r.complete, r.problem,
       r.finished_at
FROM rag.sources s
CROSS JOIN LATERAL (
    SELECT run_id, shard FROM rag.run_stages n WHERE n.tenant = s.tenant AND n.source = s.name
    ORDER BY n.finished_at DESC LIMIT 1) AS last
JOIN rag.run_stages r ON r.run_id = last.run_id AND r.tenant = s.tenant AND r.source = s.name AND r.shard = last.shard
""")


def latest(connection: Connection) -> list[Stage]:
    """The stages of the last run of every source of all tenants; of a source with shards, the last shard's stages."""
    return [Stage(**row._mapping) for row in connection.execute(_LATEST)]


def newest(
    connection: Connection, tenant: str, *, source: str = "", limit: int, after: Sequence[Any] | None = None
) -> list[Stage]:
    """Finished stages of a tenant's runs, newest first, of one source or of all."""
    statement = select(*_SHOWN).where(run_stages.c.tenant == tenant)
    if source:
        statement = statement.where(run_stages.c.source == source)
    order = [run_stages.c[name] for name in ("finished_at", "run_id", "source", "shard", "stage")]
    page = page_of(statement, order, after=after, limit=limit, newest_first=True)
    return [_stage(row) for row in connection.execute(page)]


def tenants_of(connection: Connection, run_id: str) -> set[str]:
    """The tenants whose sources a run worked on; empty until its first stage has ended."""
    return set(connection.scalars(select(run_stages.c.tenant).where(run_stages.c.run_id == run_id)))


def last_of_each(connection: Connection, tenant: str, sources: Sequence[str]) -> dict[str, Stage]:
    """The newest finished `documents` stage of each of these sources."""
    statement = (
        select(*_SHOWN)
        .distinct(run_stages.c.source)
        .where(run_stages.c.tenant == tenant, run_stages.c.source.in_(sources), run_stages.c.stage == "documents")
        .order_by(run_stages.c.source, run_stages.c.finished_at.desc())
    )
    return {row.source: _stage(row) for row in connection.execute(statement)}


def _stage(row: Row[tuple[object, ...]]) -> Stage:
    values = dict(row._mapping)
    return Stage(**(values | {"seconds": float(values["seconds"].get("total", 0))}))


# --------------------------------------------------------------------------------------------------------------------
# The state of a shard's rows after a run.


@dataclass(frozen=True, slots=True)
class ShardState:
    """Counts of a shard's documents. Live ones of a usable source item are split by their outcome.

    `indexed`: the version was written by the run and every generation has it. `rejected_now` / `rejected_before`:
    stored by the run / earlier, and withdrawn because they could not be chunked or embedded. `pending`: for some
    generation, tombstones included.
    """

    indexed: int
    rejected_now: int
    rejected_before: int
    pending: int


NO_GENERATION = ""
"""The name of a generation that holds nothing: without any, all documents are pending."""
_STATE = text("""
WITH candidates AS MATERIALIZED (
    SELECT d.doc_id FROM rag.documents d
    WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.run_id = :run_id
    UNION
    SELECT k.doc_id FROM rag.chunkings k WHERE k.rejected AND k.chunker = ANY(:chunkers)
), shard AS (
    SELECT d.doc_id, d.text_version, d.locator, d.run_id = :run_id AS mine, d.deleted_at IS NULL AS live
    FROM candidates JOIN rag.documents d USING (doc_id)
    WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard
), judged AS (
    SELECT s.*,
           EXISTS (SELECT FROM rag.chunkings k WHERE k.doc_id = s.doc_id AND k.text_version = s.text_version
                   AND k.rejected AND k.chunker = ANY(:chunkers)) AS rejected,
           EXISTS (SELECT FROM unnest(CAST(:generations AS text[])) AS n (name)
                   CROSS JOIN LATERAL rag.pending_index(n.name) p WHERE p.doc_id = s.doc_id) AS pending
    FROM shard s
    WHERE s.live AND NOT EXISTS (
        SELECT FROM rag.quarantine q WHERE q.tenant = :tenant AND q.source = :source AND q.locator = s.locator
        AND q.stage IN ('list', 'fetch', 'parse'))
)
SELECT count(*) FILTER (WHERE mine AND NOT pending AND NOT rejected),
       count(*) FILTER (WHERE mine AND rejected),
       count(*) FILTER (WHERE NOT mine AND rejected)
FROM judged
""")
_PENDING = text("""
SELECT count(*) FROM rag.pending_index(:generation) p
WHERE p.tenant = :tenant AND p.source = :source AND p.shard = :shard
""")


def shard_state(
    connection: Connection,
    tenant: str,
    source: str,
    shard: int,
    *,
    run_id: str,
    generations: Sequence[str],
    chunkers: Sequence[str],
) -> ShardState:
    """Count the rows of a shard against the generations that receive writes, and their chunkers."""
    scope = {"tenant": tenant, "source": source, "shard": shard}
    params = scope | {
        "run_id": run_id,
        "generations": list(generations),
        "chunkers": list(chunkers),
    }
    indexed, now, before = connection.execute(_STATE, params).one()
    pending = [connection.scalar(_PENDING, scope | {"generation": name}) or 0 for name in generations]
    return ShardState(indexed, now, before, max(pending, default=0))
