"""What the rows say is wrong with the sources: input of the alerts and of the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

_SOURCES = text("""
SELECT s.tenant, s.name, s.held_deletions, s.held_at, s.last_complete_at AS listed_at,
       (SELECT count(*) FROM rag.quarantine q
        WHERE q.tenant = s.tenant AND q.source = s.name AND NOT q.skipped) AS quarantined,
       coalesce((SELECT min(q.message) FROM rag.quarantine q
                 WHERE q.tenant = s.tenant AND q.source = s.name AND q.reason = 'CURSOR_AHEAD'), '') AS dated_ahead
FROM rag.sources s ORDER BY s.tenant, s.name
""")


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source: deletions that wait for an operator, inputs in quarantine, when it was last listed to its end, and
    what was said of rows whose cursor is dated ahead."""

    tenant: str
    name: str
    held_deletions: int
    held_at: datetime | None
    listed_at: datetime | None
    quarantined: int
    dated_ahead: str = ""


def source_states(connection: Connection) -> list[SourceState]:
    """Every source that ever ran."""
    return [SourceState(*row) for row in connection.execute(_SOURCES)]
