"""Opening the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from rag_core.store import migrate
from rag_core.store.failures import translate

_POOL_WAIT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Store:
    """An open database. One per process; thread-safe. Driver errors leave it as `RagError` (see `store.failures`)."""

    engine: Engine

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()


def open_store(settings: Settings, *, check: bool = True, or_newer: bool = False) -> Store:
    """Open the database of `settings`.

    With `check` the schema is compared first: raises `Conflict` (`DATABASE_VERSION`) when it is older or newer than
    this program, `Unavailable` (`DATABASE_UNAVAILABLE`) when it cannot be reached. With `or_newer` a newer schema is
    accepted when its migrations say that this program can read it: for query servers, which run on during a rollout and
    must be able to start again in its midst.
    """
    store = Store(open_engine(settings))
    if check:
        try:
            migrate.require_current(store.engine, or_newer=or_newer)
        except BaseException:
            store.close()
            raise
    return store


def open_engine(settings: Settings) -> Engine:
    """An engine with the limits of `settings`, not yet connected. Raises `ConfigError` for a URL that is none."""
    statement_ms = int(settings.database_statement_timeout_seconds * 1000)
    engine = create_engine(
        driver_url(settings.effective_database_url),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=_POOL_WAIT_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": max(1, round(settings.database_connect_timeout_seconds)),
            "application_name": "rag",
            # Without keepalives a run waits hours for a database host that lost power.
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        },
    )

    @event.listens_for(engine, "connect")
    def _limit(connection: DBAPIConnection, _record: Any) -> None:
        # Set by statement: a pooler in between refuses unknown start-up options.
        cursor = connection.cursor()
        cursor.execute(f"SET statement_timeout = {statement_ms}; SET idle_in_transaction_session_timeout = '15min'")
        cursor.close()
        connection.commit()

    event.listen(engine, "handle_error", _raise_ours)
    return engine


def driver_url(url: str) -> str:
    """The URL with psycopg 3 named as its driver. Raises `ConfigError` (`CONFIG_INVALID`) without repeating the URL."""
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
    known = translate(context.sqlalchemy_exception or context.original_exception)
    if known is not None:
        raise known from context.original_exception
