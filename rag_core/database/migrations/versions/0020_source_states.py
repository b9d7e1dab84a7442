"""What Dagster knows of each source and of its newest runs, as rows: a status is computed from rows alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables; the previous release neither reads nor writes them."""
    op.create_table(
        "source_states",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("configured", sa.Boolean, nullable=False, comment="whether a source file defines it"),
        sa.Column("has_runs", sa.Boolean, nullable=False, comment="false: the stream worker brings it up to date"),
        sa.Column("automatic", sa.Boolean, nullable=False, comment="whether it has a sensor or a schedule"),
        sa.Column("paused_at", sa.DateTime(timezone=True), comment="since when all of them are off"),
        sa.Column("freshness_minutes", sa.Integer, comment="age of its last complete listing at which it is stale"),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("tenant", "source", name="pk_source_states"),
        schema="rag",
    )
    op.create_table(
        "source_runs",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("shard", sa.SmallInteger, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, comment="reason code of a failure"),
        sa.Column("message", sa.Text),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("failing_since", sa.DateTime(timezone=True), comment="first failure since the last good run"),
        sa.CheckConstraint("state IN ('queued', 'running', 'succeeded', 'failed', 'canceled')", name="state"),
        sa.PrimaryKeyConstraint("tenant", "source", "shard", name="pk_source_runs"),
        schema="rag",
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("source_runs", schema="rag")
    op.drop_table("source_states", schema="rag")
