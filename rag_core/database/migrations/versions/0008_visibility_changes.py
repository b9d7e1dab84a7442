"""Committed changes of permissions, and deletions, that an index generation may not have applied yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = "rag"
# A trigger, so that no statement, of this program or an operator, can change who sees a document without a trace.
# It acts on rows whose ACL or deletion changed; for other rows it costs one comparison.
_NOTE = """
CREATE FUNCTION rag.note_visibility() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rag.visibility_changes AS v (doc_id, tenant, source, shard, version, acl, restricts)
    VALUES (NEW.doc_id, NEW.tenant, NEW.source, NEW.shard, NEW.version,
            CASE WHEN NEW.deleted_at IS NULL THEN NEW.acl END,
            NEW.deleted_at IS NOT NULL OR NOT coalesce(OLD.acl, '{}') <@ coalesce(NEW.acl, '{}'))
    ON CONFLICT (doc_id) DO UPDATE
    SET version = excluded.version, acl = excluded.acl, shard = excluded.shard, position = excluded.position,
        restricts = v.restricts OR excluded.restricts;
    RETURN NULL;
END $$
"""
_WATCH = """
CREATE TRIGGER note_visibility AFTER UPDATE ON rag.documents FOR EACH ROW
WHEN (OLD.acl IS DISTINCT FROM NEW.acl OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
EXECUTE FUNCTION rag.note_visibility()
"""


def upgrade() -> None:
    """Create the table and the trigger that fills it."""
    op.create_table(
        "visibility_changes",
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("acl", ARRAY(sa.Text()), nullable=True, comment="who may see it now; null: nobody"),
        sa.Column("restricts", sa.Boolean(), nullable=False, comment="someone lost access since the index was told"),
        sa.ForeignKeyConstraint(
            ["doc_id"], ["rag.documents.doc_id"], ondelete="CASCADE",
            name=op.f("fk_visibility_changes_doc_id_documents"),
        ),
        sa.PrimaryKeyConstraint("doc_id", name=op.f("pk_visibility_changes")),
        schema=SCHEMA,
    )  # fmt: skip
    op.create_index(
        "ix_visibility_changes_shard", "visibility_changes", ["tenant", "source", "shard", "position"], schema=SCHEMA
    )
    op.execute(_NOTE)
    op.execute(_WATCH)


def downgrade() -> None:
    """Undo `upgrade`."""
    op.execute("DROP TRIGGER note_visibility ON rag.documents")
    op.execute("DROP FUNCTION rag.note_visibility()")
    op.drop_table("visibility_changes", schema=SCHEMA)
