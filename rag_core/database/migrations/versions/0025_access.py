"""Accounts of the console in the database, the sessions that are open, and who revoked tokens."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def _text(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable, comment=comment)


def _texts(name: str) -> sa.Column[list[str]]:
    return sa.Column(name, postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)


def _at(name: str, comment: str | None = None, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, comment=comment)


def _now(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def upgrade() -> None:
    """Create both tables and the column."""
    op.create_table(
        "console_accounts",
        _text("name"),
        _text("tenant"),
        _text("role", "viewer, operator or admin"),
        _texts("groups"),
        sa.Column("platform", sa.Boolean(), nullable=False, comment="also acts on what tenants share"),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("password_hash", sa.LargeBinary(), nullable=False, comment="scrypt"),
        _text("created_by"),
        _now("created_at"),
        _at("last_sign_in_at", nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False, comment="since the last sign-in"),
        _at("last_failure_at", nullable=True),
        _at("unlocked_at", "failures before this no longer count", nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_console_accounts")),
        schema=SCHEMA,
    )
    op.create_table(
        "console_sessions",
        _text("session", "hash of the token without its signature; see rag_core.access.session_of"),
        _text("tenant"),
        _text("subject"),
        _texts("scopes"),
        _at("issued_at"),
        _at("expires_at"),
        _now("first_used_at"),
        _at("last_used_at", "to the minute"),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_console_sessions")),
        schema=SCHEMA,
    )
    op.create_index("ix_console_sessions_tenant", "console_sessions", ["tenant", "last_used_at"], schema=SCHEMA)
    op.add_column("token_revocations", _text("revoked_by", nullable=True), schema=SCHEMA)


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_column("token_revocations", "revoked_by", schema=SCHEMA)
    for name in ("console_sessions", "console_accounts"):
        op.drop_table(name, schema=SCHEMA)
