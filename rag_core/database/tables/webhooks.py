"""Tables of webhooks: subscriptions, the events they are sent, and the log of deliveries."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables.base import metadata, now_column

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False, comment="types, `document.*` or `*`"),
    Column("description", Text, nullable=False, server_default=""),
    Column("secret_number", Integer, nullable=False, server_default="1", comment="of the signing secret"),
    Column(
        "previous_secret_until",
        DateTime(timezone=True),
        comment="until when messages are also signed with the secret before",
    ),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    Column("disabled_reason", Text, nullable=False, server_default=""),
    Column("failures", Integer, nullable=False, server_default="0", comment="in a row"),
    Column("not_before", DateTime(timezone=True), comment="nothing is sent before, because the receiver failed"),
    Column("created_by", Text, nullable=False),
    now_column("created_at"),
    Index("ix_webhooks_tenant", "tenant"),
)

webhook_events = Table(
    "webhook_events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False, comment="empty: of the platform"),
    Column("type", Text, nullable=False),
    Column("doc_id", Uuid, comment="the document it names, for its erasure"),
    Column("data", JSONB, nullable=False),
    now_column("created_at"),
    Index("ix_webhook_events_created_at", "created_at"),
    Index("ix_webhook_events_doc_id", "doc_id", postgresql_where=text("doc_id IS NOT NULL")),
)
"""Written in the transaction of the fact, and only while somebody subscribes to it."""

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("webhook_id", ForeignKey("rag.webhooks.id", ondelete="CASCADE"), type_=Text, nullable=False),
    Column("event_id", ForeignKey("rag.webhook_events.id", ondelete="CASCADE"), type_=Uuid, nullable=False),
    Column("state", Text, nullable=False, server_default="pending", comment="pending, delivered or failed"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column(
        "queued_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=text("now()"),
        comment="or queued again by an operator",
    ),
    Column("next_attempt_at", DateTime(timezone=True), comment="while it is pending"),
    Column("last_attempt_at", DateTime(timezone=True)),
    Column("status", Integer, comment="HTTP status of the last answer"),
    Column("reason", Text, nullable=False, server_default="", comment="reason code of the last failure"),
    Column("milliseconds", Integer, comment="of the last attempt"),
    Index("ix_webhook_deliveries_webhook_id", "webhook_id", "id"),
    Index("ix_webhook_deliveries_event_id", "event_id"),
    Index("ix_webhook_deliveries_due", "webhook_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
)

announced_states = Table(
    "announced_states",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("state", Text, nullable=False, comment="the state of the source that subscribers were told last"),
)
