"""Curations: what editors decided for a question."""

from __future__ import annotations

from alembic import op

from rag_core.database.schema import create_functions
from rag_core.database.tables.curations import curations

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and its triggers."""
    curations.create(op.get_bind())
    create_functions(op.get_bind())
