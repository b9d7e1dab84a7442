"""Epochs and topic ids of stream offsets, keys and headers of dead letters, and lanes of the inbox."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SCHEMA = "rag"
_PENDING = sa.text("applied_at IS NULL")


def upgrade() -> None:
    """Add columns that a program of the previous release leaves at their defaults."""
    _add("stream_offsets", "epoch", sa.Integer(), "0", "orders above offsets: versions carry it")
    _add("stream_offsets", "epoch_from", sa.BigInteger(), "0", "first offset of the epoch")
    _add("stream_offsets", "topic_id", sa.Text(), "", "the broker's; empty: it gave none")
    _add("dead_letters", "key", sa.LargeBinary(), None, "of a topic's message, usable or not")
    _add("dead_letters", "headers", JSONB(), "[]", "of the message: [name, base64 or null]")
    _add("dead_letters", "size", sa.BigInteger(), None, "bytes of the message's value")
    _add("inbox", "slow", sa.Boolean(), "false", "left to the reader of large changes")
    columns = ["tenant", "source", "seq"]
    op.create_index("ix_inbox_lanes", "inbox", columns, schema=SCHEMA, postgresql_where=_PENDING)


def _add(table: str, name: str, kind: sa.types.TypeEngine[Any], default: str | None, comment: str) -> None:
    column: sa.Column[Any] = sa.Column(name, kind, server_default=default, nullable=default is None, comment=comment)
    op.add_column(table, column, schema=SCHEMA)


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_index("ix_inbox_lanes", "inbox", schema=SCHEMA)
    for name in ("size", "headers", "key"):
        op.drop_column("dead_letters", name, schema=SCHEMA)
    for name in ("topic_id", "epoch_from", "epoch"):
        op.drop_column("stream_offsets", name, schema=SCHEMA)
    op.drop_column("inbox", "slow", schema=SCHEMA)
