"""Problems of source files, stored where query servers and the console can read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from rag_core.errors import Reason


@dataclass(frozen=True, slots=True, order=True)
class SourceProblem:
    """One mistake in the file of a source, at `place`. `tenant` is empty when the file does not say whose it is."""

    place: str
    source: str
    tenant: str
    reason: str = Reason.CONFIG_INVALID
    message: str = ""

    def __str__(self) -> str:
        return f"{self.reason} at {self.place}: {self.message}"


_READ = "SELECT place, source, tenant, reason, message FROM rag.source_problems"
_ADD = text("""
INSERT INTO rag.source_problems (place, source, tenant, reason, message)
VALUES (:place, :source, :tenant, :reason, :message)
ON CONFLICT DO NOTHING
""")
_REMOVE = text("DELETE FROM rag.source_problems WHERE place = :place AND message = :message")


def replace(connection: Connection, problems: Sequence[SourceProblem]) -> bool:
    """Store the problems that there are now, and commit; returns whether anything changed."""
    known, now = set(of(connection, None)), set(problems)
    for one in sorted(known - now):
        connection.execute(_REMOVE, {"place": one.place, "message": one.message})
    for one in sorted(now - known):
        connection.execute(_ADD, {name: str(getattr(one, name)) for name in SourceProblem.__slots__})
    connection.commit()
    return known != now


def of(connection: Connection, tenant: str | None) -> list[SourceProblem]:
    """The problems of a tenant's source files; `None`: of all, also those of files that do not say whose they are."""
    where = "" if tenant is None else " WHERE tenant = :tenant"
    rows = connection.execute(text(f"{_READ}{where} ORDER BY place, message"), {"tenant": tenant} if where else {})
    return [SourceProblem(*row) for row in rows]
