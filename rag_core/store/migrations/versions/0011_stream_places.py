"""Epochs and topic ids of stream positions, what a dead letter keeps of its message, and the lanes of the inbox."""

from __future__ import annotations

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
    """Add columns that a program of the release before leaves at their defaults."""
    _add("stream_offsets", "epoch", sa.Integer(), "0", "orders above offsets: versions carry it")
    _add("stream_offsets", "epoch_from", sa.BigInteger(), "0", "first offset of the epoch")
    _add("stream_offsets", "topic_id", sa.Text(), "", "the broker's; empty: it gave none")
    _add("dead_letters", "key", sa.LargeBinary(), None, "of the message, when it is not the locator")
    _add("dead_letters", "headers", JSONB(), "[]", "of the message: [name, base64 or null]")
    _add("dead_letters", "size", sa.BigInteger(), None, "bytes of the message's value")
    columns = ["tenant", "source", "seq"]
    op.create_index("ix_inbox_lanes", "inbox", columns, schema=SCHEMA, postgresql_where=_PENDING)


def _add(table: str, name: str, kind: sa.types.TypeEngine[object], default: str | None, comment: str) -> None:
    column: sa.Column[object] = sa.Column(name, kind, server_default=default, nullable=default is None, comment=comment)
    op.add_column(table, column, schema=SCHEMA)


def downgrade() -> None:
    """Undo `upgrade`."""
    op.drop_index("ix_inbox_lanes", "inbox", schema=SCHEMA)
    for table, names in {"dead_letters": ("size", "headers", "key"), "stream_offsets": ("topic_id", "epoch_from", "epoch")}.items():  # fmt: skip
        for name in names:
            op.drop_column(table, name, schema=SCHEMA)
