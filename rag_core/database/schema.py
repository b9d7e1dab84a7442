"""Create the schema of an empty database: the declared tables, and the functions and triggers in the files beside them.

A database that has a schema is upgraded by migrations instead; a test compares the results of the two ways.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, text

from rag_core.database import tables
from rag_core.database.tables.base import SCHEMA, metadata, schema_readers
from rag_core.database.tables.operations import installation

OLDEST = "0031"
"""The oldest revision that migrations upgrade; earlier schemas belong to programs that were never released."""


def create(connection: Connection) -> None:
    """Create everything in the open transaction. The connection is the owner's."""
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    metadata.create_all(connection)
    create_functions(connection)
    connection.execute(insert(installation))
    connection.execute(insert(schema_readers).values(oldest=OLDEST))


def create_functions(connection: Connection) -> None:
    """Create or replace every function and trigger, in a new database and after migrations: no migration calls this."""
    folder = Path(tables.__file__).parent
    driver = connection.connection.driver_connection
    for path in sorted(folder.glob("*.sql")):
        driver.execute(path.read_text("utf-8"))  # type: ignore[union-attr]  # several statements, with `%` and `:`
