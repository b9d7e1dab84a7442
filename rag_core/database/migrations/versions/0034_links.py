"""Targets of the links in documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Documents get their links when they are parsed again, which the new parser version causes."""
    op.add_column("documents", sa.Column("links", JSONB), schema="rag")
