"""Rows of the history: written a minute at a time, summed into coarser steps, deleted with age."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select, text

from rag_core.database import page_of
from rag_core.database.tables.history import unanswered_questions
from rag_core.governance.history.base import (
    BY_SOURCE,
    HOUR,
    KEEP_SECONDS,
    MINUTE,
    TEN_MINUTES,
    Figure,
    Key,
    MinuteFigures,
    StoredSeries,
)

MAX_QUESTIONS = 1000
"""Unanswered questions that are kept of a tenant, those asked last."""

# `flushed` marks that a minute of a process is written; it is no series and is never summed.
_MARK = text("""
INSERT INTO rag.history (step, at, series, tenant, label, total, samples, highest)
VALUES (60, :at, 'flushed', '', :writer, 0, 0, 0) ON CONFLICT DO NOTHING
""")
# In the order of the key, so that two processes that write the same rows cannot deadlock.
_ADD = text("""
INSERT INTO rag.history AS h (step, at, series, tenant, label, total, samples, highest)
SELECT 60, :at, f.* FROM unnest(CAST(:series AS text[]), CAST(:tenants AS text[]), CAST(:labels AS text[]),
    CAST(:totals AS float8[]), CAST(:samples AS bigint[]), CAST(:highest AS float8[])) AS f
ORDER BY 3, 4, 5
ON CONFLICT (step, at, series, tenant, label) DO UPDATE
SET total = CASE WHEN h.series = 'up' THEN least(60, h.total + excluded.total) ELSE h.total + excluded.total END,
    samples = h.samples + excluded.samples, highest = greatest(h.highest, excluded.highest)
""")
_ASK = text("""
INSERT INTO rag.unanswered_questions AS q (tenant, question_hash, question, outcome, asked, first_at, last_at)
SELECT n.tenant, n.hash, CASE WHEN coalesce(t.question_words, n.plain) THEN n.words END, n.outcome, n.asked, n.first,
    n.last
FROM unnest(CAST(:tenants AS text[]), CAST(:hashes AS text[]), CAST(:texts AS text[]), CAST(:plain AS boolean[]),
    CAST(:outcomes AS text[]), CAST(:asked AS bigint[]), CAST(:first AS timestamptz[]), CAST(:last AS timestamptz[])
) AS n (tenant, hash, words, plain, outcome, asked, first, last) LEFT JOIN rag.tenants t ON t.name = n.tenant
ORDER BY 1, 2
ON CONFLICT (tenant, question_hash) DO UPDATE
SET asked = q.asked + excluded.asked, outcome = excluded.outcome, question = excluded.question,
    first_at = least(q.first_at, excluded.first_at), last_at = greatest(q.last_at, excluded.last_at)
""")


def write(connection: Connection, writer: str, minute: MinuteFigures) -> bool:
    """Add what a process recorded of a minute, in the current transaction; returns false when it was written before.

    A commit whose outcome was lost is repeated, and must not count twice.
    """
    if not connection.execute(_MARK, {"at": minute.begins, "writer": writer}).rowcount:
        return False
    _add(connection, minute.begins, minute.figures.items())
    if minute.unanswered:
        connection.execute(
            _ASK,
            {
                "tenants": [tenant for tenant, _ in minute.unanswered],
                "hashes": [digest for _, digest in minute.unanswered],
                "texts": [one.text for one in minute.unanswered.values()],
                "plain": [one.plain for one in minute.unanswered.values()],
                "outcomes": [one.outcome for one in minute.unanswered.values()],
                "asked": [one.asked for one in minute.unanswered.values()],
                "first": [one.first_at for one in minute.unanswered.values()],
                "last": [one.last_at for one in minute.unanswered.values()],
            },
        )
    return True


def _add(connection: Connection, at: datetime, rows: Iterable[tuple[Key, Figure]]) -> None:
    figures = list(rows)
    if not figures:
        return
    connection.execute(
        _ADD,
        {
            "at": at,
            "series": [str(key.series) for key, _ in figures],
            "tenants": [key.tenant for key, _ in figures],
            "labels": [key.label for key, _ in figures],
            "totals": [float(figure.total) for _, figure in figures],
            "samples": [figure.samples for _, figure in figures],
            "highest": [float(figure.highest) for _, figure in figures],
        },
    )


# --------------------------------------------------------------------------------------------------------------------
# Coarser steps, and retention.


# From the bucket that was made last: nothing is left out, however long nobody summed. The newest ones are made again,
# because minutes arrive late while the database is away.
_SINCE = text("""
SELECT least(to_timestamp(floor(extract(epoch FROM CAST(:now AS timestamptz) - make_interval(secs => 2 * :step))
                                / :step) * :step),
             coalesce((SELECT max(at) FROM rag.history WHERE step = :step), to_timestamp(0)))
""")
_SUM = text("""
INSERT INTO rag.history (step, at, series, tenant, label, total, samples, highest)
SELECT :step, to_timestamp(floor(extract(epoch FROM at) / :step) * :step) AS bucket, series, tenant, label,
       sum(total), sum(samples), max(highest)
FROM rag.history WHERE step = :finer AND at >= :since AND series <> 'flushed'
GROUP BY bucket, series, tenant, label
ON CONFLICT (step, at, series, tenant, label) DO UPDATE
SET total = excluded.total, samples = excluded.samples, highest = excluded.highest
""")
_PURGE = text("DELETE FROM rag.history WHERE step = :step AND at < :before")
_PURGE_QUESTIONS = text("""
DELETE FROM rag.unanswered_questions q WHERE last_at < :before OR (tenant, question_hash) IN (
    SELECT tenant, question_hash FROM (
        SELECT tenant, question_hash, row_number() OVER (PARTITION BY tenant ORDER BY last_at DESC) AS place
        FROM rag.unanswered_questions) AS ranked
    WHERE place > :most)
""")
_FORGET_TEXTS = text("""
UPDATE rag.unanswered_questions q SET question = NULL WHERE question IS NOT NULL
    AND NOT coalesce((SELECT question_words FROM rag.tenants t WHERE t.name = q.tenant), :plain)
""")


def downsample(connection: Connection, now: datetime) -> None:
    """Sum the minutes into tens of them, and those into hours. Idempotent."""
    for finer, step in ((MINUTE, TEN_MINUTES), (TEN_MINUTES, HOUR)):
        since = connection.execute(_SINCE, {"now": now, "step": step}).scalar_one()
        connection.execute(_SUM, {"step": step, "finer": finer, "since": since})


def purge(connection: Connection, now: datetime, *, days: int, plain_questions: bool) -> int:
    """Delete figures and questions that are too old, and texts of questions unless they are kept:
    as the switch of their tenant says, else as `plain_questions`. Returns how many rows were deleted."""
    deleted = 0
    for step, seconds in (*KEEP_SECONDS.items(), (HOUR, days * 86_400)):
        before = datetime.fromtimestamp(now.timestamp() - min(seconds, days * 86_400), UTC)
        deleted += connection.execute(_PURGE, {"step": step, "before": before}).rowcount
    before = datetime.fromtimestamp(now.timestamp() - days * 86_400, UTC)
    deleted += connection.execute(_PURGE_QUESTIONS, {"before": before, "most": MAX_QUESTIONS}).rowcount
    connection.execute(_FORGET_TEXTS, {"plain": plain_questions})
    return deleted


# --------------------------------------------------------------------------------------------------------------------
# Reading.


@dataclass(frozen=True, slots=True)
class Point:
    """A figure of one bucket. `level` is the mean of a gauge's samples; of several labels or tenants their sum."""

    at: int
    series: str
    label: str
    total: float
    level: float
    highest: float


_READ = text("""
SELECT extract(epoch FROM at)::bigint AS at, series,
       CASE WHEN :everyone AND series = ANY(:by_source) AND tenant <> '' THEN tenant || '/' || label
            ELSE label END AS shown,
       sum(total) AS total, coalesce(sum(total / nullif(samples, 0)), 0) AS level, max(highest) AS highest
FROM rag.history
WHERE step = :step AND at >= :since AND series = ANY(:series) AND (:everyone OR tenant = ANY(:tenants))
GROUP BY 1, 2, 3 ORDER BY 2, 3, 1
""")


def read(
    connection: Connection, *, step: int, since: datetime, series: Sequence[str], tenants: Sequence[str] | None
) -> list[Point]:
    """The figures of a step since a moment, of some tenants (the platform's own have none), or of all (`None`)."""
    params: dict[str, Any] = {
        "step": step,
        "since": since,
        "series": [str(name) for name in series],
        "everyone": tenants is None,
        "tenants": list(tenants or ()),
        "by_source": sorted(BY_SOURCE),
    }
    return [Point(*row) for row in connection.execute(_READ, params)]


def presence(connection: Connection, *, step: int, since: datetime) -> dict[tuple[str, int], float]:
    """For how many seconds of each bucket each service recorded, by service and Unix time."""
    points = read(connection, step=step, since=since, series=[StoredSeries.UP], tenants=("",))
    return {(point.label, point.at): point.total for point in points}


@dataclass(frozen=True, slots=True)
class UnansweredQuestion:
    """A question that got no answer, or only the closest passages. `question` is `None` where no text is kept."""

    question_hash: str
    question: str | None
    outcome: str
    asked: int
    first_at: datetime
    last_at: datetime


def unanswered(
    connection: Connection, tenant: str, *, since: datetime, limit: int, after: Sequence[Any] | None = None
) -> list[UnansweredQuestion]:
    """The questions without an answer that were asked since a moment, the most frequent first."""
    columns = unanswered_questions.c
    shown = [columns[field.name] for field in fields(UnansweredQuestion)]
    asked = select(*shown).where(columns.tenant == tenant, columns.last_at >= since)
    order = (columns.asked, columns.last_at, columns.question_hash)
    page = page_of(asked, order, after=after, limit=limit, newest_first=True)
    return [UnansweredQuestion(*row) for row in connection.execute(page)]


# --------------------------------------------------------------------------------------------------------------------
# What is measured in the rows, by the one process that looks.


_SIZE = text("SELECT pg_database_size(current_database())")
_QUEUED = text("SELECT tenant, source, count(*) FROM rag.source_runs WHERE state = 'queued' GROUP BY 1, 2")


def database_bytes(connection: Connection) -> int:
    """The size of the database on its disk."""
    return int(connection.execute(_SIZE).scalar_one())


def queued_runs(connection: Connection) -> list[tuple[str, str, int]]:
    """Runs that wait for a slot, by tenant and source."""
    return [(tenant, source, count) for tenant, source, count in connection.execute(_QUEUED)]
