"""Blue/green deployments, their history, and the last observed state of each colour."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False, comment=comment)


def _now(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def upgrade() -> None:
    """Create the tables."""
    _create_deployments()
    op.create_table(
        "deployment_steps",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("deployment", sa.BigInteger(), nullable=False),
        _now("at"),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        _text("reason"),
        _text("detail"),
        sa.Column("weight", sa.SmallInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("figures", JSONB(), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment"],
            [f"{SCHEMA}.deployments.id"],
            name=op.f("fk_deployment_steps_deployment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_steps")),
        schema=SCHEMA,
    )
    op.create_index("ix_deployment_steps_deployment", "deployment_steps", ["deployment", "id"], schema=SCHEMA)
    op.create_table(
        "colours",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("release", sa.Text(), nullable=False, comment="empty: nothing runs there"),
        sa.Column("weight", sa.SmallInteger(), nullable=False),
        sa.Column("servers", sa.SmallInteger(), nullable=False),
        sa.Column("healthy", sa.SmallInteger(), nullable=False),
        _text("detail"),
        sa.Column("keep_until", sa.DateTime(timezone=True)),
        _now("seen_at"),
        sa.PrimaryKeyConstraint("target", "name", name=op.f("pk_colours")),
        schema=SCHEMA,
    )


def _create_deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("target", sa.Text(), nullable=False, comment="local or kubernetes"),
        sa.Column("release", sa.Text(), nullable=False),
        sa.Column(
            "spec", JSONB(), nullable=False, comment="what the target starts: interpreter and settings, or an image"
        ),
        sa.Column("colour", sa.Text(), nullable=False, comment="blue or green"),
        sa.Column("from_colour", sa.Text(), nullable=False, comment="the colour that served before"),
        sa.Column("state", sa.Text(), nullable=False, comment="see rag_core.operations.State"),
        sa.Column(
            "position",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="the step that is under way, from 0",
        ),
        sa.Column("steps", sa.ARRAY(sa.SmallInteger()), nullable=False, comment="weights it goes through, in per cent"),
        sa.Column(
            "weight",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="per cent of the requests it should get",
        ),
        _text("generation", "promoted with it; empty: none"),
        _text("generation_before", "active when that was promoted"),
        sa.Column("actor", sa.Text(), nullable=False),
        _text("why"),
        _text("wanted", "asked for and not done: switch or rollback"),
        _text("wanted_by"),
        _text("wanted_why"),
        _text("reason", "reason code of a refusal or rollback"),
        _text("detail"),
        _now("created_at"),
        _now("updated_at"),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column(
            "keep_until",
            sa.DateTime(timezone=True),
            comment="until when the other colour is kept for a rollback",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_deployments_target",
        "deployments",
        ["target"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_table("colours", schema=SCHEMA)
    op.drop_table("deployment_steps", schema=SCHEMA)
    op.drop_table("deployments", schema=SCHEMA)
