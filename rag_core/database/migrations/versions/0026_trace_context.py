"""The trace of a pushed change, kept with it so that its way to the index is part of the request's trace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "inbox", sa.Column("traceparent", sa.Text(), nullable=True, comment="W3C context of a sampled request"),
        schema="rag",
    )  # fmt: skip


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_column("inbox", "traceparent", schema="rag")
