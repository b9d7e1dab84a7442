"""The revision that migrations start from. `rag_core.database.engine` creates an empty database at the newest one."""

from __future__ import annotations

revision = "0031"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do nothing: a database at this revision, or before it, was made by another program."""
