"""Runs that read a source while they are still listing it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rag_core.database.tables.content import reading_progress

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Runs that are under way lose no more than a word of their state until they write it."""
    comment = reading_progress.c["listing"].comment
    column = sa.Column("listing", sa.Boolean, nullable=False, server_default="false", comment=comment)
    op.add_column("reading_progress", column, schema="rag", if_not_exists=True)
