"""The state of a shard's rows after a run, counted in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class ShardState:
    """Documents of a shard. The live ones that stand for a usable item of the source are split by what became of them.

    `indexed`: version written by the run and held by every generation. `rejected_now` / `rejected_before`: stored by
    the run / earlier, and withdrawn because they could not be chunked or embedded. `pending`: for some generation,
    tombstones included.
    """

    indexed: int
    rejected_now: int
    rejected_before: int
    pending: int


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
    """Count the rows of a shard against the generations that follow and their chunkers."""
    scope = {"tenant": tenant, "source": source, "shard": shard}
    params = scope | {
        "run_id": run_id,
        "generations": list(generations),
        "chunkers": list(chunkers),
    }
    indexed, now, before = connection.execute(_STATE, params).one()
    pending = [connection.scalar(_PENDING, scope | {"generation": name}) or 0 for name in generations or [""]]
    return ShardState(indexed, now, before, max(pending))
