"""Directories of people and groups, and entries of ACLs that refuse."""

from __future__ import annotations

from alembic import op

from rag_core.database.tables.directories import directories, directory_entries, directory_members

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    for table in (directories, directory_entries, directory_members):
        table.create(op.get_bind())
