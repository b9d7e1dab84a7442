"""Alembic's entry point: runs the migrations in the transaction that `rag_core.database.engine` opened."""

from __future__ import annotations

from alembic import context

from rag_core.database.engine import VERSION_TABLE
from rag_core.database.tables.base import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_schemas=True,
    version_table=VERSION_TABLE,
    version_table_schema=SCHEMA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
