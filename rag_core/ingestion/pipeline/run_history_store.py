"""The history of every source of a tenant: what its newest runs found, and what runs changed lately."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text


@dataclass(frozen=True, slots=True)
class SourceHistoryPoint:
    """A run over a source; `documents` is `None` when they were not counted after it."""

    run_id: str
    finished_at: datetime
    documents: int | None
    quarantined: int
    complete: bool
    problem: str


@dataclass(frozen=True, slots=True)
class SourceHistory:
    """The newest runs of a source, oldest first; `changes` are sums by outcome over the `runs` since a moment, of what
    is quarantined, skipped or unchanged the most of one run."""

    source: str
    points: tuple[SourceHistoryPoint, ...]
    changes: Mapping[str, int]
    runs: int


# By source, through the index on its newest stages: the table keeps all runs of several weeks.
_NAMES = text("""
SELECT s.name FROM rag.sources s
WHERE s.tenant = :tenant AND s.name > :after AND EXISTS (
    SELECT FROM rag.run_stages r WHERE r.tenant = s.tenant AND r.source = s.name AND r.stage = 'documents')
ORDER BY s.name LIMIT :limit
""")
_RUNS = text("""
SELECT s.name AS source, s.shards, r.run_id, r.shard, r.finished_at, r.complete, r.problem,
       coalesce((r.counts ->> 'quarantined')::bigint, 0) AS quarantined,
       (q.profile ->> 'documents')::bigint AS documents
FROM rag.sources s
CROSS JOIN LATERAL (
    SELECT n.run_id, n.shard, n.counts, n.complete, n.problem, n.finished_at FROM rag.run_stages n
    WHERE n.tenant = s.tenant AND n.source = s.name AND n.stage = 'documents'
    ORDER BY n.finished_at DESC LIMIT CAST(:limit AS integer) * s.shards) AS r
LEFT JOIN rag.quality_runs q
    ON q.run_id = r.run_id AND q.tenant = s.tenant AND q.source = s.name AND q.shard = r.shard
WHERE s.tenant = :tenant AND s.name = ANY(:names) ORDER BY s.name, r.finished_at, r.shard
""")
_CHANGES = text("""
SELECT source, outcome, CASE WHEN outcome = ANY(:found_again) THEN max(number) ELSE sum(number) END AS number FROM (
    SELECT s.name AS source, r.run_id, c.key AS outcome, sum(c.value::bigint) AS number
    FROM rag.sources s
    JOIN rag.run_stages r
        ON r.tenant = s.tenant AND r.source = s.name AND r.stage = 'documents' AND r.finished_at >= :since
    CROSS JOIN LATERAL jsonb_each_text(r.counts) AS c
    WHERE s.tenant = :tenant AND s.name = ANY(:names) AND c.value <> '0' GROUP BY s.name, r.run_id, c.key) AS of_runs
GROUP BY source, outcome
""")
_FOUND_AGAIN = ["quarantined", "skipped", "unchanged", "duplicates"]
"""Outcomes that each run counts for the same items again: the most of one run is what there was."""
_STARTED = text("""
SELECT r.source, count(DISTINCT r.run_id) FROM rag.sources s
JOIN rag.run_stages r ON r.tenant = s.tenant AND r.source = s.name AND r.stage = 'documents' AND r.finished_at >= :since
WHERE s.tenant = :tenant AND s.name = ANY(:names) GROUP BY r.source
""")


def of_sources(
    connection: Connection, tenant: str, *, limit: int, since: datetime, sources: int, after: str
) -> list[SourceHistory]:
    """The newest `limit` runs of each source that has run, and the sums of what runs did since a moment.

    Of the `sources` first ones by name whose name comes behind `after`.
    """
    names = list(connection.scalars(_NAMES, {"tenant": tenant, "after": after, "limit": sources}))
    parameters = {"tenant": tenant, "names": names, "limit": limit, "since": since, "found_again": _FOUND_AGAIN}
    changes: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(_CHANGES, parameters):
        changes[row.source][row.outcome] = int(row.number)
    runs = {str(row[0]): int(row[1]) for row in connection.execute(_STARTED, parameters)}
    by_source: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(_RUNS, parameters):
        by_source[row.source].append(row)
    return [
        SourceHistory(source, tuple(_points(rows))[-limit:], changes.get(source, {}), runs.get(source, 0))
        for source, rows in sorted(by_source.items())
    ]


def _points(rows: Iterable[Row[Any]]) -> list[SourceHistoryPoint]:
    """One point per run. A run over one of several shards counts only that shard: the others are as they were."""
    counted: dict[int, int] = {}
    points: dict[str, SourceHistoryPoint] = {}
    for row in rows:
        if row.documents is not None:
            counted[row.shard] = row.documents
        known = row.documents is not None and len(counted) >= row.shards
        before = points.pop(row.run_id, None)
        points[row.run_id] = SourceHistoryPoint(
            run_id=row.run_id,
            finished_at=row.finished_at,
            documents=sum(counted.values()) if known else None,
            quarantined=row.quarantined + (before.quarantined if before else 0),
            complete=row.complete and (before is None or before.complete),
            problem=row.problem or (before.problem if before else ""),
        )
    return list(points.values())
