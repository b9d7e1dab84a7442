"""The id of the installation, which marks its collections on a shared Qdrant server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014a"
down_revision = "0014"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the table with its single row."""
    op.create_table(
        "installation",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("single", sa.Boolean(), server_default="true", nullable=False, comment="so that there is one row"),
        sa.CheckConstraint("single", name=op.f("ck_installation_single")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_installation")),
        schema=SCHEMA,
    )
    op.execute("INSERT INTO rag.installation DEFAULT VALUES")


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("installation", schema=SCHEMA)
