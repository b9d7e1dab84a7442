"""Rows of sessions: tokens that are used at the console, of any issuer, until they expire or are ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from rag_core.database import page_of
from rag_core.database.tables.operations import console_sessions, token_revocations
from rag_core.errors import NotFound, Reason
from rag_core.governance.access import store
from rag_core.governance.access.tokens import SESSION_MARK, VerifiedToken

MAX_PER_SUBJECT = 100
"""Sessions of a subject that are kept; a client that gets a token for each call must not fill the table."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open session. `id` is the hash of its token, which opens nothing."""

    id: str
    tenant: str
    subject: str
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    first_used_at: datetime
    last_used_at: datetime


def record_sessions(connection: Connection, used: Sequence[VerifiedToken]) -> None:
    """Record that these tokens are being used, and forget what has expired."""
    columns = console_sessions.c
    connection.execute(delete(console_sessions).where(columns.expires_at < func.now()))
    if not used:
        return
    # Ordered, and the newest use wins: two query servers record the same sessions.
    rows = [_row(token) for token in sorted(used, key=lambda token: token.session)]
    added = upsert(console_sessions).values(rows)
    newest = func.greatest(columns.last_used_at, added.excluded.last_used_at)
    connection.execute(added.on_conflict_do_update(index_elements=["session"], set_={"last_used_at": newest}))
    subjects = sorted({(token.principal.tenant, token.principal.subject) for token in used})
    for tenant, subject in subjects:
        connection.execute(_DELETE_SURPLUS, {"tenant": tenant, "subject": subject, "most": MAX_PER_SUBJECT})


_DELETE_SURPLUS = text("""
DELETE FROM rag.console_sessions WHERE session IN (
    SELECT session FROM rag.console_sessions WHERE tenant = :tenant AND subject = :subject
    ORDER BY last_used_at DESC OFFSET :most)
""")


def list_sessions(
    connection: Connection, *, tenant: str | None = None, limit: int | None = None, after: Sequence[Any] | None = None
) -> list[Session]:
    """Open sessions, the one used last first: neither expired nor ended."""
    columns, ended = console_sessions.c, token_revocations.c
    revoked = select(ended.subject).where(
        ended.tenant == columns.tenant,
        ended.subject.in_([columns.session, columns.subject]),
        ended.before > columns.issued_at,
    )
    statement = select(console_sessions).where(columns.expires_at > func.now(), ~revoked.exists())
    order = (columns.last_used_at, columns.session)
    statement = page_of(statement, order, after=after, limit=limit, newest_first=True)
    if tenant is not None:
        statement = statement.where(columns.tenant == tenant)
    return [_session(row) for row in connection.execute(statement)]


def find_session(connection: Connection, beginning: str) -> Session:
    """The one open session whose id begins so. Raises `NotFound` (`SESSION_NOT_FOUND`) for none and for several."""
    found = [session for session in list_sessions(connection) if beginning and session.id.startswith(beginning)]
    if len(found) != 1:
        how_many = "several sessions begin so; give more of the id" if found else "none with this id is open"
        raise NotFound(Reason.SESSION_NOT_FOUND, f"session: {how_many}")
    return found[0]


def get_session(connection: Connection, session_id: str) -> Session:
    """The session with this id, locked until the transaction ends. Raises `NotFound` (`SESSION_NOT_FOUND`)."""
    statement = (
        select(console_sessions).where(console_sessions.c.session == SESSION_MARK + session_id).with_for_update()
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(Reason.SESSION_NOT_FOUND, "session: none with this id is open")
    return _session(row)


def end_open_session(connection: Connection, session_id: str, *, actor: str, lifetime: int, why: str = "") -> Session:
    """End somebody's session. `lifetime` is the longest lifetime of a token, in seconds.

    Raises `NotFound` (`SESSION_NOT_FOUND`).
    """
    found = get_session(connection, session_id)
    connection.execute(delete(console_sessions).where(console_sessions.c.session == SESSION_MARK + session_id))
    who = {"tenant": found.tenant, "subject": found.subject, "session": SESSION_MARK + session_id}
    store.end_session(connection, **who, lifetime=lifetime, actor=actor, why=why)
    return found


def _row(token: VerifiedToken) -> dict[str, Any]:
    return {
        "session": token.session,
        "tenant": token.principal.tenant,
        "subject": token.principal.subject,
        "scopes": sorted(token.principal.scopes),
        "issued_at": datetime.fromtimestamp(token.issued, UTC),
        "expires_at": datetime.fromtimestamp(token.expires, UTC),
        "last_used_at": func.now(),
    }


def _session(row: Any) -> Session:
    return Session(
        id=row.session.removeprefix(SESSION_MARK),
        tenant=row.tenant,
        subject=row.subject,
        scopes=tuple(row.scopes),
        issued_at=row.issued_at,
        expires_at=row.expires_at,
        first_used_at=row.first_used_at,
        last_used_at=row.last_used_at,
    )
