"""Changes that query servers must hide from somebody are announced when they are committed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_ANNOUNCE = """
CREATE FUNCTION rag.announce_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY rag_revocations;
    RETURN NULL;
END $$
"""
# Triggers, so that no statement, of this program or an operator, hides a document or ends a token later than it could.
_TRIGGERS = {
    "inbox": "AFTER INSERT ON rag.inbox FOR EACH ROW WHEN (NEW.operation = 'delete')",
    "visibility_changes": "AFTER INSERT OR UPDATE ON rag.visibility_changes FOR EACH ROW WHEN (NEW.restricts)",
    "token_revocations": "AFTER INSERT OR UPDATE ON rag.token_revocations FOR EACH STATEMENT",
}


def upgrade() -> None:
    """Create the triggers, and an index of the pushed deletions that are pending."""
    op.execute(_ANNOUNCE)
    for event in _TRIGGERS.values():
        op.execute(f"CREATE TRIGGER announce_revocation {event} EXECUTE FUNCTION rag.announce_revocation()")
    op.create_index(
        "ix_inbox_deletions",
        "inbox",
        ["tenant", "source", "seq"],
        schema="rag",
        postgresql_where=sa.text("applied_at IS NULL AND operation = 'delete'"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_inbox_deletions", table_name="inbox", schema="rag")
    for table in _TRIGGERS:
        op.execute(f"DROP TRIGGER announce_revocation ON rag.{table}")
    op.execute("DROP FUNCTION rag.announce_revocation()")
