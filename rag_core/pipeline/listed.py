"""Copying a listing into its table: for the run that follows it, and for the verification that only looks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from rag_core.errors import RagError, Reason
from rag_core.ids import document_id, shard_of
from rag_core.models import SourceItem
from rag_core.sources import Changes, Listing, Problem, Removed, Source
from rag_core.store import listing
from rag_core.store.copying import is_storable, storable

_PAGE = 5000


@dataclass(frozen=True, slots=True)
class Copied:
    """`error` says why the listing is not complete, `duplicates` how many entries named a locator again."""

    error: str | None
    duplicates: int


def copy_listing(connection: Connection, source: Source, entries: Listing | Changes) -> Copied:
    """Read a listing to its end into the tables of `rag_core.store.listing`, which are prepared, and commit."""
    rows: list[tuple[object, ...]] = []
    removed: list[tuple[str, int]] = []
    error: str | None = None
    try:
        for entry in entries:
            if isinstance(entry, Removed):
                removed.append((storable(entry.locator), _shard_of(source, entry.locator)))
            else:
                rows.append(_row(source, entry))
            if len(rows) + len(removed) >= _PAGE:
                _append(connection, rows, removed)
    except RagError as failure:
        error = str(failure)
    _append(connection, rows, removed)
    duplicates = listing.drop_repeats(connection)
    connection.commit()
    if error is None and not entries.complete:
        error = entries.error or "the listing stopped early"
    return Copied(error, duplicates)


def _append(connection: Connection, rows: list[tuple[object, ...]], removed: list[tuple[str, int]]) -> None:
    listing.append(connection, rows)
    listing.append_removed(connection, removed)
    connection.commit()
    rows.clear()
    removed.clear()


def _row(source: Source, entry: SourceItem | Problem) -> tuple[object, ...]:
    shard = _shard_of(source, entry.locator)
    if isinstance(entry, Problem):
        message = storable(entry.message)
        return storable(entry.locator), None, None, None, shard, str(entry.reason), message, entry.skipped
    if not (is_storable(entry.locator) and is_storable(entry.token)):
        message = "the name has characters that cannot be stored"
        return storable(entry.locator), None, None, None, shard, str(Reason.ID_CHARS), message, False
    return entry.locator, entry.token, entry.size, entry.modified_at, shard, None, None, False


def _shard_of(source: Source, locator: str) -> int:
    if source.shards == 1:
        return 0
    return shard_of(document_id(source.tenant, source.name, storable(locator)), source.shards)
