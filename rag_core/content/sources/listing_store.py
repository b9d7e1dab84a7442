"""A listing of a source in a temporary table, compared with the stored documents inside the database.

Memory does not grow with the source; an unchanged document costs a row of COPY and a hash join. The view `listed` has
the locators of the whole source, also when the table has only one shard's entries of a shared listing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from rag_core.database import copy_rows

_COLUMNS = (
    ("locator", "text"),
    ("token", "text"),
    ("size", "int8"),
    ("modified_at", "timestamptz"),
    ("shard", "int2"),
    ("reason", "text"),
    ("message", "text"),
    ("skipped", "bool"),
)

# What costs little comes first, in four classes of size, and what changed last comes first within a class.
_FIRST = """
(CASE WHEN size <= 32768 THEN 1 WHEN size IS NULL OR size <= 262144 THEN 2 WHEN size <= 2097152 THEN 3 ELSE 4 END),
modified_at DESC NULLS LAST, size, position
"""


@dataclass(frozen=True, slots=True)
class FetchTask:
    """An item to read, with the stored state of its document (`doc_id` is `None` for a new one)."""

    position: int
    locator: str
    token: str
    size: int | None
    modified_at: datetime | None
    doc_id: uuid.UUID | None
    version: int
    live: bool
    known_token: str
    parsed_as: str
    content_hash: bytes
    acl: list[str] | None
    acl_inherited: bool
    mine: bool
    """Already written by this run (before an interruption, or because the default ACL changed)."""


def prepare(connection: Connection) -> None:
    """Create the empty temporary tables and the view. They last until the connection is released."""
    connection.execute(
        text(
            "CREATE TEMP TABLE listing (locator text NOT NULL, token text, size bigint, modified_at timestamptz,"
            " shard smallint NOT NULL, reason text, message text, skipped boolean NOT NULL,"
            " entry bigint GENERATED ALWAYS AS IDENTITY)"
        )
    )
    connection.execute(
        text(
            "CREATE TEMP TABLE due (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, locator text NOT NULL,"
            " token text NOT NULL, size bigint, modified_at timestamptz, doc_id uuid, version bigint NOT NULL,"
            " live boolean NOT NULL, known_token text NOT NULL, parsed_as text NOT NULL, content_hash bytea NOT NULL,"
            " acl text[], acl_inherited boolean NOT NULL, mine boolean NOT NULL)"
        )
    )
    # Without it each page of a long queue would sort the whole.
    connection.execute(text(f"CREATE INDEX due_first ON due ({_FIRST})"))
    connection.execute(text("CREATE TEMP VIEW listed AS SELECT locator FROM listing"))
    connection.execute(text("CREATE TEMP TABLE removed (locator text NOT NULL, shard smallint NOT NULL)"))
    connection.execute(text("CREATE TEMP TABLE gone (locator text PRIMARY KEY, doc_id uuid NOT NULL, shard smallint)"))


def append(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows of (locator, token, size, modified_at, shard, reason, message, skipped)."""
    copy_rows(connection, "listing", _COLUMNS, rows)


def append_removed(connection: Connection, rows: Sequence[tuple[str, int]]) -> None:
    """Add (locator, shard) of items that the source reports as deleted."""
    copy_rows(connection, "removed", (("locator", "text"), ("shard", "int2")), rows)


def clear(connection: Connection) -> None:
    """Empty the listing, to list again."""
    connection.execute(text("TRUNCATE listing, removed"))


def drop_repeats(connection: Connection) -> int:
    """Keep the first entry of each locator; returns how many entries were dropped. Also gathers statistics."""
    removed = connection.execute(
        text(
            "DELETE FROM listing l USING (SELECT locator, min(ctid) AS first FROM listing GROUP BY locator"
            " HAVING count(*) > 1) r WHERE l.locator = r.locator AND l.ctid <> r.first"
        )
    ).rowcount
    # An item that was listed, and then deleted while the changes were read.
    connection.execute(text("DELETE FROM listing l USING removed r WHERE l.locator = r.locator"))
    analyze(connection)
    return removed


def analyze(connection: Connection) -> None:
    """Gather planner statistics of the listing: autovacuum does not analyse temporary tables."""
    connection.execute(text("ANALYZE listing (locator, shard)"))


_COMPARE = text("""
WITH compared AS MATERIALIZED (
    SELECT l.locator, l.token, l.size, l.modified_at, d.doc_id, d.version, d.deleted_at, d.token AS known_token,
           d.parsed_as, d.content_hash, d.acl, d.acl_inherited, d.run_id,
           coalesce(q.stage IN ('list', 'fetch', 'parse'), false) AS failing,
           CASE
               WHEN l.reason IS NOT NULL THEN
                   CASE WHEN l.skipped OR (q.skipped AND q.reason = l.reason) THEN 'skipped' ELSE 'quarantined' END
               WHEN d.deleted_at IS NULL AND d.token = l.token AND d.parsed_as = :parsed_as THEN
                   CASE WHEN d.run_id = :run_id THEN 'changed' ELSE 'unchanged' END
               WHEN q.token = l.token AND q.parsed_as = :parsed_as AND q.stage IN ('fetch', 'parse')
                    AND (q.skipped OR q.attempts >= :attempts OR q.run_id = :run_id) THEN
                   CASE WHEN q.skipped THEN 'skipped' ELSE 'quarantined' END
               ELSE 'due'
           END AS class
    FROM listing l
    LEFT JOIN rag.documents d ON d.tenant = :tenant AND d.source = :source AND d.locator = l.locator
    LEFT JOIN rag.quarantine q ON q.tenant = :tenant AND q.source = :source AND q.locator = l.locator
    WHERE l.shard = :shard AND l.entry > :after
), inserted AS (
    INSERT INTO due (locator, token, size, modified_at, doc_id, version, live, known_token, parsed_as, content_hash,
                     acl, acl_inherited, mine)
    SELECT locator, token, size, modified_at, doc_id, coalesce(version, 0), doc_id IS NOT NULL AND deleted_at IS NULL,
           coalesce(known_token, ''), coalesce(parsed_as, ''), coalesce(content_hash, ''), acl,
           coalesce(acl_inherited, false), coalesce(run_id = :run_id AND NOT failing, false)
    FROM compared WHERE class = 'due'
)
SELECT class, count(*), count(*) FILTER (WHERE doc_id IS NOT NULL AND deleted_at IS NULL) FROM compared GROUP BY class
""")


def compare(
    connection: Connection,
    tenant: str,
    source: str,
    shard: int,
    *,
    parser_fingerprint: str,
    run_id: str,
    attempts: int,
    after: int = 0,
) -> dict[str, int]:
    """Assign the entries of the shard behind entry `after` to one class each, and queue the items that must be read.

    Classes: `unchanged`, `changed` (already written by this run before an interruption), `quarantined` and `skipped`
    (known to fail, or left out), `due`. Returns the size of each, and as `named` the number of live documents that the
    entries name.
    """
    params = {
        "after": after,
        "tenant": tenant,
        "source": source,
        "shard": shard,
        "parsed_as": parser_fingerprint,
        "run_id": run_id,
        "attempts": attempts,
    }
    rows = connection.execute(_COMPARE, params).all()
    return {row[0]: row[1] for row in rows} | {"named": sum(row[2] for row in rows)}


def last_entry(connection: Connection) -> int:
    """The number of the newest entry, for the next `compare`; 0 when there is none."""
    return connection.scalar(text("SELECT coalesce(max(entry), 0) FROM listing")) or 0


_TAKE = f"""
WITH taken AS (DELETE FROM due WHERE position IN (SELECT position FROM due ORDER BY {_FIRST} LIMIT :page) RETURNING *)
SELECT {", ".join(field.name for field in fields(FetchTask))} FROM taken ORDER BY {_FIRST}
"""  # noqa: S608


def take_tasks(connection: Connection, page: int) -> Iterator[FetchTask]:
    """Take the queued items out of the queue, small and new ones first, in pages without an open transaction."""
    while rows := [FetchTask(*row) for row in connection.execute(text(_TAKE), {"page": page})]:
        connection.commit()
        yield from rows
    connection.commit()


@dataclass(frozen=True, slots=True)
class Queue:
    """Items that are still to be read: their number, how many have no live document yet, and their bytes."""

    items: int = 0
    new: int = 0
    bytes: int = 0

    @classmethod
    def of(cls, task: FetchTask) -> Queue:
        """One item."""
        return cls(1, int(not task.live), ASSUMED_BYTES if task.size is None else task.size)

    def __add__(self, other: Queue) -> Queue:
        return Queue(self.items + other.items, self.new + other.new, self.bytes + other.bytes)

    def __sub__(self, other: Queue) -> Queue:
        return Queue(self.items - other.items, self.new - other.new, self.bytes - other.bytes)


ASSUMED_BYTES = 4096
"""Size of an item whose size the source does not report."""
_QUEUE = text(
    "SELECT count(*), count(*) FILTER (WHERE NOT live), coalesce(sum(coalesce(size, :assumed)), 0)::bigint FROM due"
)


def queue(connection: Connection) -> Queue:
    """Return the state of the queue of listed items."""
    return Queue(*connection.execute(_QUEUE, {"assumed": ASSUMED_BYTES}).one())


_DROP_NEW = text(f"""
WITH dropped AS (
    DELETE FROM due WHERE position IN (
        SELECT position FROM due WHERE NOT live ORDER BY {_FIRST} OFFSET greatest(0, :kept)
    ) RETURNING size
)
SELECT count(*), count(*), coalesce(sum(coalesce(size, :assumed)), 0)::bigint FROM dropped
""")  # noqa: S608


def drop_new(connection: Connection, excess: int) -> Queue:
    """Take the last `excess` items of new documents out of the queue; returns what they were."""
    kept = queue(connection).new - excess
    return Queue(*connection.execute(_DROP_NEW, {"kept": kept, "assumed": ASSUMED_BYTES}).one())


_PROBLEMS = text("""
INSERT INTO rag.quarantine (tenant, source, shard, locator, stage, reason, message, skipped, run_id)
SELECT :tenant, :source, :shard, l.locator, 'list', l.reason, l.message, l.skipped, :run_id
FROM listing l
WHERE l.shard = :shard AND l.reason IS NOT NULL
  AND (NOT l.skipped OR EXISTS (
      SELECT FROM rag.documents d
      WHERE d.tenant = :tenant AND d.source = :source AND d.locator = l.locator AND d.deleted_at IS NULL))
ORDER BY l.locator
ON CONFLICT (tenant, source, locator) DO UPDATE
SET stage = 'list', reason = excluded.reason, message = excluded.message, token = NULL, parsed_as = NULL,
    shard = excluded.shard, attempts = 1, skipped = excluded.skipped, run_id = excluded.run_id,
    first_at = now(), last_at = now()
WHERE (quarantine.stage, quarantine.reason, quarantine.message)
      IS DISTINCT FROM (excluded.stage, excluded.reason, excluded.message)
""")
_SOLVED = text("""
DELETE FROM rag.quarantine q USING listing l
WHERE q.tenant = :tenant AND q.source = :source AND q.shard = :shard AND q.stage IN ('list', 'fetch', 'parse')
  AND l.locator = q.locator
  AND CASE WHEN l.reason IS NULL THEN EXISTS (
      SELECT FROM rag.documents d
      WHERE d.tenant = :tenant AND d.source = :source AND d.locator = l.locator AND d.deleted_at IS NULL
        AND d.token = l.token AND d.parsed_as = :parsed_as)
  ELSE l.skipped AND q.reason <> l.reason END
""")
_ABSENT_FAILURES = text("""
DELETE FROM rag.quarantine q
WHERE q.tenant = :tenant AND q.source = :source AND q.shard = :shard
  AND NOT EXISTS (SELECT FROM listing l WHERE l.locator = q.locator)
  AND NOT EXISTS (SELECT FROM rag.documents d WHERE d.tenant = :tenant AND d.source = :source
                  AND d.locator = q.locator AND d.deleted_at IS NULL)
""")


def record_problems(
    connection: Connection, tenant: str, source: str, shard: int, *, parser_fingerprint: str, run_id: str
) -> None:
    """Quarantine the entries that the connector reports as problems, and clear those that are usable again."""
    params = {"tenant": tenant, "source": source, "shard": shard, "parsed_as": parser_fingerprint, "run_id": run_id}
    connection.execute(_PROBLEMS, params)
    connection.execute(_SOLVED, params)


def forget_absent_failures(connection: Connection, tenant: str, source: str, shard: int) -> None:
    """Clear quarantined inputs that are no longer at the source. Only after a complete listing."""
    connection.execute(_ABSENT_FAILURES, {"tenant": tenant, "source": source, "shard": shard})


# The few empty ones first: without statistics of a new source's documents PostgreSQL would otherwise read the listing
# once per document.
_NOW_EMPTY = text("""
WITH empty AS MATERIALIZED (SELECT locator FROM listing WHERE shard = :shard AND reason = 'EMPTY_DOCUMENT')
SELECT d.doc_id FROM empty e
JOIN rag.documents d ON d.tenant = :tenant AND d.source = :source AND d.locator = e.locator AND d.deleted_at IS NULL
""")


def now_empty(connection: Connection, tenant: str, source: str, shard: int) -> list[uuid.UUID]:
    """Stored documents that the connector now reports as empty: their text is outdated."""
    found = connection.scalars(_NOW_EMPTY, {"tenant": tenant, "source": source, "shard": shard})
    return list(found)


def entries(connection: Connection, shard: int) -> int:
    """Count the entries of one shard."""
    return connection.scalar(text("SELECT count(*) FROM listing WHERE shard = :shard"), {"shard": shard}) or 0


def is_empty(connection: Connection) -> bool:
    """Return whether the listing has no entry for the whole source."""
    return not connection.scalar(text("SELECT EXISTS (SELECT FROM listed)"))
