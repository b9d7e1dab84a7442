"""Former texts of a document whose vectors are still stored, so that an erasure finds them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012a"
down_revision = "0012"
branch_labels = None
depends_on = None

SCHEMA = "rag"
_REMEMBER = """
CREATE FUNCTION rag.former_texts_remember() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO rag.former_texts (doc_id, text_hash) SELECT DISTINCT doc_id, text_hash FROM gone ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Add the table, and the trigger that fills it when chunks are deleted."""
    op.create_table(
        "former_texts",
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(), nullable=False, comment="of a chunk that it has no more"),
        sa.PrimaryKeyConstraint("doc_id", "text_hash", name=op.f("pk_former_texts")),
        schema=SCHEMA,
    )
    op.create_index("ix_former_texts_text_hash", "former_texts", ["text_hash"], schema=SCHEMA)
    op.execute(_REMEMBER)
    op.execute(
        "CREATE TRIGGER former_texts AFTER DELETE ON rag.chunks REFERENCING OLD TABLE AS gone"
        " FOR EACH STATEMENT EXECUTE FUNCTION rag.former_texts_remember()"
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    op.execute("DROP TRIGGER former_texts ON rag.chunks")
    op.execute("DROP FUNCTION rag.former_texts_remember")
    op.drop_table("former_texts", schema=SCHEMA)
