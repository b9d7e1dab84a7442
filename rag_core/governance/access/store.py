"""Rows of access: API keys, revoked tokens and sessions, and revocations that the index has not applied yet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_core.database import page_of
from rag_core.database.tables.operations import api_keys, token_revocations
from rag_core.errors import Conflict, InvalidInput, NotFound, Reason
from rag_core.governance.access.api_keys import ApiKey, new_api_key
from rag_core.governance.access.tokens import SESSION_MARK, require_identity_names
from rag_core.governance.audit import audit_store as audit

if TYPE_CHECKING:
    from psycopg import AsyncConnection

# --------------------------------------------------------------------------------------------------------------------
# API keys and revoked tokens.


USED_EVERY = timedelta(minutes=1)
MAX_KEY_DAYS = 730
_SHOWN = [column for column in api_keys.c if column is not api_keys.c.secret_hash]


@dataclass(frozen=True, slots=True)
class NewKey:
    """The properties of a key to create. `days` is its lifetime, `directory` the one it pushes to.

    Raises `InvalidInput`: `FIELD_INVALID` for names that will not do, `CONFIG_RANGE` for the days.
    """

    name: str
    tenant: str
    scopes: Sequence[str]
    groups: Sequence[str] = ()
    days: int = 90
    directory: str | None = None

    def __post_init__(self) -> None:
        require_identity_names(self.tenant, name=(self.name,), groups=self.groups)
        if not 1 <= self.days <= MAX_KEY_DAYS:
            raise InvalidInput(Reason.CONFIG_RANGE, f"days: 1 to {MAX_KEY_DAYS}")


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A stored key, as needed for verification."""

    digest: bytes
    tenant: str
    groups: tuple[str, ...]
    scopes: frozenset[str]
    expires: datetime
    revoked: bool


@dataclass(frozen=True, slots=True)
class TokenRevocation:
    """Tokens of a subject that were issued `before` a moment are refused; after `forget_at` none could be valid."""

    tenant: str
    subject: str
    before: datetime
    forget_at: datetime
    revoked_by: str


def create_key(connection: Connection, wanted: NewKey, *, actor: str, why: str = "") -> ApiKey:
    """Create an audited key. Its text exists only in the returned value."""
    key = new_api_key()
    expires = datetime.now(UTC) + timedelta(days=wanted.days)
    connection.execute(
        insert(api_keys).values(
            key_id=key.key_id,
            secret_hash=key.digest,
            name=wanted.name,
            tenant=wanted.tenant,
            groups=list(wanted.groups),
            scopes=sorted(set(wanted.scopes)),
            created_by=actor,
            expires_at=expires,
            directory=wanted.directory,
        )
    )
    details = {"name": wanted.name, "scopes": sorted(set(wanted.scopes)), "expires": expires.isoformat()} | _why(why)
    audit.record(connection, actor=actor, action="key.create", target=key.key_id, details=details, tenant=wanted.tenant)
    return key


def list_keys(
    connection: Connection, *, tenant: str | None = None, limit: int | None = None, after: Sequence[Any] | None = None
) -> list[dict[str, Any]]:
    """All keys without their hashes, newest first."""
    order = (api_keys.c.created_at, api_keys.c.key_id)
    statement = page_of(select(*_SHOWN), order, after=after, limit=limit, newest_first=True)
    if tenant is not None:
        statement = statement.where(api_keys.c.tenant == tenant)
    return [dict(row._mapping) for row in connection.execute(statement)]


def revoke_key(connection: Connection, key_id: str, *, actor: str, why: str = "") -> None:
    """Revoke a key now. Raises `NotFound` (`API_KEY_NOT_FOUND`), `Conflict` when it is already revoked."""
    row = connection.execute(select(api_keys).where(api_keys.c.key_id == key_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(Reason.API_KEY_NOT_FOUND, f"key: no key {key_id!r}")
    if row.revoked_at is not None:
        raise Conflict(Reason.API_KEY_INVALID, f"key: revoked already, {row.revoked_at:%Y-%m-%d %H:%M}")
    connection.execute(update(api_keys).where(api_keys.c.key_id == key_id).values(revoked_at=func.now()))
    audit.record(connection, actor=actor, action="key.revoke", target=key_id, details=_why(why), tenant=row.tenant)


def get_key(connection: Connection, key_id: str) -> StoredKey:
    """The key with this id. Raises `NotFound` (`API_KEY_NOT_FOUND`)."""
    found = find_key(connection, key_id)
    if found is None:
        raise NotFound(Reason.API_KEY_NOT_FOUND, f"key: no key {key_id!r}")
    return found


def find_key(connection: Connection, key_id: str) -> StoredKey | None:
    """The key with this id, or `None`."""
    row = connection.execute(select(api_keys).where(api_keys.c.key_id == key_id)).one_or_none()
    return None if row is None else _stored(row)


def record_use(connection: Connection, key_id: str) -> None:
    """Record that a key was used, at most once a minute."""
    old = func.coalesce(api_keys.c.last_used_at, datetime.min.replace(tzinfo=UTC)) < func.now() - USED_EVERY
    connection.execute(update(api_keys).where(api_keys.c.key_id == key_id, old).values(last_used_at=func.now()))


def revoke_tokens(
    connection: Connection, *, tenant: str, subject: str, lifetime: int, actor: str, why: str = ""
) -> datetime:
    """Revoke every token of a subject issued until now. `lifetime` is the longest lifetime of a token, in seconds."""
    now = datetime.now(UTC)
    _revoke(connection, tenant, subject, before=now, forget_at=now + timedelta(seconds=lifetime), actor=actor)
    audit.record(connection, actor=actor, action="token.revoke", target=subject, details=_why(why), tenant=tenant)
    return now


def end_session(
    connection: Connection,
    *,
    tenant: str,
    subject: str,
    session: str,
    lifetime: int,
    actor: str,
    why: str = "",
) -> None:
    """Revoke one token (`rag_core.governance.access.session_of`), independent of its issuer's clock. `lifetime` as
    above."""
    end = datetime.now(UTC) + timedelta(seconds=lifetime)
    _revoke(connection, tenant, session, before=end, forget_at=end, actor=actor)
    audit.record(connection, actor=actor, action="session.end", target=subject, details=_why(why), tenant=tenant)


def list_token_revocations(
    connection: Connection, *, tenant: str | None = None, limit: int | None = None, after: Sequence[Any] | None = None
) -> list[TokenRevocation]:
    """Subjects whose older tokens are refused, newest first. Sessions that were ended one by one are not listed."""
    columns = token_revocations.c
    live = select(token_revocations).where(columns.forget_at > func.now(), ~columns.subject.startswith(SESSION_MARK))
    order = (columns.before, columns.tenant, columns.subject)
    statement = page_of(live, order, after=after, limit=limit, newest_first=True)
    if tenant is not None:
        statement = statement.where(columns.tenant == tenant)
    return [
        TokenRevocation(row.tenant, row.subject, row.before, row.forget_at, row.revoked_by or "")
        for row in connection.execute(statement)
    ]


def _why(text: str) -> dict[str, Any]:
    return {"reason": text} if text else {}


def _revoke(
    connection: Connection, tenant: str, name: str, *, before: datetime, forget_at: datetime, actor: str
) -> None:
    values = {"before": before, "forget_at": forget_at, "revoked_by": actor}
    statement = upsert(token_revocations).values(tenant=tenant, subject=name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["tenant", "subject"], set_=values))
    connection.execute(delete(token_revocations).where(token_revocations.c.forget_at < func.now()))


def revocations(connection: Connection) -> dict[tuple[str, str], float]:
    """(tenant, subject) or session to the Unix time in seconds before which their tokens are refused."""
    columns = token_revocations.c
    rows = connection.execute(select(columns.tenant, columns.subject, columns.before))
    return {(tenant, subject): before.timestamp() for tenant, subject, before in rows}


def _stored(row: Row[Any]) -> StoredKey:
    return StoredKey(
        digest=bytes(row.secret_hash),
        tenant=row.tenant,
        groups=tuple(row.groups),
        scopes=frozenset(row.scopes),
        expires=row.expires_at,
        revoked=row.revoked_at is not None,
    )


# --------------------------------------------------------------------------------------------------------------------
# Pending revocations: committed permissions and deletions that the index has not applied yet.


CHANNEL = "rag_revocations"
"""Announces revoked tokens and pending revocations at their commit; triggers send to it."""


@dataclass(frozen=True, slots=True)
class PendingRevocation:
    """A document that from now on only `acl` may see. Without `doc_id`: a whole source that nobody may see."""

    tenant: str
    source: str
    doc_id: uuid.UUID | None
    acl: frozenset[str]


_PENDING_REVOCATIONS = text("""
WITH sized AS (
    SELECT tenant, source, doc_id, acl, count(*) OVER (PARTITION BY tenant, source) AS documents
    FROM rag.visibility_changes WHERE restricts
)
SELECT tenant, source, doc_id, coalesce(acl, '{}') FROM sized WHERE documents <= :most
UNION ALL
SELECT DISTINCT tenant, source, CAST(NULL AS uuid), CAST('{}' AS text[]) FROM sized WHERE documents > :most
""")


def pending_revocations(connection: Connection, *, most: int) -> list[PendingRevocation]:
    """Pending revocations. A source with more than `most` affected documents is returned as a whole."""
    rows = connection.execute(_PENDING_REVOCATIONS, {"most": most})
    return [PendingRevocation(tenant, source, doc_id, frozenset(acl)) for tenant, source, doc_id, acl in rows]


def announce(connection: Connection) -> None:
    """Announce as a revocation does when it is committed."""
    connection.execute(text(f"NOTIFY {CHANNEL}"))


async def listen(session: AsyncConnection[Any]) -> None:
    """Let a session be notified of revocations."""
    await session.execute(f"LISTEN {CHANNEL}")


_PENDING_UPDATES = text("""
SELECT position, doc_id FROM rag.visibility_changes
WHERE tenant = :tenant AND source = :source AND shard = :shard AND position > :after ORDER BY position LIMIT :page
""")


def pending_update_pages(
    connection: Connection, tenant: str, source: str, shard: int, *, after: int, page: int
) -> Iterator[tuple[int, list[uuid.UUID]]]:
    """Pages of documents of a shard with a pending change: the page's last position, and the ids."""
    params = {"tenant": tenant, "source": source, "shard": shard, "page": page}
    while True:
        rows = connection.execute(_PENDING_UPDATES, params | {"after": after}).all()
        if not rows:
            return
        after = rows[-1].position
        yield after, [row.doc_id for row in rows]


# A building generation without the document will get its newest version; in others a missing mark means pending.
_DELETE_APPLIED = text("""
DELETE FROM rag.visibility_changes v WHERE v.doc_id = ANY(:ids) AND NOT EXISTS (
    SELECT FROM rag.generations g
    LEFT JOIN rag.generation_documents m ON m.generation = g.name AND m.doc_id = v.doc_id
    WHERE g.state IN ('building', 'ready', 'active') AND (m.doc_id IS NOT NULL OR g.state <> 'building')
      AND coalesce(m.indexed_version, 0) < v.version)
""")


def delete_applied_changes(connection: Connection, doc_ids: Sequence[uuid.UUID]) -> None:
    """Delete the changes of these documents that every generation has applied."""
    connection.execute(_DELETE_APPLIED, {"ids": list(doc_ids)})
