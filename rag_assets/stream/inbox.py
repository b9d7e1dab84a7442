"""The push inbox as a stream. One worker consumes it at a time; another takes over within a second when that one ends.

The lock and the wake-ups share one connection: when it is lost, so is the right to consume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection, make_url, text

from rag_assets.stream.base import Lag, Message, Position
from rag_core.errors import RagError, Reason, Unavailable
from rag_core.pipeline import Event
from rag_core.settings import Settings
from rag_core.sources import Source
from rag_core.store import inbox
from rag_core.store.engine import Store
from rag_core.store.inbox import Waiting
from rag_core.store.streams import DeadLetter

LOCK = 0x7261675F696E626F  # "rag_inbo"


class InboxSource:
    """Implements `StreamSource`. Opens its own connection when first polled."""

    name = "inbox"
    stops_on_poison = False

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._session: psycopg.Connection[Any] | None = None
        self._acl: dict[tuple[str, str], tuple[str, ...] | None] = {}
        self.consuming = False
        """Whether this worker holds the inbox."""

    def poll(self, wait: float) -> list[Message]:
        try:
            session = self._session or self._open()
            if not self.consuming:
                self.consuming = self._try_lock(session)
            if not self.consuming:
                # Another worker has it. Its end is not announced, so this one asks again after a while.
                self._wait(session, min(wait, 1.0))
                return []
            rows = self._waiting()
            if not rows:
                self._wait(session, wait)
                rows = self._waiting()
            if rows and len(rows) < self._settings.stream_batch_events and self._settings.stream_linger_ms:
                self._wait(session, self._settings.stream_linger_ms / 1000)
                rows = self._waiting()
        except psycopg.Error:
            self._drop()
            raise Unavailable(Reason.DATABASE_UNAVAILABLE, "the inbox lost its connection; trying again") from None
        return [self._message(row) for row in rows]

    def publish_dead(self, letters: Sequence[DeadLetter]) -> None:
        """The inbox has no place for them beyond the database."""

    def record(self, connection: Connection, messages: Sequence[Message], outcomes: Mapping[str, str]) -> None:
        inbox.mark_applied(
            connection,
            {message.position.offset: outcomes.get(message.position.token, "applied") for message in messages},
        )

    def done(self, messages: Sequence[Message], outcomes: Mapping[str, str]) -> None:
        """Nobody else is told: `Get` reads the rows."""

    def lag(self) -> Lag:
        with self._store.engine.connect() as connection:
            return Lag(*inbox.pending(connection))

    def problem(self) -> RagError | None:
        """A database that is away is the worker's problem, not one of this stream: `poll` raises it."""
        return None

    def at_end(self) -> bool:
        return not self.consuming or not self._waiting()

    def close(self) -> None:
        self._drop()

    def _open(self) -> psycopg.Connection[Any]:
        url = make_url(self._settings.effective_database_url).set(drivername="postgresql")
        session = psycopg.connect(
            url.render_as_string(hide_password=False),
            autocommit=True,
            connect_timeout=max(1, round(self._settings.database_connect_timeout_seconds)),
            application_name="rag-stream",
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        session.execute(f"LISTEN {inbox.CHANNEL}")
        self._session = session
        return session

    def _try_lock(self, session: psycopg.Connection[Any]) -> bool:
        row = session.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
        return bool(row and row[0])

    def _wait(self, session: psycopg.Connection[Any], seconds: float) -> None:
        """Until a change is announced or the time is over; announcements that came before count."""
        for _ in session.notifies(timeout=seconds, stop_after=1):
            pass

    def _waiting(self) -> list[Waiting]:
        settings = self._settings
        with self._store.engine.connect() as connection:
            rows = inbox.waiting(connection, limit=settings.stream_batch_events, max_bytes=settings.stream_batch_bytes)
            unknown = {(row.tenant, row.source) for row in rows} - self._acl.keys()
            for tenant, source in unknown:
                found = connection.scalar(_ACL, {"tenant": tenant, "name": source})
                self._acl[tenant, source] = None if found is None else tuple(found)
        return rows

    def _message(self, row: Waiting) -> Message:
        source = Source(row.source, row.tenant, inbox.KIND, self._acl[row.tenant, row.source])
        position = Position("", 0, row.seq)
        event = Event(
            row.locator,
            row.source_version,
            position.token,
            row.event_at,
            row.content,
            row.media_type,
            row.title,
            row.acl,
            row.metadata,
        )
        attributes = attributes_of(event)
        return Message(source, position, row.locator, row.content, event, None, attributes, len(row.content or b""))

    def _drop(self) -> None:
        session, self._session, self.consuming = self._session, None, False
        if session is not None:
            session.close()


def attributes_of(event: Event) -> dict[str, Any]:
    """What a dead letter keeps of an event beside its content."""
    return {
        "source_version": event.source_version,
        "event_at": event.event_at.isoformat(),
        "media_type": event.media_type,
        "title": event.title,
        "acl": None if event.acl is None else list(event.acl),
        "metadata": dict(event.metadata),
    }


_ACL = text("SELECT acl FROM rag.sources WHERE tenant = :tenant AND name = :name")
