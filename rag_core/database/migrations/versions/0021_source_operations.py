"""Requests to test, preview, create, change and delete sources, and their results."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def _text(name: str, default: str | None = None, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False, comment=comment)


def _at(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True))


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "source_operations",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        _text("tenant", comment="the caller's"),
        _text("actor"),
        sa.Column("unrestricted", sa.Boolean(), nullable=False, comment="allow-lists do not apply: platform scope"),
        _text("action", comment="see rag_core.sources.operation_store.Action"),
        _text("source"),
        sa.Column("request", JSONB(), server_default="{}", nullable=False),
        _text("state", "queued", "queued, running, succeeded or failed"),
        sa.Column("result", JSONB()),
        _text("reason", "", "reason code of a failure"),
        _text("message", ""),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        _at("started_at"),
        _at("finished_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_operations")),
        schema=SCHEMA,
    )
    op.create_index(
        "ix_source_operations_open",
        "source_operations",
        ["state", "id"],
        schema=SCHEMA,
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_table("source_operations", schema=SCHEMA)
