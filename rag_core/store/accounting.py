"""The state of a shard's rows after a run, counted in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class ShardState:
    """Documents of a shard. The live ones that stand for a usable item of the source are split by what became of them.

    `indexed`: version written by the run and held by every generation. `rejected_now` / `rejected_before`: stored by
    the run / earlier, and withdrawn because they could not be chunked or embedded. `pending`: some generation still
    lacks the present version, tombstones included.
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
    SELECT d.doc_id, d.version, d.text_version, d.locator, d.run_id = :run_id AS mine, d.deleted_at IS NULL AS live
    FROM candidates JOIN rag.documents d USING (doc_id)
    WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard
), judged AS (
    SELECT s.*,
           EXISTS (SELECT FROM rag.chunkings k WHERE k.doc_id = s.doc_id AND k.text_version = s.text_version
                   AND k.rejected AND k.chunker = ANY(:chunkers)) AS rejected,
           (SELECT count(*) FROM rag.generation_documents g WHERE g.doc_id = s.doc_id
            AND g.generation = ANY(:generations) AND g.indexed_version = s.version) = :following AS held
    FROM shard s
    WHERE s.live AND NOT EXISTS (
        SELECT FROM rag.quarantine q WHERE q.tenant = :tenant AND q.source = :source AND q.locator = s.locator
        AND q.stage IN ('list', 'fetch', 'parse'))
)
SELECT count(*) FILTER (WHERE mine AND held AND NOT rejected),
       count(*) FILTER (WHERE mine AND rejected),
       count(*) FILTER (WHERE NOT mine AND rejected)
FROM judged
""")
_PENDING = text("""
SELECT count(*) FROM rag.documents d
LEFT JOIN rag.generation_documents g ON g.generation = :generation AND g.doc_id = d.doc_id
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND g.indexed_version IS DISTINCT FROM d.version
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
        "following": len(generations),
        "chunkers": list(chunkers),
    }
    indexed, now, before = connection.execute(_STATE, params).one()
    lacking = [connection.scalar(_PENDING, scope | {"generation": name}) or 0 for name in generations]
    if not lacking:
        lacking = [connection.scalar(_PENDING, scope | {"generation": ""}) or 0]
    return ShardState(indexed, now, before, max(lacking))
