"""Quality of each source after each run, and open alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "quality_runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False, comment="0..100"),
        sa.Column(
            "profile",
            JSONB(),
            nullable=False,
            comment="what the shard looked like; see rag_core.quality.sources.Profile",
        ),
        sa.Column(
            "findings", JSONB(), nullable=False, comment="values by source rule that fired, as warnings and errors"
        ),
        sa.Column("failed", sa.Integer(), nullable=False, comment="inputs this run sent to quarantine"),
        sa.Column("tried", sa.Integer(), nullable=False, comment="inputs this run read"),
        sa.Column("exceeded", sa.Boolean(), nullable=False, comment="more failed than the source allows"),
        sa.Column("good", sa.Boolean(), nullable=False, comment="later runs are compared with the newest good one"),
        sa.Column("finished_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "tenant", "source", "shard", name=op.f("pk_quality_runs")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_quality_runs_source", "quality_runs", ["tenant", "source", "shard", "finished_at"], schema=SCHEMA
    )
    op.create_table(
        "alerts",
        sa.Column("key", sa.Text(), nullable=False, comment="kind and what it is about; one row per condition"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("details", JSONB(), server_default="{}", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), comment="the condition is over"),
        sa.Column(
            "delivered",
            JSONB(),
            server_default="{}",
            nullable=False,
            comment="per notifier: state and time last sent",
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_table("alerts", schema=SCHEMA)
    op.drop_index("ix_quality_runs_source", table_name="quality_runs", schema=SCHEMA)
    op.drop_table("quality_runs", schema=SCHEMA)
