"""Advisory locks over everything, a source or a shard; always taken in that order.

Every stage holds shared locks on `all` and on its source, and an exclusive lock on its shard. It holds them on the
connection that it writes with: a lost connection loses the work too, so no run ever writes without its lock. A pooler
in transaction mode breaks this; connect to the database directly or through a pooler in session mode.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from rag_core.database.engine import Store
from rag_core.errors import Conflict, RagError, Reason

_ALL = "all"
_POLL_SECONDS = 0.5


@contextmanager
def shard_connection(store: Store, tenant: str, source: str, shard: int, *, wait: float) -> Iterator[Connection]:
    """A connection that holds the lock of one shard, without an open transaction.

    Raises `Conflict` (`SOURCE_BUSY`) when another run holds it for longer than `wait` seconds.
    """
    shared = [_key(_ALL), _key("source", tenant, source)]
    with _session(store, shared, [_key("shard", tenant, source, shard)], wait) as connection:
        yield connection


@contextmanager
def source_connection(store: Store, tenant: str, source: str, *, wait: float) -> Iterator[Connection]:
    """As `shard_connection`, with an exclusive lock on the whole source."""
    with _session(store, [_key(_ALL)], [_key("source", tenant, source)], wait) as connection:
        yield connection


@contextmanager
def exclusive_connection(store: Store, *, wait: float) -> Iterator[Connection]:
    """As `shard_connection`, with an exclusive lock on everything: no stage runs meanwhile."""
    with _session(store, [], [_key(_ALL)], wait) as connection:
        yield connection


@contextmanager
def observer_connection(store: Store) -> Iterator[Connection]:
    """A connection without locks, for a reader's temporary tables, which are dropped with it."""
    with _session(store, [], [], 0) as connection:
        yield connection


@contextmanager
def deployer_connection(store: Store, target: str, *, wait: float) -> Iterator[Connection]:
    """A connection with the exclusive right to advance deployments of this target.

    Raises `Conflict` (`DEPLOYMENT_BUSY`) when another process holds it for longer than `wait` seconds.
    """
    try:
        with _session(store, [], [_key("deployer", target)], wait) as connection:
            yield connection
    except Conflict as error:
        if error.reason is not Reason.SOURCE_BUSY:
            raise
        message = "another process works on a deployment; `rag deploy status` shows how far it is"
        raise Conflict(Reason.DEPLOYMENT_BUSY, message) from None


def lock_transaction(connection: Connection, name: str) -> None:
    """Wait for the named lock and hold it until the current transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key("name", name)})


@contextmanager
def listing_turn(connection: Connection, tenant: str, source: str, *, wait: float) -> Iterator[bool]:
    """Wait for the lock to list a source; returns false when another connection still has it after `wait` seconds.

    It polls, because a statement that waits for hours holds back vacuum and exceeds its time limit. On an error the
    lock is released with the connection's other locks.
    """
    key = _key("turn", tenant, source)
    until = time.monotonic() + wait
    while not (mine := _try(connection, "pg_try_advisory_lock", key)) and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    yield mine
    if mine:
        _try(connection, "pg_advisory_unlock", key)


def use_listing(connection: Connection, listing: int) -> bool:
    """Keep a shared listing from being dropped until the connection is released; false when it is being dropped."""
    statement = text("SELECT pg_try_advisory_lock_shared(:key)")
    return bool(connection.scalar(statement, {"key": _key("listing", listing)}))


@contextmanager
def unused_listing(connection: Connection, listing: int) -> Iterator[bool]:
    """Yield whether no other connection uses a shared listing; none can start to use it inside the context."""
    key = _key("listing", listing)
    mine = _try(connection, "pg_try_advisory_lock", key)
    yield mine
    if mine:
        _try(connection, "pg_advisory_unlock", key)


def hold_session_lock(connection: Connection, name: str, number: int) -> int:
    """Take a lock until the connection is released or lost, as a sign of life; returns its key for `HELD`."""
    key = _key(name, number)
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
    return key


def try_hold(connection: Connection, *name: object) -> bool:
    """Take a lock until `let_go`, or until the session ends; returns whether no other session holds it."""
    return _try(connection, "pg_try_advisory_lock", _key(*name))


def let_go(connection: Connection, *name: object) -> None:
    """Release a lock of `try_hold`."""
    _try(connection, "pg_advisory_unlock", _key(*name))


def held_of(connection: Connection, names: Iterable[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """The names of `try_hold` that a session holds now."""
    held = set(connection.scalars(text(_HELD_KEYS)))
    return {name for name in names if _key(*name) in held}


_HELD_KEYS = """
SELECT (l.classid::bigint << 32) | l.objid::bigint FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
HELD = """EXISTS (
    SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32) | l.objid::bigint = lock_key)"""
"""SQL: whether a session holds the lock whose key is in the column `lock_key`."""


@contextmanager
def _session(store: Store, shared: list[int], alone: list[int], wait: float) -> Iterator[Connection]:
    with store.engine.connect() as connection:
        try:
            _acquire(connection, shared, alone, wait)
            yield connection
        finally:
            _release(connection)


def _try(connection: Connection, function: str, key: int) -> bool:
    done = bool(connection.scalar(text(f"SELECT {function}(:key)"), {"key": key}))
    connection.commit()
    return done


def _acquire(connection: Connection, shared: list[int], alone: list[int], wait: float) -> None:
    # A lock_timeout of 0 would wait forever.
    connection.execute(text("SELECT set_config('lock_timeout', :ms, false)"), {"ms": str(max(1, round(wait * 1000)))})
    connection.commit()
    for key in shared:
        connection.execute(text("SELECT pg_advisory_lock_shared(:key)"), {"key": key})
    for key in alone:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
    connection.execute(text("RESET lock_timeout"))
    connection.commit()


def _release(connection: Connection) -> None:
    try:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock_all()"))
        connection.execute(text("RESET lock_timeout"))
        connection.execute(text("DISCARD TEMPORARY"))
        connection.commit()
    except (DBAPIError, RagError):
        # The server releases locks when a session ends; the pool must not hand out this connection again.
        connection.invalidate()


def _key(*parts: object) -> int:
    joined = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(
        hashlib.blake2b(joined.encode(), digest_size=8, person=b"rag-lock").digest(), "big", signed=True
    )
