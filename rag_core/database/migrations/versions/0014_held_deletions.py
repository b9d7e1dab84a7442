"""Held deletions, one row per document, that wait for an operator's approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012a"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the table. Deletions held now are found again by the next run and need approval again."""
    op.create_table(
        "held_deletions",
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column(
            "held_at", sa.DateTime(timezone=True), nullable=False, comment="an approval covers what was held before it"
        ),
        sa.ForeignKeyConstraint(
            ["doc_id"], ["rag.documents.doc_id"], ondelete="CASCADE", name=op.f("fk_held_deletions_doc_id_documents")
        ),
        sa.PrimaryKeyConstraint("doc_id", name=op.f("pk_held_deletions")),
        schema=SCHEMA,
    )
    op.create_index("ix_held_deletions_source", "held_deletions", ["tenant", "source"], schema=SCHEMA)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("held_deletions", schema=SCHEMA)
