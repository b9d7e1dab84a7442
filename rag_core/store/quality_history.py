"""The quality of a source over time, and which documents its rules found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, text

from rag_core.quality.documents import FLAG_PREFIX
from rag_core.quality.rules import RULES
from rag_core.quality.sources import Assessment, Profile
from rag_core.store.tables import quality_runs

SAMPLES = 5
"""Documents that are named of each rule."""


@dataclass(frozen=True, slots=True)
class Result:
    """A shard after a run."""

    run_id: str
    shard: int
    assessment: Assessment
    profile: Profile
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Findings:
    """What a rule found in a source as it is now; `samples` are locators."""

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


def results(connection: Connection, tenant: str, source: str, limit: int) -> list[Result]:
    """The newest results first; a run over several shards has one for each."""
    columns = quality_runs.c
    wanted = select(quality_runs).where(columns.tenant == tenant, columns.source == source)
    rows = connection.execute(wanted.order_by(columns.finished_at.desc(), columns.shard).limit(limit))
    return [
        Result(
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


def findings(connection: Connection, tenant: str, source: str, *, duplicates: bool) -> list[Findings]:
    """What each rule found, by name. Copies are looked for only when `duplicates`: that reads every row."""
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
    return [Findings(row.rule, row.found, tuple(row.samples)) for row in connection.execute(_FINDINGS, chosen)]
