"""Bringing a database to the schema of this program, and refusing one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, column, create_engine, func, inspect, select, table, text

from rag_core.errors import Conflict, Reason
from rag_core.settings import Settings
from rag_core.store import roles
from rag_core.store.failures import translated
from rag_core.store.tables import SCHEMA, schema_readers

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0016"
"""Newest revision this program knows; revisions are numbered so that two of them can be compared."""

VERSION_TABLE = "schema_version"
_VERSIONS = table(VERSION_TABLE, schema=SCHEMA)
_LOCK = 0x7261675F736368  # one migration at a time, in whatever process


def upgrade(target: Settings | str, *, services: str | None = None) -> None:
    """Create or upgrade the schema, and let the services use it. Idempotent; several processes may call it at once.

    With settings the owner's URL is used and the role of the services is that of `database_url`; else `services` names
    it when it is another than that of the URL.

    Raises `Conflict` (`DATABASE_VERSION`) when a newer program has written the database, `Unavailable` when it is down.
    """
    from alembic import command

    from rag_core.store.engine import driver_url

    url = target if isinstance(target, str) else target.effective_owner_url
    users = services if isinstance(target, str) else roles.role_of(target.effective_database_url)
    engine = create_engine(driver_url(url), hide_parameters=True, connect_args={"connect_timeout": 10})
    try:
        with translated(), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            found = revision(connection)
            if found is not None and found > HEAD:
                raise _newer(found)
            if found != HEAD:
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
                # A role named like the schema would have it as its default and Alembic would not qualify names.
                connection.execute(text("SET LOCAL search_path = public"))
                command.upgrade(alembic_config(connection), "head")
            if users is not None and users != roles.role_of(url):
                roles.grant(connection, users)
    finally:
        engine.dispose()


def require_current(engine: Engine, *, or_newer: bool = False) -> None:
    """Raise `Conflict` (`DATABASE_VERSION`) unless the schema is exactly the one this program was written for.

    `or_newer` accepts a newer one as well whose migrations say that this program can read it (`schema_readers`).
    """
    with engine.connect() as connection:
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


def _readable(connection: Connection) -> bool:
    oldest = connection.scalar(select(func.max(schema_readers.c.oldest)))
    return oldest is not None and oldest <= HEAD


def revision(connection: Connection) -> str | None:
    """The revision the database is at, `None` for an empty one."""
    if not inspect(connection).has_table(VERSION_TABLE, schema=SCHEMA):
        return None
    found: str | None = connection.scalar(select(column("version_num")).select_from(_VERSIONS))
    return found


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for an open connection; no file is read."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _newer(found: str) -> Conflict:
    return Conflict(
        Reason.DATABASE_VERSION,
        f"the database schema is at {found}, newer than this program ({HEAD}); use the newer program",
    )
