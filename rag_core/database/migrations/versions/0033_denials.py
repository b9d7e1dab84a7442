"""Entries of ACLs that refuse: the functions that read ACLs know them."""

from __future__ import annotations

from alembic import op

from rag_core.database.schema import create_functions

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create `rag.admits`, and replace the trigger that records lost permissions."""
    create_functions(op.get_bind())
