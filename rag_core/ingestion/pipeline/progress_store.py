"""Rows of progress: what a run has listed and not read yet, and how much of each source is searchable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, text

from rag_core.content.sources import Scope
from rag_core.ingestion.generations import SourceCounts

_WRITE = text("""
INSERT INTO rag.reading_progress (tenant, source, shard, run_id, unread, outdated, bytes, listing)
VALUES (:tenant, :source, :shard, :run_id, :unread, :outdated, :bytes, :listing)
ON CONFLICT (tenant, source, shard) DO UPDATE
SET run_id = excluded.run_id, unread = excluded.unread, outdated = excluded.outdated, bytes = excluded.bytes,
    listing = excluded.listing, updated_at = now()
""")
_DONE = text("""
UPDATE rag.reading_progress
SET run_id = :run_id, unread = 0, outdated = 0, bytes = 0, listing = false, updated_at = now()
WHERE tenant = :tenant AND source = :source AND shard = :shard AND (unread + outdated > 0 OR listing)
""")


def write(connection: Connection, scope: Scope, *, unread: int, outdated: int, size: int, listing: bool) -> None:
    """Store what a shard's run has listed and not read yet, and whether it is still listing, and commit."""
    counts = {"unread": unread, "outdated": outdated, "bytes": size, "listing": listing}
    under_way = listing or unread + outdated
    connection.execute(_WRITE if under_way else _DONE, _of(scope) | (counts if under_way else {}))
    connection.commit()


def _of(scope: Scope) -> dict[str, object]:
    tenant, source, shard = scope.key
    return {"tenant": tenant, "source": source, "shard": shard, "run_id": scope.run_id}


@dataclass(frozen=True, slots=True)
class Coverage:
    """Searchable share of a source, in documents.

    `documents` are stored; `searchable` of them are in the active generation in some version, `current` of those in
    their current one. `unread` items were listed and not read yet, `outdated` ones have an older document; `bytes` is
    the size of both. `hidden` documents will never be searchable as they are: their ACL is unknown, or they could not
    be chunked or embedded. `updated_at` is when the last reading began or moved on.
    """

    tenant: str
    source: str
    documents: int = 0
    searchable: int = 0
    current: int = 0
    hidden: int = 0
    unread: int = 0
    outdated: int = 0
    bytes: int = 0
    updated_at: datetime | None = None

    @property
    def share(self) -> float:
        """The searchable part of what is known of the source, from 0 to 1."""
        wanted = self.documents - self.hidden + self.unread
        return 1.0 if wanted <= 0 else min(1.0, self.searchable / wanted)

    @property
    def complete(self) -> bool:
        """True when every known document of the source is searchable in its current version."""
        return self.unread + self.outdated == 0 and self.current >= self.documents - self.hidden


_READING = text("""
SELECT tenant, source, sum(unread)::bigint AS unread, sum(outdated)::bigint AS outdated, sum(bytes)::bigint AS bytes,
       max(updated_at) AS updated_at
FROM rag.reading_progress GROUP BY tenant, source
""")


def coverage(connection: Connection, counts: Iterable[SourceCounts]) -> list[Coverage]:
    """The coverage of sources that were counted, in their order."""
    reading = {(row.tenant, row.source): row for row in connection.execute(_READING)}
    found = []
    for one in counts:
        known = Coverage(one.tenant, one.name, one.documents, one.searchable, one.current, one.hidden)
        row = reading.get((one.tenant, one.name))
        found.append(replace(known, **row._mapping) if row is not None else known)
    return found
