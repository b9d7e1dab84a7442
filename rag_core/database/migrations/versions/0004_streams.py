"""The push inbox; offsets, dead letters and heartbeats of stream workers; the ledger of erasures."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "rag"
_TABLES = ("erasures", "stream_workers", "dead_letters", "stream_offsets", "inbox")


def _now(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _text(*names: str, nullable: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=nullable) for name in names]


def upgrade() -> None:
    """Create the tables."""
    _create_inbox()
    _create_dead_letters()
    op.create_table(
        "stream_offsets",
        sa.Column("stream", sa.Text(), nullable=False, comment="<tenant>/<source>"),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False, comment="first offset that is not applied"),
        _now("updated_at"),
        sa.PrimaryKeyConstraint("stream", "topic", "partition", name=op.f("pk_stream_offsets")),
        schema=SCHEMA,
    )
    op.create_table(
        "stream_workers",
        *_text("worker"),
        _now("started_at"),
        _now("beat_at"),
        sa.Column("details", JSONB(), server_default="{}", nullable=False, comment="per stream: state, lag, counts"),
        sa.PrimaryKeyConstraint("worker", name=op.f("pk_stream_workers")),
        schema=SCHEMA,
    )
    op.create_table(
        "erasures",
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        *_text("tenant", "source"),
        sa.Column(
            "source_version", sa.BigInteger(), nullable=False, comment="what is not newer than this never comes back"
        ),
        *_text("requested_by"),
        _now("erased_at"),
        sa.Column(
            "receipt", JSONB(), server_default="{}", nullable=False, comment="what was removed where, without content"
        ),
        sa.PrimaryKeyConstraint("doc_id", name=op.f("pk_erasures")),
        schema=SCHEMA,
    )


def _create_inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("seq", sa.BigInteger(), autoincrement=True, nullable=False),
        *_text("tenant", "source", "locator"),
        sa.Column("doc_id", sa.Uuid(), nullable=False),
        *_text("operation"),
        sa.Column("source_version", sa.BigInteger(), nullable=False, comment="the caller's, or one more than the last"),
        sa.Column("content", sa.LargeBinary(), comment="null for a deletion, and once it was applied"),
        *_text("media_type", "title", nullable=True),
        sa.Column("acl", ARRAY(sa.Text()), comment="null: keep what the document has"),
        sa.Column("metadata", JSONB(), server_default="{}", nullable=False),
        *_text("idempotency_key", nullable=True),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False, comment="sha256 of what was asked"),
        sa.Column("subject", sa.Text(), nullable=False, comment="who asked"),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=False),
        _now("received_at"),
        sa.Column("applied_at", sa.DateTime(timezone=True)),
        sa.Column("outcome", sa.Text(), comment="applied, stale, deleted or dead"),
        sa.CheckConstraint("operation IN ('put', 'delete')", name=op.f("ck_inbox_operation")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_inbox")),
        schema=SCHEMA,
    )
    op.create_index("ix_inbox_pending", "inbox", ["seq"], schema=SCHEMA, postgresql_where=sa.text("applied_at IS NULL"))
    op.create_index("ix_inbox_doc_id", "inbox", ["doc_id", "seq"], schema=SCHEMA)
    op.create_index(
        "uq_inbox_idempotency_key",
        "inbox",
        ["tenant", "idempotency_key"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        *_text("tenant", "source", "locator"),
        sa.Column("topic", sa.Text(), nullable=False, comment="empty for the push inbox"),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False, comment="of the message, or inbox.seq"),
        *_text("stage", "reason", "message"),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), comment="the message, while it can be redriven"),
        sa.Column(
            "attributes", JSONB(), server_default="{}", nullable=False, comment="the rest of the event, for a redrive"
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _now("created_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        sa.UniqueConstraint(
            "tenant",
            "source",
            "topic",
            "partition",
            "offset",
            name=op.f("uq_dead_letters_tenant_source_topic_partition_offset"),
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_dead_letters_locator", "dead_letters", ["tenant", "source", "locator"], schema=SCHEMA)


def downgrade() -> None:
    """Undo `upgrade`."""
    for table in _TABLES:
        op.drop_table(table, schema=SCHEMA)
