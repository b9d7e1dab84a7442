"""Freshness of sources: how much their newer documents are preferred."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. It is filled when the file of a source names a freshness."""
    op.add_column(
        "sources",
        sa.Column("freshness", JSONB, comment="half_life_days and weight its file names; null: age does not count"),
        schema="rag",
    )
