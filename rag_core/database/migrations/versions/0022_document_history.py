"""When a document was stored first and when a generation got it, and an index to page through documents by time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_MOMENTS = {
    "documents": ("created_at", "when it was stored first; null: before this was recorded"),
    "generation_documents": ("indexed_at", "when the engine flushed this version; null: before this was recorded"),
}


def upgrade() -> None:
    """Add the columns, which the previous release leaves to their default, and the index.

    The default is set after the column is added: rows that are there already keep null, and no table is rewritten.
    """
    for table, (name, comment) in _MOMENTS.items():
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), comment=comment), schema="rag")
        op.alter_column(table, name, server_default=sa.text("now()"), schema="rag")
    op.create_index("ix_documents_updated_at", "documents", ["tenant", "updated_at", "doc_id"], schema="rag")


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_documents_updated_at", table_name="documents", schema="rag")
    for table, (name, _) in _MOMENTS.items():
        op.drop_column(table, name, schema="rag")
