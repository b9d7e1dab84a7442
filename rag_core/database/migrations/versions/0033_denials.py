"""Entries of ACLs that refuse."""

from __future__ import annotations

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do nothing: 0034 creates the functions, some of which need its tables."""
