"""What a connector stores per item between runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "source_items",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("state", JSONB(), nullable=False, comment="what the connector remembers; its own format"),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "locator", name=op.f("pk_source_items")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Drop the table; the next run of each connector reads its items again."""
    op.drop_table("source_items", schema=SCHEMA)
