"""Settings and history of generations, and the query servers that are prepared for each."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "rag"
_COLUMNS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    (
        "settings",
        JSONB(),
        {"server_default": "{}", "nullable": False, "comment": "what reproduces embedder and chunker"},
    ),
    (
        "counts",
        JSONB(),
        {"server_default": "{}", "nullable": False, "comment": "documents and points when it was built"},
    ),
    ("evaluation", JSONB(), {"comment": "checks of the gate with their figures, parity included"}),
    ("actor", sa.Text(), {"server_default": "pipeline", "nullable": False, "comment": "who started it"}),
    ("reason", sa.Text(), {"server_default": "", "nullable": False, "comment": "why, in their words"}),
    ("ready_at", sa.DateTime(timezone=True), {}),
    (
        "evaluation_wanted_at",
        sa.DateTime(timezone=True),
        {"comment": "someone asked for the gate"},
    ),
    (
        "promoted_from",
        sa.Text(),
        {"comment": "the generation readers were on before: what a rollback returns to"},
    ),
    ("keep_until", sa.DateTime(timezone=True), {"comment": "end of the grace period after readers left it"}),
    ("retired_at", sa.DateTime(timezone=True), {}),
)


def upgrade() -> None:
    """Add the columns and the table."""
    for name, kind, options in _COLUMNS:
        op.add_column("generations", sa.Column(name, kind, **options), schema=SCHEMA)
    op.create_table(
        "query_replicas",
        sa.Column("replica", sa.Text(), nullable=False, comment="host, process and start of a query server"),
        sa.Column("embedders", sa.ARRAY(sa.Text()), nullable=False, comment="fingerprints it can embed queries with"),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("replica", name=op.f("pk_query_replicas")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_table("query_replicas", schema=SCHEMA)
    for name, _, _ in reversed(_COLUMNS):
        op.drop_column("generations", name, schema=SCHEMA)
