"""Rows of quality results, one per source and run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert

from rag_core.content.quality.documents import FLAG_PREFIX
from rag_core.content.quality.rules import RULES
from rag_core.content.quality.sources import Assessment, Profile
from rag_core.database import page_of
from rag_core.database.tables.operations import quality_runs

Key = tuple[str, str, int]
"""(tenant, source, shard)"""

_DOCUMENTS = text("""
SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM unnest(flags) AS f WHERE f LIKE :flags)),
       count(*) - count(DISTINCT text_hash), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY bytes), 0)
FROM rag.documents WHERE tenant = :tenant AND source = :source AND shard = :shard AND deleted_at IS NULL
""")
_LANGUAGES = text("""
SELECT language, count(*) FROM rag.documents
WHERE tenant = :tenant AND source = :source AND shard = :shard AND deleted_at IS NULL GROUP BY language
""")
# What failed before and was tried again is no news: a run that reads little else would fail for it.
_QUARANTINED = text("""
SELECT count(*) FILTER (WHERE NOT skipped),
       count(*) FILTER (WHERE NOT skipped AND run_id = :run_id AND (first_at = last_at OR token IS NULL)),
       count(*) FILTER (WHERE NOT skipped AND reason IN ('VECTOR_NOT_FINITE', 'VECTOR_ZERO', 'VECTOR_DIM'))
FROM rag.quarantine WHERE tenant = :tenant AND source = :source AND shard = :shard
""")
_ZERO_CHUNKS = text("""
SELECT count(*) FROM rag.documents d
JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = :chunker AND k.text_version = d.text_version
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.deleted_at IS NULL
  AND k.chunk_count = 0 AND NOT k.rejected
""")
_VECTORS = text("""
SELECT count(*) FROM rag.documents d
JOIN rag.chunks c ON c.doc_id = d.doc_id AND c.chunker = :chunker
JOIN rag.embeddings e ON e.text_hash = c.text_hash AND e.embedder = :embedder
WHERE d.tenant = :tenant AND d.source = :source AND d.shard = :shard AND d.run_id = :run_id AND d.deleted_at IS NULL
  AND octet_length(e.vector) <> :bytes
""")


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest result of a source; over several shards the worst score and the sums of counts."""

    tenant: str
    source: str
    score: float
    failed: int
    tried: int
    exceeded: bool
    finished_at: datetime


def measure(
    connection: Connection, key: Key, *, run_id: str, chunker: str, embedder: str, dimensions: int
) -> tuple[Profile, int]:
    """The current profile of a shard, and the number of inputs that this run quarantined."""
    shard = dict(zip(("tenant", "source", "shard"), key, strict=True))
    documents, flagged, duplicates, median = connection.execute(_DOCUMENTS, shard | {"flags": f"{FLAG_PREFIX}%"}).one()
    languages = {row[0]: row[1] for row in connection.execute(_LANGUAGES, shard)}
    quarantined, failed, rejected = connection.execute(_QUARANTINED, shard | {"run_id": run_id}).one()
    run = shard | {"run_id": run_id, "chunker": chunker, "embedder": embedder, "bytes": dimensions * 4}
    return (
        Profile(
            documents=documents,
            quarantined=quarantined,
            flagged=flagged,
            duplicates=duplicates,
            median_bytes=float(median),
            languages=languages,
            zero_chunks=connection.scalar(_ZERO_CHUNKS, run) or 0,
            bad_vectors=rejected + (connection.scalar(_VECTORS, run) or 0),
        ),
        failed,
    )


def baseline(connection: Connection, key: Key, *, before: str) -> Profile | None:
    """The profile of the last good run of a shard, other than the run `before`."""
    columns = quality_runs.c
    found = connection.scalar(
        select(columns.profile)
        .where(_is(key), columns.good, columns.run_id != before)
        .order_by(columns.finished_at.desc())
        .limit(1)
    )
    return Profile.from_json(found) if found is not None else None


def record(connection: Connection, key: Key, run_id: str, profile: Profile, assessment: Assessment) -> None:
    """Store the result of a run over a shard; a repeated stage of the same run replaces it."""
    values = {
        "score": assessment.score,
        "profile": profile.as_json(),
        "findings": {"warnings": dict(assessment.warnings), "errors": dict(assessment.errors)},
        "failed": assessment.failed,
        "tried": assessment.tried,
        "exceeded": assessment.exceeded,
        "good": assessment.good,
        "finished_at": func.now(),
    }
    names = dict(zip(("tenant", "source", "shard"), key, strict=True))
    statement = insert(quality_runs).values(run_id=run_id, **names, **values)
    connection.execute(statement.on_conflict_do_update(constraint=quality_runs.primary_key, set_=values))


def of_run(connection: Connection, key: Key, run_id: str) -> Assessment | None:
    """The result of a run; `None` until it is recorded."""
    columns = quality_runs.c
    row = connection.execute(select(quality_runs).where(_is(key), columns.run_id == run_id)).one_or_none()
    if row is None:
        return None
    found = row.findings
    return Assessment(row.score, found["warnings"], found["errors"], row.failed, row.tried, row.exceeded)


_LATEST = text("""
SELECT tenant, source, min(score), sum(failed), sum(tried), bool_or(exceeded), max(finished_at) FROM (
    SELECT DISTINCT ON (tenant, source, shard) tenant, source, score, failed, tried, exceeded, finished_at
    FROM rag.quality_runs ORDER BY tenant, source, shard, finished_at DESC) AS newest
GROUP BY tenant, source ORDER BY tenant, source
""")


def latest(connection: Connection) -> list[Latest]:
    """The newest result of every source."""
    rows = connection.execute(_LATEST)
    return [
        Latest(tenant, source, float(score), failed, tried, exceeded, finished_at)
        for tenant, source, score, failed, tried, exceeded, finished_at in rows
    ]


def purge(connection: Connection, *, days: int) -> int:
    """Delete results older than `days`, except the newest good one and the newest of each shard."""
    return connection.execute(_PURGE, {"days": days}).rowcount


_PURGE = text("""
DELETE FROM rag.quality_runs q WHERE q.finished_at < now() - make_interval(days => :days)
  AND EXISTS (SELECT FROM rag.quality_runs n WHERE n.tenant = q.tenant AND n.source = q.source AND n.shard = q.shard
              AND n.finished_at > q.finished_at)
  AND (NOT q.good OR EXISTS (
      SELECT FROM rag.quality_runs n WHERE n.tenant = q.tenant AND n.source = q.source AND n.shard = q.shard
      AND n.finished_at > q.finished_at AND n.good))
""")


def _is(key: Key) -> ColumnElement[bool]:
    columns = quality_runs.c
    return (columns.tenant == key[0]) & (columns.source == key[1]) & (columns.shard == key[2])


# --------------------------------------------------------------------------------------------------------------------
# The history of a source's quality, and the documents that its rules flag.


SAMPLES = 5
"""Documents that are named per rule."""


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of a shard after a run."""

    run_id: str
    shard: int
    assessment: Assessment
    profile: Profile
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class RuleFindings:
    """The current findings of a rule in a source; `samples` are locators."""

    rule: str
    found: int
    samples: tuple[str, ...]


_FINDINGS = text("""
WITH named (rule, locator) AS (
    SELECT substr(flag, :skip), d.locator FROM rag.documents d, unnest(d.flags) AS flag
    WHERE d.tenant = :tenant AND d.source = :source AND d.deleted_at IS NULL AND flag LIKE :flags
    UNION ALL
    SELECT r.rule, q.locator FROM rag.quarantine q
    JOIN unnest(CAST(:reasons AS text[]), CAST(:rules AS text[])) AS r (reason, rule) ON r.reason = q.reason
    WHERE q.tenant = :tenant AND q.source = :source AND NOT q.skipped
    UNION ALL
    SELECT 'duplicate_ratio', locator FROM (
        SELECT locator, row_number() OVER (PARTITION BY text_hash ORDER BY locator) AS copy FROM rag.documents
        WHERE :duplicates AND tenant = :tenant AND source = :source AND deleted_at IS NULL) AS copies WHERE copy > 1)
SELECT rule, count(*) AS found, (array_agg(locator ORDER BY locator))[1 : :samples] AS samples
FROM named GROUP BY rule ORDER BY rule
""")


def results(
    connection: Connection, tenant: str, source: str, limit: int, *, after: Sequence[Any] | None = None
) -> list[ShardResult]:
    """Results, newest first; a run over several shards has one per shard."""
    columns = quality_runs.c
    wanted = select(quality_runs).where(columns.tenant == tenant, columns.source == source)
    order = (columns.finished_at, columns.run_id, columns.shard)
    rows = connection.execute(page_of(wanted, order, after=after, limit=limit, newest_first=True))
    return [
        ShardResult(
            row.run_id,
            row.shard,
            Assessment(
                row.score, row.findings["warnings"], row.findings["errors"], row.failed, row.tried, row.exceeded
            ),
            Profile.from_json(row.profile),
            row.finished_at,
        )
        for row in rows
    ]


def findings(connection: Connection, tenant: str, source: str, *, duplicates: bool) -> list[RuleFindings]:
    """Current findings by rule. Duplicates are searched only with `duplicates`, because that reads every row."""
    reasons = {str(rule.reason): rule.name for rule in RULES.values() if rule.reason is not None}
    chosen = {
        "tenant": tenant,
        "source": source,
        "flags": f"{FLAG_PREFIX}%",
        "skip": len(FLAG_PREFIX) + 1,
        "reasons": list(reasons),
        "rules": list(reasons.values()),
        "duplicates": duplicates,
        "samples": SAMPLES,
    }
    return [RuleFindings(row.rule, row.found, tuple(row.samples)) for row in connection.execute(_FINDINGS, chosen)]
