"""What a connector lists, copied page by page into the listing table: memory does not grow with the source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    """How a copy ended. `error` is why the listing is not complete; `position` where the next changes start."""

    error: str | None
    duplicates: int
    position: Mapping[str, Any] | None


def copy_entries(connection: Connection, entries: Listing | Changes, source: Source) -> Copied:
    """Append all entries and commit. What the connector raises ends the copy and becomes its `error`."""
    rows: list[tuple[object, ...]] = []
    removed: list[tuple[str, int]] = []
    error: str | None = None
    try:
        for entry in entries:
            if isinstance(entry, Removed):
                removed.append((storable(entry.locator), _shard(source, entry.locator)))
            else:
                rows.append(_row(entry, _shard(source, entry.locator)))
            if len(rows) + len(removed) >= _PAGE:
                _append(connection, rows, removed)
    except RagError as failure:
        error = str(failure)
    _append(connection, rows, removed)
    duplicates = listing.drop_repeats(connection)
    connection.commit()
    if error is None and not entries.complete:
        error = entries.error or "the listing stopped early"
    return Copied(error, duplicates, getattr(entries, "cursor", None))


def _append(connection: Connection, rows: list[tuple[object, ...]], removed: list[tuple[str, int]]) -> None:
    listing.append(connection, rows)
    listing.append_removed(connection, removed)
    connection.commit()
    rows.clear()
    removed.clear()


def _row(entry: SourceItem | Problem, shard: int) -> tuple[object, ...]:
    if isinstance(entry, Problem):
        message = storable(entry.message)
        return storable(entry.locator), None, None, None, shard, str(entry.reason), message, entry.skipped
    if not (is_storable(entry.locator) and is_storable(entry.token)):
        message = "the name has characters that cannot be stored"
        return storable(entry.locator), None, None, None, shard, str(Reason.ID_CHARS), message, False
    return entry.locator, entry.token, entry.size, entry.modified_at, shard, None, None, False


def _shard(source: Source, locator: str) -> int:
    if source.shards == 1:
        return 0
    return shard_of(document_id(source.tenant, source.name, storable(locator)), source.shards)
