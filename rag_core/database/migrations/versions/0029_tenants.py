"""Tenants with a state and an egress policy, and what the files of sources allow their text."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the table, announce its changes as those of tokens, and add the columns."""
    op.create_table(
        "tenants",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column(
            "reason",
            sa.Text(),
            server_default="",
            nullable=False,
            comment="why it is in this state",
        ),
        sa.Column(
            "egress",
            postgresql.ARRAY(sa.Text()),
            comment="endpoints its text may go to; null: RAG_EGRESS_DEFAULT",
        ),
        sa.Column(
            "egress_sources",
            postgresql.JSONB(),
            server_default="{}",
            nullable=False,
            comment="the same of sources with less",
        ),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("erase_audit", sa.Text(), comment="asked with an erasure: keep or remove; null: none was asked for"),
        sa.Column(
            "erased_at",
            sa.DateTime(timezone=True),
            comment="of the last erasure",
        ),
        sa.Column("receipt", postgresql.JSONB(), comment="of that erasure: what was removed where, without content"),
        sa.CheckConstraint("state IN ('active', 'suspended', 'erasing', 'erased')", name=op.f("ck_tenants_state")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tenants")),
        schema=SCHEMA,
    )
    op.execute(
        "CREATE TRIGGER announce_revocation AFTER INSERT OR UPDATE ON rag.tenants FOR EACH STATEMENT"
        " EXECUTE FUNCTION rag.announce_revocation()"
    )
    allowed = "endpoints its file allows its text to go to; null: as its tenant"
    op.add_column("sources", sa.Column("egress", postgresql.ARRAY(sa.Text()), comment=allowed), schema=SCHEMA)
    refused = "its text may not go to the embedding model"
    op.add_column("sources", sa.Column("egress_refused_at", sa.DateTime(timezone=True), comment=refused), schema=SCHEMA)


def downgrade() -> None:
    """Undo `upgrade`."""
    for column in ("egress_refused_at", "egress"):
        op.drop_column("sources", column, schema=SCHEMA)
    op.drop_table("tenants", schema=SCHEMA)
