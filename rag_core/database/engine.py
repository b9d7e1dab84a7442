"""Open the database: engine and connection limits, migrations, and the check of the schema's revision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import Connection, Engine, column, create_engine, event, func, inspect, make_url, select, table, text
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError

from rag_core.database import roles
from rag_core.database.checkout import replace_closed
from rag_core.database.dead_peers import client_limits, notice_dead_peers
from rag_core.database.driver_errors import translate, translated
from rag_core.database.tables.base import SCHEMA, schema_readers
from rag_core.errors import ConfigError, Conflict, Reason
from rag_core.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config


_PRIMARY: Final = {"target_session_attrs": "read-write"}
"""Only a primary is used: of several servers, and behind a name that still leads to the former one."""


# --------------------------------------------------------------------------------------------------------------------
# Migrations, and the check that the schema fits this program.


HEAD = "0041"
"""Newest revision this program knows; revisions are numbered so that two of them can be compared."""

_SESSIONS_COMPARED = 3
"""Under load a pooler may serve two connections by two sessions by chance."""
VERSION_TABLE = "schema_version"
_VERSIONS = table(VERSION_TABLE, schema=SCHEMA)
_LOCK = 0x7261675F736368  # one migration at a time, across all processes


def upgrade(target: Settings | str, *, services: str | None = None) -> None:
    """Create or upgrade the schema, and grant it to the services. Idempotent; processes may call it concurrently.

    With settings it connects with the owner's URL, and the services' role is the role of `database_url`. With a URL,
    `services` names the services' role when it differs from the role in the URL.

    Raises `Conflict` (`DATABASE_VERSION`) when a newer program has written the database, or one before the first
    release that migrations know, and `Unavailable` when it is down.
    """
    from alembic import command

    from rag_core.database import schema  # here: every table is declared when it is loaded

    url = target if isinstance(target, str) else target.effective_owner_url
    users = services if isinstance(target, str) else roles.role_of(target.effective_database_url)
    engine = create_engine(driver_url(url), hide_parameters=True, connect_args={**_PRIMARY, "connect_timeout": 10})
    try:
        with translated(), engine.connect() as connection:
            _require_sessions(connection)
        with translated(), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            found = revision(connection)
            if found is not None and found > HEAD:
                raise _newer(found)
            if found is not None and found < schema.OLDEST:
                raise _unreleased(found)
            # A role named like the schema would have it as its default, and Alembic would not qualify names.
            connection.execute(text("SET LOCAL search_path = public"))
            if found is None:
                schema.create(connection)
                command.stamp(alembic_config(connection), HEAD)
            elif found != HEAD:
                command.upgrade(alembic_config(connection), HEAD)
                schema.create_functions(connection)  # their present text names tables of the newest revision
            if users is not None and users != roles.role_of(url):
                roles.grant(connection, users)
    finally:
        engine.dispose()


def require_current(engine: Engine, *, or_newer: bool = False) -> None:
    """Raise `Conflict` (`DATABASE_VERSION`) unless the schema has exactly the revision that this program expects.

    `or_newer` also accepts a newer schema that this program can read according to its table `schema_readers`.
    """
    with engine.connect() as connection:
        _require_sessions(connection)
        found = revision(connection)
        if or_newer and found is not None and found > HEAD and _readable(connection):
            return
    if found is None or found < HEAD:
        raise Conflict(
            Reason.DATABASE_VERSION,
            f"the database schema is at {found or 'nothing'}, this program needs {HEAD}; "
            "run `rag up` or the migration job",
        )
    if found > HEAD:
        raise _newer(found)


def _require_sessions(connection: Connection) -> None:
    """Raise `ConfigError` (`CONFIG_INVALID`) when a pooler gives every transaction another session.

    Such a pooler (pgbouncer in transaction mode) says another process id than the server does, and serves two
    connections that are outside of a transaction by one session. Locks and notifications would be lost without a word.
    """
    if _session(connection) == connection.connection.driver_connection.info.backend_pid:  # type: ignore[union-attr]
        return
    for _ in range(_SESSIONS_COMPARED):
        first = _session(connection)
        with connection.engine.connect() as other:
            if _session(other) == first or _session(connection) != first:
                raise ConfigError(
                    Reason.CONFIG_INVALID,
                    "RAG_DATABASE_URL: a pooler in transaction mode stands before the database, and locks and "
                    "notifications need a session: set pool_mode = session there, or name the database itself",
                )


def _session(connection: Connection) -> int | None:
    found = connection.scalar(select(func.pg_backend_pid()))
    connection.rollback()  # after the transaction a pooler may give the session to another
    return found


def _readable(connection: Connection) -> bool:
    oldest = connection.scalar(select(func.max(schema_readers.c.oldest)))
    return oldest is not None and oldest <= HEAD


def revision(connection: Connection) -> str | None:
    """The revision of the database's schema; `None` for an empty database."""
    if not inspect(connection).has_table(VERSION_TABLE, schema=SCHEMA):
        return None
    found: str | None = connection.scalar(select(column("version_num")).select_from(_VERSIONS))
    return found


def alembic_config(connection: Connection) -> Config:
    """The Alembic configuration for an open connection; reads no file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _unreleased(found: str) -> Conflict:
    return Conflict(
        Reason.DATABASE_VERSION,
        f"the database schema is at {found}, of a version before 0.2 that cannot be upgraded: keep the folder of "
        "sources, move RAG_HOME (or the database) away and run `rag up`, which reads every source again",
    )


def _newer(found: str) -> Conflict:
    return Conflict(
        Reason.DATABASE_VERSION,
        f"the database schema is at {found}, newer than this program ({HEAD}); use the newer program",
    )


# --------------------------------------------------------------------------------------------------------------------
# The open database.


_POOL_WAIT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Store:
    """An open database. One per process; thread-safe. Raises driver errors as `RagError` (`database.driver_errors`)."""

    engine: Engine

    def session(self, name: str, connect_seconds: float) -> dict[str, Any]:
        """Arguments of `psycopg.connect` for a session of its own beside the pool, which waits for notifications."""
        # By the dialect, as the pool does it: libpq reads no URL with several hosts of SQLAlchemy's.
        _, place = self.engine.dialect.create_connect_args(self.engine.url)
        return {
            **place,
            **_PRIMARY,
            "autocommit": True,
            "connect_timeout": max(1, round(connect_seconds)),
            "application_name": name,
            **client_limits(idle=10, interval=5),
        }

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Yield a connection whose statements all read one snapshot, until `commit` begins another.

        For rows of several statements that are compared with each other: writers go on meanwhile.
        """
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="REPEATABLE READ")

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


def open_store(settings: Settings, *, check: bool = True, or_newer: bool = False) -> Store:
    """Open the database of `settings`.

    With `check` it compares the schema first: raises `Conflict` (`DATABASE_VERSION`) when the schema is older or newer
    than this program, `Unavailable` (`DATABASE_UNAVAILABLE`) when the database cannot be reached. `or_newer` accepts a
    newer schema that this program can read: query servers of the previous release keep running, and may restart, during
    a rollout.
    """
    store = Store(open_engine(settings))
    if check:
        try:
            require_current(store.engine, or_newer=or_newer)
        except BaseException:
            store.close()
            raise
    return store


def open_engine(settings: Settings) -> Engine:
    """An engine with the limits of `settings`, not yet connected. Raises `ConfigError` for an invalid URL."""
    statement_ms = int(settings.database_statement_timeout_seconds * 1000)
    engine = create_engine(
        driver_url(settings.effective_database_url),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        hide_parameters=True,
        connect_args={
            **_PRIMARY,
            "connect_timeout": max(1, round(settings.database_connect_timeout_seconds)),
            "application_name": "rag",
        },
    )

    @event.listens_for(engine, "connect")
    def _limit(connection: DBAPIConnection, _record: Any) -> None:
        # Set by statements: a connection pooler refuses unknown start-up options.
        cursor = connection.cursor()
        cursor.execute(f"SET statement_timeout = {statement_ms}; SET idle_in_transaction_session_timeout = '15min'")
        cursor.close()
        connection.commit()

    event.listen(engine, "handle_error", _raise_ours)
    notice_dead_peers(engine)
    replace_closed(engine)
    return engine


def limit_transaction(connection: Connection, seconds: float, name: str) -> None:
    """Let no statement of this transaction run longer, and show PostgreSQL the session under this name."""
    limits = "SELECT set_config('statement_timeout', :ms, true), set_config('application_name', :name, true)"
    # 0 would mean no limit.
    connection.execute(text(limits), {"ms": str(max(1, int(seconds * 1000))), "name": name})


def driver_url(url: str) -> str:
    """The URL with psycopg 3 as its driver. Raises `ConfigError` (`CONFIG_INVALID`), which does not quote the URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(
            Reason.CONFIG_INVALID, "RAG_DATABASE_URL: not a URL (postgresql://user@host:port/name)"
        ) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigError(Reason.CONFIG_INVALID, "RAG_DATABASE_URL: must start with postgresql://")
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def _raise_ours(context: ExceptionContext) -> None:
    if isinstance(context.original_exception, ReadOnlySqlTransaction):
        context.is_disconnect = True  # the server is no primary any more: the pool connects again
    known = translate(context.sqlalchemy_exception or context.original_exception)
    if known is not None:
        raise known from context.original_exception
