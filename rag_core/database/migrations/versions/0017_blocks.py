"""What parsers know of structure, for documents and chunks. Null until a document is read or chunked again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_COLUMNS = {
    "documents": ("structure", "the blocks with all that is known of them, see rag_core.parsing.to_rows"),
    "chunks": ("blocks", "structure of the span; null: chunked before it was known"),
}


def upgrade() -> None:
    """Add the columns; the previous release neither reads nor writes them."""
    for table, (name, comment) in _COLUMNS.items():
        op.add_column(table, sa.Column(name, JSONB, comment=comment), schema="rag")


def downgrade() -> None:
    """Drop them."""
    for table, (name, _) in _COLUMNS.items():
        op.drop_column(table, name, schema="rag")
