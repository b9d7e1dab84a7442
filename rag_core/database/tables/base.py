"""The schema of every table, and a column for the time of writing."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, DateTime, MetaData, Table, Text, func

SCHEMA = "rag"
metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def now_column(name: str) -> Column[datetime]:
    """A timestamp column that defaults to the time of writing."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


schema_readers = Table(
    "schema_readers",
    metadata,
    Column(
        "oldest",
        Text,
        primary_key=True,
        comment="revision whose query servers can read this schema; a migration that contracts adds a higher one",
    ),
)
