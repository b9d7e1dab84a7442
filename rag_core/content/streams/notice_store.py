"""Objects that event notifications named. A row is a hint: the object is read, and then the row is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from rag_core.errors import Exhausted, NotFound, Reason

KIND = "s3"
KEPT_DAYS = 7
"""A source that nobody reads leaves its rows behind; a listing finds what they are about."""

_KIND = text("SELECT kind FROM rag.sources WHERE tenant = :tenant AND name = :source")
_ADD = text("""
INSERT INTO rag.object_notices AS n (tenant, source, bucket, object_key)
SELECT :tenant, :source, f.bucket, f.key
FROM unnest(CAST(:buckets AS text[]), CAST(:keys AS text[])) AS f (bucket, key) ORDER BY f.bucket, f.key
ON CONFLICT (tenant, source, bucket, object_key) DO UPDATE
SET revision = n.revision + 1, received_at = now(), not_before = least(n.not_before, now())
""")
_WAITING = text("""
SELECT count(*) FROM (SELECT FROM rag.object_notices WHERE tenant = :tenant LIMIT :most) AS counted
""")
_SOURCES = text("SELECT DISTINCT tenant, source FROM rag.object_notices WHERE not_before <= now()")
_CLAIM = text("""
UPDATE rag.object_notices n SET not_before = now() + make_interval(secs => :seconds)
FROM (SELECT tenant, source, bucket, object_key FROM rag.object_notices
      WHERE tenant = :tenant AND source = :source AND not_before <= now()
      ORDER BY received_at LIMIT :limit FOR UPDATE SKIP LOCKED) AS c
WHERE (n.tenant, n.source, n.bucket, n.object_key) = (c.tenant, c.source, c.bucket, c.object_key)
RETURNING n.bucket, n.object_key, n.revision
""")
_FORGET = text("""
DELETE FROM rag.object_notices n
USING unnest(CAST(:buckets AS text[]), CAST(:keys AS text[]), CAST(:revisions AS bigint[]))
    AS f (bucket, key, revision)
WHERE n.tenant = :tenant AND n.source = :source AND n.bucket = f.bucket AND n.object_key = f.key
    AND n.revision = f.revision
""")
_AGAIN = text("""
UPDATE rag.object_notices n
SET attempts = n.attempts + 1, not_before = now() + make_interval(secs => least(:most, power(2, least(n.attempts, 9))))
FROM unnest(CAST(:buckets AS text[]), CAST(:keys AS text[])) AS f (bucket, key)
WHERE n.tenant = :tenant AND n.source = :source AND n.bucket = f.bucket AND n.object_key = f.key
""")
_PURGE = text("DELETE FROM rag.object_notices WHERE received_at < now() - make_interval(days => :days)")


@dataclass(frozen=True, slots=True)
class Notice:
    """An object that may have changed. A later event raises the revision."""

    bucket: str
    key: str
    revision: int


def add(connection: Connection, tenant: str, source: str, named: Sequence[tuple[str, str]], *, max_pending: int) -> int:
    """Store the objects of a notification, by bucket and key; returns how many they are.

    Raises `NotFound` (`SOURCE_NOT_FOUND`) for a source that is no bucket, `Exhausted` (`INBOX_FULL`) while too many of
    the tenant wait.
    """
    if connection.scalar(_KIND, {"tenant": tenant, "source": source}) != KIND:
        raise NotFound(Reason.SOURCE_NOT_FOUND, "source: your tenant has no bucket of this name among its sources")
    distinct = sorted(set(named))
    if not distinct:
        return 0
    if connection.scalar(_WAITING, {"tenant": tenant, "most": max_pending}) >= max_pending:
        raise Exhausted(Reason.INBOX_FULL, "too many objects of this tenant wait to be looked at; retry later")
    buckets, keys = zip(*distinct, strict=True)
    connection.execute(_ADD, {"tenant": tenant, "source": source, "buckets": list(buckets), "keys": list(keys)})
    return len(distinct)


def waiting_sources(connection: Connection) -> list[tuple[str, str]]:
    """Tenant and source of what waits to be looked at now."""
    return [(tenant, source) for tenant, source in connection.execute(_SOURCES)]


def claim(connection: Connection, tenant: str, source: str, *, limit: int, seconds: float) -> list[Notice]:
    """Take the oldest of a source in hand for so long; nobody else gets them until then."""
    place = {"tenant": tenant, "source": source, "limit": limit, "seconds": seconds}
    return [Notice(*row) for row in connection.execute(_CLAIM, place)]


def forget(connection: Connection, tenant: str, source: str, done: Sequence[Notice]) -> None:
    """Delete what was looked at; what was announced again meanwhile stays."""
    connection.execute(_FORGET, _named(tenant, source, done))


def postpone(connection: Connection, tenant: str, source: str, failed: Sequence[Notice], *, most: float) -> None:
    """Have them tried again, after a wait that doubles with each failure up to `most` seconds."""
    connection.execute(_AGAIN, {**_named(tenant, source, failed), "most": most})


def purge(connection: Connection) -> int:
    """Delete what nobody has taken for days; returns how many."""
    return connection.execute(_PURGE, {"days": KEPT_DAYS}).rowcount


def _named(tenant: str, source: str, notices: Sequence[Notice]) -> dict[str, object]:
    return {
        "tenant": tenant,
        "source": source,
        "buckets": [one.bucket for one in notices],
        "keys": [one.key for one in notices],
        "revisions": [one.revision for one in notices],
    }
