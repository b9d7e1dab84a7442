"""The listing of a relation, or of its changes, for the pipeline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import or_

from rag_assets.connectors.sql import values as locators
from rag_assets.connectors.sql.options import SqlOptions
from rag_assets.connectors.sql.positions import Position, is_young, lower, moment, moved_back, spelled
from rag_assets.connectors.sql.reader import RelationState, Row, SqlReader
from rag_core.content.sources import Problem, Removed, SourceItem
from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.ids import fingerprint

KEYLESS = "(rows without a key)"
AHEAD = "(rows dated ahead)"
_LAYOUT = 2
"""Raised when positions of earlier releases cannot be trusted any more; the next run lists everything then."""


def layout(options: SqlOptions) -> str:
    """The context of a cursor: with another table, key or order of rows it is void."""
    names = (options.table, options.query, options.key, options.updated_at, options.deleted)
    return fingerprint(_LAYOUT, options.database, *names)


def state_version_tag(options: SqlOptions, state: RelationState) -> str:
    """The version tag of a relation in this state."""
    young = ":young" if is_young(state.newest, state.now) else ""
    ahead = f":{state.ahead}:{state.top}" if state.ahead else ""
    return f"{layout(options)}:{state.newest}:{state.rows}{ahead}{young}"


class _Base(ABC):
    """Base of both listings. Iterate once."""

    def __init__(self, options: SqlOptions, reader: SqlReader) -> None:
        self._options = options
        self._reader = reader
        self._state: RelationState | None = None
        self.complete = False
        self.error: str | None = None

    @property
    def version_tag(self) -> str:
        """Taken before the first row was read, so that what changes meanwhile makes the source look different."""
        return state_version_tag(self._options, self._state) if self._state is not None else ""

    @property
    def rows(self) -> int:
        return self._state.rows if self._state is not None else 0

    @property
    def cursor(self) -> Mapping[str, Any]:
        """The newest position, but never ahead of the database's clock: a row dated tomorrow must not hide today's."""
        position = self._state.newest if self._state is not None else None
        if self._state is not None and moment(position) is not None:
            position = lower(position, _clock(self._state, position))
        elif isinstance(position, str) and not position.lstrip("-").isdigit():
            position = None  # no time and no number (infinity): the next run lists everything
        return {"layout": layout(self._options), "position": position}

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._entries()
            self.complete = True
        except RagError as error:
            self.error = str(error)

    @abstractmethod
    def _entries(self) -> Iterator[Any]:
        """The source's rows; reads the state first."""

    def _entry(self, row: Row) -> SourceItem | Problem | Removed:
        width = len(self._options.key)
        updated, deleted, acl = row[width], row[width + 1], row[width + 2]
        try:
            locator = locators.encode(row[:width])
        except InvalidInput as error:
            return Problem(str(row[:width])[:200], error.reason, error.message)
        if deleted:
            return Removed(locator)
        if updated is None:
            return Problem(
                locator, Reason.CURSOR_NULL, f"{self._options.updated_at[:64]} is null: no edit would be seen"
            )
        return SourceItem(locator, self._token(updated, acl), modified_at=moment(updated))

    def _token(self, updated: object, acl: object) -> str:
        now = self._state.now if self._state is not None else ""
        token = f"{updated}:young" if is_young(updated, now) else str(updated)
        # Permissions are often changed in place; a full listing sees it even when `updated_at` says nothing.
        return token if self._options.acl is None else f"{token}:{fingerprint(acl)[:16]}"


class SqlListing(_Base):
    """Every row that is not deleted. Implements `rag_core.content.sources.base.Listing`."""

    def _entries(self) -> Iterator[SourceItem | Problem]:
        self._state = self._reader.state()
        if keyless := self._reader.keyless():
            yield Problem(KEYLESS, Reason.KEY_MISSING, f"{keyless} rows have a key that is null")
        if self._state.ahead:
            yield Problem(AHEAD, Reason.CURSOR_AHEAD, _dated_ahead(self._options, self._state))
        for row in self._reader.by_key(*self._reader.live()):
            entry = self._entry(row)
            if not isinstance(entry, Removed):
                yield entry


class SqlChanges(_Base):
    """Rows that changed since a position, deleted ones as `Removed`. Implements `rag_core.content.sources.Changes`."""

    def __init__(self, options: SqlOptions, reader: SqlReader, since: Position) -> None:
        super().__init__(options, reader)
        self._since = since

    def _entries(self) -> Iterator[SourceItem | Problem | Removed]:
        self._state = self._reader.state()
        if self._state.newest is not None:
            since = self._since
            if moment(since) is not None:  # a clock that was set back must not hide what is written now
                since = lower(since, _clock(self._state, since)) or since
            start = moved_back(since, self._options.overlap)
            for row in self._reader.by_change(start, self._state.newest):
                yield self._entry(row)
        # Rows without a position that counts are in no range.
        unknown = self._reader.relation.element(self._options.updated_at).is_(None)
        for row in self._reader.by_key(or_(unknown, self._reader.ahead())):
            yield self._entry(row)


def _dated_ahead(options: SqlOptions, state: RelationState) -> str:
    return (
        f"{state.ahead} rows have {options.updated_at[:64]} more than a day ahead, up to {str(state.top)[:40]}; "
        "they are read at every run, and an edit of one shows only when the column changes"
    )


def _clock(state: RelationState, like: Position | None) -> Position:
    """The database's clock, spelled as the column spells time."""
    now = moment(state.now)
    return state.now if now is None else spelled(now, str(like))
