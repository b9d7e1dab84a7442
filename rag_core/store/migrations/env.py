"""Alembic's entry: runs on the connection `rag_core.store.migrate` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from rag_core.store.migrate import VERSION_TABLE
from rag_core.store.tables import SCHEMA, metadata

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
