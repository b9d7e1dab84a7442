"""Runs in rounds: turns at embedding, what is still to be read, and mistakes in source files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the tables. That of turns is unlogged: its rows mean nothing once the server's sessions have ended."""
    op.create_table(
        "embedding_turns",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("lock_key", sa.BigInteger(), comment="advisory lock that the run's session holds"),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="idle, waiting or working"),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False, comment="bytes of the source that are still to do"),
        sa.Column("rate", sa.Double(), comment="bytes a second while it works; null: not known yet"),
        sa.Column("used", sa.Double(), nullable=False, comment="seconds of its tenant, divided by the tenant's weight"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_embedding_turns")),
        schema=SCHEMA,
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "reading_progress",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("unread", sa.BigInteger(), nullable=False, comment="listed items without a stored document"),
        sa.Column("outdated", sa.BigInteger(), nullable=False, comment="listed items whose stored document is older"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="of both, about"),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "shard", name=op.f("pk_reading_progress")),
        schema=SCHEMA,
    )
    op.create_table(
        "source_problems",
        sa.Column("place", sa.Text(), nullable=False, comment="name of the file"),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False, comment="empty: the file does not say"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("place", "message", name=op.f("pk_source_problems")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Drop them."""
    for table in ("source_problems", "reading_progress", "embedding_turns"):
        op.drop_table(table, schema=SCHEMA)
