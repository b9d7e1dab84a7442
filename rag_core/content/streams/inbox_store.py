"""The push inbox: accepted changes that the stream worker has yet to apply.

A change is acknowledged when its row is committed. Its `source_version` is assigned under a lock on the document, so
that two callers cannot get the same one; it fences the change when it is applied.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, Row, text

from rag_core.database import locks
from rag_core.errors import Conflict, Exhausted, NotFound, Reason
from rag_core.ids import document_id

CHANNEL = "rag_inbox"
KIND = "push"
_LOCK = 0x7261675F696E626F  # "rag_inbo"; the next number is that of the large changes


@dataclass(frozen=True, slots=True)
class PushedChange:
    """One pushed change. `content=None` deletes, `acl=None` keeps the ACL, `source_version=None` assigns the next one.

    `event_at` is the time of the event at the caller, for latency metrics only; it does not order changes.
    """

    tenant: str
    source: str
    locator: str
    subject: str
    content: bytes | None = None
    media_type: str | None = None
    title: str | None = None
    acl: tuple[str, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    source_version: int | None = None
    idempotency_key: str | None = None
    event_at: datetime | None = None
    traceparent: str | None = None
    """The trace that the change is part of."""

    @property
    def doc_id(self) -> uuid.UUID:
        return document_id(self.tenant, self.source, self.locator)

    @property
    def operation(self) -> str:
        return "delete" if self.content is None else "put"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the request's content, without the caller and the time."""
        acl = None if self.acl is None else sorted(self.acl)
        said = [self.operation, self.source, self.locator, self.media_type, self.title, acl, self.source_version]
        digest = hashlib.sha256(json.dumps([*said, sorted(self.metadata.items())]).encode())
        digest.update(self.content or b"")
        return digest.digest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt for an accepted change: the document, its fencing version and the number in the inbox."""

    doc_id: uuid.UUID
    source_version: int
    sequence: int
    received_at: datetime
    repeated: bool = False
    """True when the same request was accepted before and nothing was added."""


def accept(
    connection: Connection, change: PushedChange, *, max_pending: int, max_pending_of_tenant: int | None = None
) -> Receipt:
    """Store a change in the current transaction; the commit notifies the worker.

    The same idempotency key, or the same source version with the same content, returns the first receipt again.
    Raises `Conflict`: `IDEMPOTENCY_MISMATCH`, `STALE_VERSION`, `SOURCE_NOT_PUSHABLE`; `Exhausted` (`INBOX_FULL`).
    """
    if change.idempotency_key is not None:
        locks.lock_transaction(connection, f"idempotency/{change.tenant}/{change.idempotency_key}")
    locks.lock_transaction(connection, f"document/{change.doc_id}")
    digest = change.digest
    if change.idempotency_key is not None and (known := _by_key(connection, change)) is not None:
        if bytes(known.request_hash) != digest:
            raise Conflict(Reason.IDEMPOTENCY_MISMATCH, "idempotency_key: it was used for another request")
        return _receipt(known, repeated=True)
    _require_push_source(connection, change)
    newest = _newest_version(connection, change.doc_id)
    wanted = newest + 1 if change.source_version is None else change.source_version
    if wanted <= newest:
        same = _by_version(connection, change.doc_id, wanted)
        if same is not None and bytes(same.request_hash) == digest:
            return _receipt(same, repeated=True)
        raise Conflict(
            Reason.STALE_VERSION,
            f"source_version: {wanted} is not newer than {newest}, which was accepted before",
            newest=str(newest),
        )
    _require_room(connection, max_pending, change.tenant, max_pending_of_tenant or max_pending)
    row = connection.execute(_INSERT, _values(change, digest, wanted)).one()
    connection.execute(text(f"NOTIFY {CHANNEL}"))
    return _receipt(row, repeated=False)


def known_deletion(connection: Connection, change: PushedChange, doc_id: uuid.UUID) -> Receipt | None:
    """The receipt of a deletion of this document with the same idempotency key; `None` when there is none."""
    if change.idempotency_key is None:
        return None
    row = _by_key(connection, change)
    if row is None or row.operation != "delete" or row.doc_id != doc_id:
        return None
    return _receipt(row, repeated=True)


def mark_applied(connection: Connection, outcomes: Mapping[int, str]) -> None:
    """Mark changes as applied in the transaction that stores their outcome, and delete their content.

    Raises `Conflict` (`SOURCE_BUSY`) when one is not in the inbox any more: its source or document was removed after it
    was read, and it must not come back.
    """
    params = {"seqs": list(outcomes), "outcomes": list(outcomes.values())}
    if not outcomes or connection.execute(_APPLIED, params).rowcount == len(outcomes):
        return
    if connection.scalar(_KNOWN, {"seqs": list(outcomes)}) != len(outcomes):
        raise Conflict(Reason.SOURCE_BUSY, "a change was removed with its source or document; the rest is read again")


def pending(connection: Connection) -> tuple[int, float]:
    """The number of pending changes, and the age of the oldest in seconds."""
    count, seconds = connection.execute(_PENDING).one()
    return int(count), float(seconds or 0)


def pending_by_source(connection: Connection, tenant: str | None) -> dict[tuple[str, str], int]:
    """The number of pending changes of each source of a tenant, or of all, that has any, by tenant and name."""
    where, values = ("AND tenant = :tenant", {"tenant": tenant}) if tenant is not None else ("", {})
    rows = connection.execute(text(_PENDING_BY_SOURCE.format(of=where)), values)
    return {(row.tenant, row.source): row.changes for row in rows}


def pending_deletions(connection: Connection, *, most: int) -> list[tuple[str, uuid.UUID]]:
    """Tenant and document of the deletions that are not applied yet; of each source the first `most`."""
    return [(row.tenant, row.doc_id) for row in connection.execute(_PENDING_DELETIONS, {"most": most})]


def latest(connection: Connection, doc_id: uuid.UUID) -> Row[tuple[object, ...]] | None:
    """The newest pending change of a document: `operation`, `source_version`, `source`, `locator`."""
    return connection.execute(_LATEST, {"doc_id": doc_id}).one_or_none()


def purge(connection: Connection, *, hours: int) -> int:
    """Delete applied changes, and with them their idempotency keys, after some hours; returns their number."""
    return connection.execute(_PURGE, {"hours": hours}).rowcount


def place(connection: Connection, tenant: str, doc_id: uuid.UUID) -> tuple[str, str]:
    """Source and locator of a pushed document that is stored or pending.

    Raises `NotFound` (`DOCUMENT_NOT_FOUND`) when it is missing, deleted, another tenant's or a connector's.
    """
    found = connection.execute(_PLACE, {"doc_id": doc_id, "tenant": tenant, "kind": KIND}).one_or_none()
    if found is None or found.operation == "delete":
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "document: not found")
    return str(found.source), str(found.locator)


def forget(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> int:
    """Delete all rows of documents from the inbox, for an erasure; returns their number."""
    return connection.execute(text("DELETE FROM rag.inbox WHERE doc_id = ANY(:ids)"), {"ids": list(doc_ids)}).rowcount


def forget_source(connection: Connection, tenant: str, source: str) -> int:
    """Delete all rows of a source from the inbox, for its removal; returns their number."""
    return connection.execute(_FORGET_SOURCE, {"tenant": tenant, "source": source}).rowcount


def _by_key(connection: Connection, change: PushedChange) -> Row[tuple[object, ...]] | None:
    params = {"tenant": change.tenant, "key": change.idempotency_key}
    return connection.execute(_KEYED, params).one_or_none()


def _by_version(connection: Connection, doc_id: uuid.UUID, version: int) -> Row[tuple[object, ...]] | None:
    return connection.execute(_VERSIONED, {"doc_id": doc_id, "version": version}).first()


def _receipt(row: Row[tuple[object, ...]], *, repeated: bool) -> Receipt:
    return Receipt(row.doc_id, row.source_version, row.seq, row.received_at, repeated)


def _require_push_source(connection: Connection, change: PushedChange) -> None:
    params = {"tenant": change.tenant, "name": change.source, "kind": KIND}
    kind = connection.scalar(_KIND, params)
    if kind is None:
        connection.execute(_REGISTER, params)
    elif kind != KIND:
        raise Conflict(
            Reason.SOURCE_NOT_PUSHABLE, f"source: {change.source!r} is read by a connector; push into another"
        )


def _newest_version(connection: Connection, doc_id: uuid.UUID) -> int:
    return int(connection.scalar(_NEWEST, {"doc_id": doc_id}) or 0)


def _require_room(connection: Connection, max_pending: int, tenant: str, of_tenant: int) -> None:
    # The span of pending sequence numbers is an upper bound of their count, and costs two index look-ups.
    span = int(connection.scalar(_SPAN) or 0)
    if span < min(of_tenant, max_pending):
        return
    # No tenant may fill the inbox for all others: pending changes are counted per tenant, up to its share.
    if int(connection.scalar(_OF_TENANT, {"tenant": tenant, "limit": of_tenant}) or 0) >= of_tenant:
        raise Exhausted(Reason.INBOX_FULL, "too many changes of this tenant wait to be applied; retry later")
    if span >= max_pending and int(connection.scalar(_COUNT, {"limit": max_pending}) or 0) >= max_pending:
        raise Exhausted(Reason.INBOX_FULL, "too many changes wait to be applied; retry later")


def _values(change: PushedChange, digest: bytes, version: int) -> dict[str, object]:
    now = datetime.now(UTC)
    # A caller's clock that is ahead must not result in a latency of zero or less.
    event_at = min(change.event_at, now) if change.event_at is not None else now
    return {
        "tenant": change.tenant,
        "source": change.source,
        "locator": change.locator,
        "doc_id": change.doc_id,
        "operation": change.operation,
        "version": version,
        "content": change.content,
        "media_type": change.media_type,
        "title": change.title,
        "acl": None if change.acl is None else list(change.acl),
        "metadata": json.dumps(dict(change.metadata)),
        "key": change.idempotency_key,
        "hash": digest,
        "subject": change.subject,
        "event_at": event_at,
        "traceparent": change.traceparent,
    }


_INSERT = text("""
INSERT INTO rag.inbox (tenant, source, locator, doc_id, operation, source_version, content, media_type, title, acl,
                       metadata, idempotency_key, request_hash, subject, event_at, traceparent)
VALUES (:tenant, :source, :locator, :doc_id, :operation, :version, :content, :media_type, :title, :acl,
        CAST(:metadata AS jsonb), :key, :hash, :subject, :event_at, :traceparent)
RETURNING seq, doc_id, source_version, received_at, request_hash
""")
_KEYED = text("""
SELECT seq, doc_id, source_version, received_at, request_hash, operation FROM rag.inbox
WHERE tenant = :tenant AND idempotency_key = :key
""")
_VERSIONED = text("""
SELECT seq, doc_id, source_version, received_at, request_hash FROM rag.inbox
WHERE doc_id = :doc_id AND source_version = :version ORDER BY seq DESC LIMIT 1
""")
_KIND = text("SELECT kind FROM rag.sources WHERE tenant = :tenant AND name = :name")
_REGISTER = text("INSERT INTO rag.sources (tenant, name, kind) VALUES (:tenant, :name, :kind) ON CONFLICT DO NOTHING")
_NEWEST = text("""
SELECT greatest((SELECT source_version FROM rag.documents WHERE doc_id = :doc_id),
                (SELECT max(source_version) FROM rag.inbox WHERE doc_id = :doc_id),
                (SELECT source_version FROM rag.erasures WHERE doc_id = :doc_id))
""")
_SPAN = text("""
SELECT (SELECT max(seq) FROM rag.inbox) - (SELECT min(seq) FROM rag.inbox WHERE applied_at IS NULL) + 1
""")
_OF_TENANT = text("""
SELECT count(*) FROM (SELECT FROM rag.inbox WHERE applied_at IS NULL AND tenant = :tenant LIMIT :limit) waiting
""")
_COUNT = text("SELECT count(*) FROM (SELECT FROM rag.inbox WHERE applied_at IS NULL LIMIT :limit) waiting")
_APPLIED = text("""
UPDATE rag.inbox i SET applied_at = now(), outcome = n.outcome, content = NULL
FROM unnest(CAST(:seqs AS bigint[]), CAST(:outcomes AS text[])) AS n (seq, outcome)
WHERE i.seq = n.seq AND i.applied_at IS NULL
""")
_KNOWN = text("SELECT count(*) FROM rag.inbox WHERE seq = ANY(:seqs)")
_FORGET_SOURCE = text("DELETE FROM rag.inbox WHERE tenant = :tenant AND source = :source")
_PENDING = text("""
SELECT count(*), extract(epoch FROM greatest(now() - min(received_at), '0')) FROM rag.inbox WHERE applied_at IS NULL
""")
_PENDING_BY_SOURCE = """
SELECT tenant, source, count(*) AS changes FROM rag.inbox WHERE applied_at IS NULL {of} GROUP BY tenant, source
"""
_PENDING_DELETIONS = text("""
SELECT tenant, doc_id FROM (
    SELECT tenant, doc_id, row_number() OVER (PARTITION BY tenant, source ORDER BY seq) AS place
    FROM rag.inbox WHERE applied_at IS NULL AND operation = 'delete'
) pushed WHERE place <= :most
""")
_LATEST = text("""
SELECT operation, source_version, source, locator FROM rag.inbox
WHERE doc_id = :doc_id AND applied_at IS NULL ORDER BY source_version DESC LIMIT 1
""")
_PURGE = text("DELETE FROM rag.inbox WHERE applied_at < now() - make_interval(hours => :hours)")
_PLACE = text("""
SELECT c.source, c.locator, c.operation FROM (
    SELECT source, locator, operation, source_version FROM rag.inbox
    WHERE doc_id = :doc_id AND tenant = :tenant AND applied_at IS NULL
    UNION ALL
    SELECT source, locator, CASE WHEN deleted_at IS NULL THEN 'put' ELSE 'delete' END, source_version
    FROM rag.documents WHERE doc_id = :doc_id AND tenant = :tenant
) c
JOIN rag.sources s ON s.tenant = :tenant AND s.name = c.source AND s.kind = :kind
ORDER BY c.source_version DESC LIMIT 1
""")


def listen(session: psycopg.Connection[Any]) -> None:
    """Let a session be notified of accepted changes."""
    session.execute(f"LISTEN {CHANNEL}")


def try_consume(session: psycopg.Connection[Any], *, large: bool) -> bool:
    """Take the right to consume the inbox, or its large changes, for as long as the session lasts; whether it is
    free."""
    row = session.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK + large,)).fetchone()
    return bool(row and row[0])


def release(session: psycopg.Connection[Any]) -> None:
    """Give the right to consume back."""
    session.execute("SELECT pg_advisory_unlock_all()")
