"""Curations: what editors decided for a question."""

from __future__ import annotations

from alembic import op

from rag_core.database.tables.curations import curations

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    curations.create(op.get_bind())
