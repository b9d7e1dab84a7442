"""Bulk inserts by PostgreSQL's binary COPY."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Connection

from rag_core.database.driver_errors import translated

FEW_ROWS = 8
"""So many rows are written one by one: making a temporary table and dropping it takes as long as 10 statements."""


def copy_rows(
    connection: Connection, table: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]
) -> None:
    """Append rows to `table` (`name` or `schema.name`) in the current transaction.

    `columns` are (name, PostgreSQL type) in the order of each row's values. Much faster than INSERT from 100 rows on.
    """
    names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns)
    target = sql.Identifier(*table.split("."))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(target, names)
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with translated(), driver.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types([kind for _, kind in columns])
        for row in rows:
            copy.write_row(row)


def storable(value: str) -> str:
    """Escape the characters that PostgreSQL cannot store (NUL, lone surrogates), for messages and locators."""
    return value.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def is_storable(value: str) -> bool:
    """Return whether PostgreSQL can store the text as it is."""
    if "\x00" in value:
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
