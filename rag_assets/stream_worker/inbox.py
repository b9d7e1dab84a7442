"""The push inbox as a stream. One worker consumes it at a time; another takes over within a second when that one ends.

Batches are fair: every tenant that has something is served in turn, and each of its sources, and a batch is small
enough that the next can begin within about half a second.

The lock and the wake-ups share one connection: when it is lost, so is the right to consume.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg
from sqlalchemy import Connection

from rag_assets.stream_worker.base import Lag, Position, StreamMessage
from rag_core.content.documents import original_store as originals
from rag_core.content.parsing import has_pages
from rag_core.content.sources import Source
from rag_core.content.sources import store as sources
from rag_core.content.streams import DeadLetter, Lane, PendingChange, Share
from rag_core.content.streams import inbox_lanes_store as inbox_lanes
from rag_core.content.streams import inbox_store as inbox
from rag_core.database import Store
from rag_core.errors import RagError, Reason, Unavailable
from rag_core.ingestion.pipeline import Event
from rag_core.settings import Settings

_BATCH_SECONDS: Final = 0.5
_AWAY_SECONDS: Final = 0.5
_SLOW_SECONDS: Final = 60.0


class InboxSource:
    """Implements `StreamSource`. Opens its own connection when first polled.

    Two of them share the inbox of a worker: one takes the changes that are soon done, the other the `large` ones, one
    at a time. `None` takes all.
    """

    def __init__(self, store: Store, settings: Settings, *, large: bool | None = None) -> None:
        self.name = "inbox-large" if large else "inbox"
        self.large = large
        self._store = store
        self._settings = settings
        self._session: psycopg.Connection[Any] | None = None
        self._acl: dict[Lane, tuple[str, ...] | None] = {}
        self._held: frozenset[Lane] = frozenset()
        self._away: dict[Lane, float] = {}
        """Sources that another process works on, and until when they are skipped."""
        self._slow: dict[Lane, float] = {}
        """Sources that had a slow document, and until when all they bring is left to the reader of large ones."""
        self._pace = BatchPace(settings.stream_large_bytes, settings.stream_batch_bytes)
        self._last = ""
        """The last of the tenants served by the last batch."""
        self._turn = 0
        self._empty = False
        """The last poll waited in vain: what arrived since was announced, and the next wait ends at once."""
        self.consuming = False
        """True while this worker holds the lock of its part of the inbox."""

    def poll(self, wait: float) -> list[StreamMessage]:
        self._pace.finish()
        try:
            session = self._session or self._open()
            if not self.consuming:
                self.consuming = inbox.try_consume(session, large=bool(self.large))
            if not self.consuming:
                # Another worker has it. Its end is not announced, so this one asks again after a while.
                self._wait(session, min(wait, 1.0))
                return []
            rows = [] if self._empty else self._waiting()
            if not rows:
                self._wait(session, min(wait, _AWAY_SECONDS) if self._away else wait)
                rows = self._waiting()
            self._empty = not rows
            linger = self._settings.stream_linger_ms / 1000
            if rows and linger and not self.large and len(rows) < self._settings.stream_batch_events:
                self._wait(session, linger)
                rows = self._waiting()
        except psycopg.Error:
            self._drop()
            raise Unavailable(Reason.DATABASE_UNAVAILABLE, "the inbox lost its connection; trying again") from None
        self._pace.start(sum(len(row.content or b"") for row in rows))
        return [self._message(row) for row in rows]

    def publish_dead_letters(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Nothing to do: the inbox's dead letters are rows in the database."""

    def record(self, connection: Connection, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        ended = {message.position.offset: outcomes.get(message.position.token, "applied") for message in messages}
        if self._settings.keep_pushed_originals:
            applied = [message for message in messages if ended[message.position.offset] in ("applied", "deleted")]
            paged = [one.position.offset for one in applied if one.payload and has_pages(one.payload)]
            originals.keep_pushed(connection, [one.position.offset for one in applied], paged)
        inbox.mark_applied(connection, ended)

    def done(self, messages: Sequence[StreamMessage], outcomes: Mapping[str, str]) -> None:
        """Nothing to notify: `Get` reads the rows."""

    def lag(self) -> Lag:
        if self.large:
            return Lag()  # the other one counts what waits, so that nothing counts twice
        with self._store.engine.connect() as connection:
            return Lag(*inbox.pending(connection))

    def problem(self) -> RagError | None:
        """Always `None`: an unavailable database affects the whole worker, and `poll` raises it."""
        return None

    def hold(self, tenant: str, source: str) -> bool:
        self._held |= {(tenant, source)}
        return True

    def halted_sources(self) -> frozenset[Lane]:
        return self._held

    def postpone(self, tenant: str, source: str) -> bool:
        self._away[tenant, source] = time.monotonic() + _AWAY_SECONDS
        return True

    def defer(self, messages: Sequence[StreamMessage]) -> None:
        lane = (messages[0].source.tenant, messages[0].source.name)
        self._slow[lane] = time.monotonic() + _SLOW_SECONDS
        with self._store.engine.begin() as connection:
            inbox_lanes.mark_slow(connection, [message.position.offset for message in messages])

    def at_end(self) -> bool:
        return not self.consuming or not (self._away or self._waiting())

    def close(self) -> None:
        if self._session is not None and self.consuming:
            # The server ends a closed session a moment later; the next worker must not meet the lock until then.
            with suppress(psycopg.Error):
                inbox.release(self._session)
        self._drop()

    def _open(self) -> psycopg.Connection[Any]:
        arguments = self._store.session("rag-stream", self._settings.database_connect_timeout_seconds)
        session: psycopg.Connection[Any] = psycopg.connect(**arguments)
        inbox.listen(session)
        self._empty = False
        self._session = session
        return session

    def _wait(self, session: psycopg.Connection[Any], seconds: float) -> None:
        """Until a change is announced or the time is over; announcements that came before count."""
        if list(session.notifies(timeout=0)):
            return
        announced = select.poll()  # `notifies` wakes ten times a second while it waits
        announced.register(session.fileno(), select.POLLIN)
        announced.poll(seconds * 1000)
        for _ in session.notifies(timeout=0):
            pass

    def _waiting(self) -> list[PendingChange]:
        settings, now = self._settings, time.monotonic()
        self._away = {lane: until for lane, until in self._away.items() if until > now}
        self._slow = {lane: until for lane, until in self._slow.items() if until > now}
        limit = 1 if self.large else settings.stream_batch_events
        share = Share(self.large, settings.stream_large_bytes, limit, self._pace.bytes)
        with self._store.engine.begin() as connection:
            for lane in self._slow:
                inbox_lanes.mark_lane_slow(connection, lane)
            lanes = [one for one in inbox_lanes.lanes(connection) if one not in self._held and one not in self._away]
            wanted = round_robin(lanes, self._last, self._turn, settings.stream_batch_events)
            seqs = inbox_lanes.choose(connection, wanted, share)
            rows = inbox_lanes.load(connection, seqs)
            if rows:
                tenants = {row.seq: row.tenant for row in rows}
                self._turn += 1
                self._last = list(dict.fromkeys(tenants[seq] for seq in seqs if seq in tenants))[-1]
            for tenant, source in {(row.tenant, row.source) for row in rows} - self._acl.keys():
                found = sources.find(connection, tenant, source)
                self._acl[tenant, source] = sources.acl_of(found) if found is not None else None
        return rows

    def _message(self, row: PendingChange) -> StreamMessage:
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
        size = len(row.content or b"")
        return StreamMessage(
            source, position, row.locator, row.content, event, None, attributes, size, traceparent=row.traceparent
        )

    def _drop(self) -> None:
        session, self._session, self.consuming = self._session, None, False
        if session is not None:
            session.close()


class BatchPace:
    """Size of a batch in bytes so that the next one can begin soon, by the time that the last ones took."""

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = min(least, most), most
        self.bytes = self._least
        self._size, self._began = 0, 0.0

    def start(self, size: int) -> None:
        self._size, self._began = size, time.monotonic()

    def finish(self) -> None:
        """The batch that was started is done. A full one that was quick lets the next be up to twice as large."""
        seconds, size, self._size = time.monotonic() - self._began, self._size, 0
        if size and seconds > 0:
            fits = int(size / seconds * _BATCH_SECONDS)
            if fits < self.bytes or size > self.bytes // 2:
                self.bytes = max(self._least, min(fits, 2 * self.bytes, self._most))


def round_robin(lanes: Sequence[Lane], after: str, turn: int, most: int) -> list[Lane]:
    """Lanes by tenant, beginning with the tenant after this one; `turn` rotates the sources of each. At most so many
    tenants, and sources of each."""
    sources: dict[str, list[Lane]] = {}
    for lane in sorted(lanes, key=lambda lane: (lane[0] <= after, lane)):
        sources.setdefault(lane[0], []).append(lane)
    chosen = list(sources.values())[:most]
    return [lane for own in chosen for lane in (own[turn % len(own) :] + own[: turn % len(own)])[:most]]


def attributes_of(event: Event) -> dict[str, Any]:
    """The fields of an event that a dead letter stores in addition to its content."""
    return {
        "source_version": event.source_version,
        "event_at": event.event_at.isoformat(),
        "media_type": event.media_type,
        "title": event.title,
        "acl": None if event.acl is None else list(event.acl),
        "metadata": dict(event.metadata),
    }
