"""API keys, revoked tokens, and the columns outcome and tenant of the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the tables and columns."""
    op.add_column(
        "audit", sa.Column("tenant", sa.Text(), comment="whose data it concerned; null: the platform's"), schema=SCHEMA
    )
    op.add_column(
        "audit",
        sa.Column(
            "outcome", sa.Text(), nullable=False, server_default="ok", comment="ok, or the reason code of the refusal"
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_audit_at", "audit", ["at"], schema=SCHEMA)
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False, comment="the public part of the key"),
        sa.Column(
            "secret_hash",
            sa.LargeBinary(),
            nullable=False,
            comment="sha256 of the secret part, which has 256 random bits",
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="what it is for, in words of its owner"),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("groups", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True), comment="to the minute"),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
        schema=SCHEMA,
    )
    op.create_table(
        "token_revocations",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column(
            "before", sa.DateTime(timezone=True), nullable=False, comment="tokens issued before this are refused"
        ),
        sa.Column(
            "forget_at", sa.DateTime(timezone=True), nullable=False, comment="no such token can be valid any more"
        ),
        sa.PrimaryKeyConstraint("tenant", "subject", name=op.f("pk_token_revocations")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_table("token_revocations", schema=SCHEMA)
    op.drop_table("api_keys", schema=SCHEMA)
    op.drop_index("ix_audit_at", table_name="audit", schema=SCHEMA)
    op.drop_column("audit", "outcome", schema=SCHEMA)
    op.drop_column("audit", "tenant", schema=SCHEMA)
