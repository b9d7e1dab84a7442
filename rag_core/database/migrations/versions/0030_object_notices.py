"""Objects that event notifications of buckets named and that the stream worker has yet to read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "object_notices",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "revision",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="grows with each event; a worker forgets only what it saw",
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False, comment="that failed"),
        sa.Column(
            "not_before",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="until then a worker has it in hand, or waits after a failure",
        ),
        sa.PrimaryKeyConstraint("tenant", "source", "bucket", "object_key", name=op.f("pk_object_notices")),
        schema=SCHEMA,
    )
    op.create_index("ix_object_notices_received_at", "object_notices", ["received_at"], schema=SCHEMA)
