"""Figures over time in three steps, and the questions that got no answer."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def _text(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def _at(name: str, comment: str | None = None) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, comment=comment)


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "history",
        sa.Column("step", sa.Integer(), nullable=False, comment="seconds that a row covers: 60, 600, 3600"),
        _at("at", "where that time begins"),
        _text("series"),
        _text("tenant", "empty: of the platform"),
        _text("label"),
        sa.Column("total", sa.Double(), nullable=False, comment="what was counted, or the sum of the samples"),
        sa.Column("samples", sa.BigInteger(), nullable=False, comment="of a gauge; 0: a counter"),
        sa.Column("highest", sa.Double(), nullable=False, comment="of the samples"),
        sa.PrimaryKeyConstraint("step", "at", "series", "tenant", "label", name=op.f("pk_history")),
        schema=SCHEMA,
    )
    op.create_table(
        "unanswered_questions",
        _text("tenant"),
        _text("question_hash", "keyed: equal for equal questions of a tenant"),
        _text("question", "its text; null unless RAG_UNANSWERED_QUESTIONS is plain", nullable=True),
        _text("outcome", "of the last time"),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        _at("first_at"),
        _at("last_at"),
        sa.PrimaryKeyConstraint("tenant", "question_hash", name=op.f("pk_unanswered_questions")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    for name in ("unanswered_questions", "history"):
        op.drop_table(name, schema=SCHEMA)
