"""Tables of streams and erasures."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables.base import metadata, now_column

inbox = Table(
    "inbox",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("locator", Text, nullable=False),
    Column("doc_id", Uuid, nullable=False),
    Column("operation", Text, nullable=False),
    Column("source_version", BigInteger, nullable=False, comment="the caller's, or one more than the last"),
    Column("content", LargeBinary, comment="null for a deletion, and once it was applied"),
    Column("media_type", Text),
    Column("title", Text),
    Column("acl", ARRAY(Text), comment="null: keep what the document has"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column("idempotency_key", Text),
    Column("request_hash", LargeBinary, nullable=False, comment="sha256 of what was asked"),
    Column("subject", Text, nullable=False, comment="who asked"),
    Column("event_at", DateTime(timezone=True), nullable=False),
    now_column("received_at"),
    Column("applied_at", DateTime(timezone=True)),
    Column("outcome", Text, comment="applied, stale, deleted or dead"),
    Column("slow", Boolean, nullable=False, server_default="false", comment="left to the reader of large changes"),
    Column("traceparent", Text, comment="W3C context of a sampled request"),
    CheckConstraint("operation IN ('put', 'delete')", name="operation"),
    Index("ix_inbox_pending", "seq", postgresql_where="applied_at IS NULL"),
    Index("ix_inbox_lanes", "tenant", "source", "seq", postgresql_where="applied_at IS NULL"),
    Index(
        "ix_inbox_deletions",
        "tenant",
        "source",
        "seq",
        postgresql_where="applied_at IS NULL AND operation = 'delete'",
    ),
    Index("ix_inbox_doc_id", "doc_id", "seq"),
    Index(
        "uq_inbox_idempotency_key",
        "tenant",
        "idempotency_key",
        unique=True,
        postgresql_where="idempotency_key IS NOT NULL",
    ),
)

object_notices = Table(
    "object_notices",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("bucket", Text, primary_key=True),
    Column("object_key", Text, primary_key=True),
    now_column("received_at"),
    Column(
        "revision",
        BigInteger,
        nullable=False,
        server_default="1",
        comment="grows with each event; a worker forgets only what it saw",
    ),
    Column("attempts", Integer, nullable=False, server_default="0", comment="that failed"),
    Column(
        "not_before",
        DateTime(timezone=True),
        nullable=False,
        server_default=text("now()"),
        comment="until then a worker has it in hand, or waits after a failure",
    ),
    Index("ix_object_notices_received_at", "received_at"),
)
"""Objects of buckets that may have changed: hints, which the stream worker takes and forgets."""

stream_offsets = Table(
    "stream_offsets",
    metadata,
    Column("stream", Text, primary_key=True, comment="<tenant>/<source>"),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False, comment="first offset that is not applied"),
    Column("epoch", Integer, nullable=False, server_default="0", comment="orders above offsets: versions carry it"),
    Column("epoch_from", BigInteger, nullable=False, server_default="0", comment="first offset of the epoch"),
    Column("topic_id", Text, nullable=False, server_default="", comment="the broker's; empty: it gave none"),
    now_column("updated_at"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("locator", Text, nullable=False),
    Column("topic", Text, nullable=False, comment="empty for the push inbox"),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False, comment="of the message, or inbox.seq"),
    Column("stage", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("payload", LargeBinary, comment="the message, while it can be redriven"),
    Column("attributes", JSONB, nullable=False, server_default="{}", comment="the rest of the event, for a redrive"),
    Column("attempts", Integer, nullable=False),
    Column("key", LargeBinary, comment="of a topic's message, usable or not"),
    Column("headers", JSONB, nullable=False, server_default="[]", comment="of the message: [name, base64 or null]"),
    Column("size", BigInteger, comment="bytes of the message's value"),
    now_column("created_at"),
    UniqueConstraint("tenant", "source", "topic", "partition", "offset"),
    Index("ix_dead_letters_locator", "tenant", "source", "locator"),
)

stream_workers = Table(
    "stream_workers",
    metadata,
    Column("worker", Text, primary_key=True),
    now_column("started_at"),
    now_column("beat_at"),
    Column("details", JSONB, nullable=False, server_default="{}", comment="per stream: state, lag, counts"),
)

erasures = Table(
    "erasures",
    metadata,
    Column("doc_id", Uuid, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_version", BigInteger, nullable=False, comment="what is not newer than this never comes back"),
    Column("requested_by", Text, nullable=False),
    now_column("erased_at"),
    Column("receipt", JSONB, nullable=False, server_default="{}", comment="what was removed where, without content"),
)
