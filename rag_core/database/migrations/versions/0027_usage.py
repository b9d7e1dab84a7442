"""Usage by day, and budgets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def _text(name: str, comment: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, comment=comment)


def _count(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, comment=comment)


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "usage",
        sa.Column("day", sa.Date(), nullable=False, comment="in UTC"),
        _text("tenant"),
        _text("key_id", "of an API key; empty: calls with a token"),
        _text("writer", "the process that counted it; empty: all, when the day is over"),
        _count("calls"),
        _count("refused", "by a budget"),
        _count("prompt_tokens"),
        _count("completion_tokens"),
        sa.PrimaryKeyConstraint("day", "tenant", "key_id", "writer", name=op.f("pk_usage")),
        schema=SCHEMA,
    )
    op.create_table(
        "budgets",
        _text("tenant"),
        _text("key_id", "of an API key; empty: of the whole tenant"),
        _count("calls_per_day", nullable=True),
        _count("model_tokens_per_day", nullable=True),
        _count("documents", nullable=True),
        _text("set_by"),
        sa.Column("set_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("calls_per_day >= 0", name=op.f("ck_budgets_calls")),
        sa.CheckConstraint("model_tokens_per_day >= 0", name=op.f("ck_budgets_model_tokens")),
        sa.CheckConstraint("documents >= 0", name=op.f("ck_budgets_documents")),
        sa.CheckConstraint("key_id = '' OR documents IS NULL", name=op.f("ck_budgets_documents_of_tenant")),
        sa.PrimaryKeyConstraint("tenant", "key_id", name=op.f("pk_budgets")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    for name in ("budgets", "usage"):
        op.drop_table(name, schema=SCHEMA)
