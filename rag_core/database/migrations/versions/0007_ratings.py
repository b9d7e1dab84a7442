"""Ratings of answers, and the tenant of older audit entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "rag"
# Older quarantine actions have no tenant; it is the tenant of the source they target.
_NAME_TENANTS = """
UPDATE rag.audit a SET details = a.details || jsonb_build_object('tenant', s.tenant)
FROM rag.sources s WHERE s.name = a.target AND NOT a.details ? 'tenant'
AND (SELECT count(*) FROM rag.sources o WHERE o.name = a.target) = 1
"""


def upgrade() -> None:
    """Create the table and fill in the tenant of older records."""
    op.create_table(
        "ratings",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("good", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("generation", sa.Text(), server_default="", nullable=False),
        sa.Column("citations", JSONB(), server_default="[]", nullable=False, comment="spans that were cited"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ratings")),
        schema=SCHEMA,
    )
    op.create_index("ix_ratings_tenant", "ratings", ["tenant", "id"], schema=SCHEMA)
    op.execute(_NAME_TENANTS)


def downgrade() -> None:
    """Undo `upgrade`; the records keep their tenant."""
    op.drop_table("ratings", schema=SCHEMA)
