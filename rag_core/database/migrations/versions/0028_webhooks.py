"""Webhooks: subscriptions of tenants, the events they are sent, and the log of deliveries."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def _text(name: str, comment: str | None = None, *, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False, server_default=default, comment=comment)


def _at(name: str, comment: str | None = None) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True, comment=comment)


def _now(name: str, comment: str | None = None) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False, comment=comment)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "webhooks",
        _text("id"),
        _text("tenant"),
        _text("url"),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False, comment="types, `document.*` or `*`"),
        _text("description", default=""),
        sa.Column("secret_number", sa.Integer(), server_default="1", nullable=False, comment="of the signing secret"),
        _at("previous_secret_until", "until when messages are also signed with the secret before"),
        sa.Column("enabled", sa.Boolean(), server_default="true", nullable=False),
        _text("disabled_reason", default=""),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False, comment="in a row"),
        _at("not_before", "nothing is sent before, because the receiver failed"),
        _text("created_by"),
        _now("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        schema=SCHEMA,
    )
    op.create_index("ix_webhooks_tenant", "webhooks", ["tenant"], schema=SCHEMA)
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        _text("tenant", "empty: of the platform"),
        _text("type"),
        sa.Column("doc_id", sa.Uuid(), nullable=True, comment="the document it names, for its erasure"),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        _now("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_events")),
        schema=SCHEMA,
    )
    op.create_index("ix_webhook_events_created_at", "webhook_events", ["created_at"], schema=SCHEMA)
    op.create_index(
        "ix_webhook_events_doc_id",
        "webhook_events",
        ["doc_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("doc_id IS NOT NULL"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        _text("webhook_id"),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        _text("state", "pending, delivered or failed", default="pending"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _now("queued_at", "or queued again by an operator"),
        _at("next_attempt_at", "while it is pending"),
        _at("last_attempt_at"),
        sa.Column("status", sa.Integer(), nullable=True, comment="HTTP status of the last answer"),
        _text("reason", "reason code of the last failure", default=""),
        sa.Column("milliseconds", sa.Integer(), nullable=True, comment="of the last attempt"),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["rag.webhooks.id"], ondelete="CASCADE", name=op.f("fk_webhook_deliveries_webhook_id")
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["rag.webhook_events.id"], ondelete="CASCADE", name=op.f("fk_webhook_deliveries_event_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        schema=SCHEMA,
    )
    op.create_index("ix_webhook_deliveries_webhook_id", "webhook_deliveries", ["webhook_id", "id"], schema=SCHEMA)
    op.create_index("ix_webhook_deliveries_event_id", "webhook_deliveries", ["event_id"], schema=SCHEMA)
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "next_attempt_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "announced_states",
        _text("tenant"),
        _text("source"),
        _text("state", "the state of the source that subscribers were told last"),
        sa.PrimaryKeyConstraint("tenant", "source", name=op.f("pk_announced_states")),
        schema=SCHEMA,
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("announced_states", "webhook_deliveries", "webhook_events", "webhooks"):
        op.drop_table(name, schema=SCHEMA)
