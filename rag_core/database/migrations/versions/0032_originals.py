"""Originals of pushed documents whose pages can be shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. Originals that were pushed before are gone: their documents show text alone."""
    op.create_table(
        "originals",
        sa.Column("doc_id", sa.Uuid, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="rag",
    )
