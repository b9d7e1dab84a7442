"""Read the quarantine for an operator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from rag_core.database.tables.content import documents, quarantine
from rag_core.errors import NotFound, Reason
from rag_core.reasons import remedy_of


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A quarantined input."""

    id: int
    source: str
    locator: str
    stage: str
    reason: str
    message: str
    attempts: int
    skipped: bool
    run_id: str
    first_at: datetime
    last_at: datetime

    @property
    def remedy(self) -> str:
        """The remedy for the reason."""
        return remedy_of(self.reason, in_run=True)


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """A filter over entries; an empty text matches any."""

    tenant: str
    source: str = ""
    reason: str = ""
    stage: str = ""
    skipped: bool = False


_COLUMNS = [quarantine.c[name] for name in Quarantined.__slots__]


def page(
    connection: Connection, wanted: QuarantineFilter, *, before: int | None = None, limit: int | None = None
) -> list[Quarantined]:
    """Entries with a number below `before`, highest (newest) first."""
    statement = select(*_COLUMNS).where(*_conditions(wanted)).order_by(quarantine.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(quarantine.c.id < before)
    return [Quarantined(*row) for row in connection.execute(statement)]


def counts(connection: Connection, wanted: QuarantineFilter) -> list[tuple[str, str, int]]:
    """Source, reason and number of entries, the most frequent first."""
    number = func.count()
    statement = (
        select(quarantine.c.source, quarantine.c.reason, number)
        .where(*_conditions(wanted))
        .group_by(quarantine.c.source, quarantine.c.reason)
        .order_by(number.desc(), quarantine.c.source, quarantine.c.reason)
    )
    return [(source, reason, int(found)) for source, reason, found in connection.execute(statement)]


def entry(connection: Connection, tenant: str, entry_id: int) -> Quarantined:
    """One entry of the tenant. Raises `NotFound` (`QUARANTINE_NOT_FOUND`)."""
    statement = select(*_COLUMNS).where(quarantine.c.id == entry_id, quarantine.c.tenant == tenant)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(Reason.QUARANTINE_NOT_FOUND, f"quarantine: no entry {entry_id}")
    return Quarantined(*row)


def entry_of(connection: Connection, tenant: str, source: str, locator: str) -> Quarantined | None:
    """The entry of an input, skipped or not."""
    columns = quarantine.c
    statement = select(*_COLUMNS).where(columns.tenant == tenant, columns.source == source, columns.locator == locator)
    row = connection.execute(statement).one_or_none()
    return Quarantined(*row) if row is not None else None


def payload(connection: Connection, tenant: str, item: Quarantined, limit: int) -> str | None:
    """The first `limit` characters of an input's stored text; `None` when there is none."""
    statement = select(func.left(documents.c.text, limit)).where(
        documents.c.tenant == tenant, documents.c.source == item.source, documents.c.locator == item.locator
    )
    found: str | None = connection.scalar(statement)
    return found


def _conditions(wanted: QuarantineFilter) -> list[ColumnElement[bool]]:
    columns = quarantine.c
    chosen = [columns.tenant == wanted.tenant]
    for column, value in (
        (columns.source, wanted.source),
        (columns.reason, wanted.reason),
        (columns.stage, wanted.stage),
    ):
        if value:
            chosen.append(column == value)
    if not wanted.skipped:
        chosen.append(columns.skipped.is_(False))
    return chosen
