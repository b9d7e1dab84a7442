"""Shared listings: one listing of a source for the runs of all its shards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014a"
branch_labels = None
depends_on = None

SCHEMA = "rag"


def upgrade() -> None:
    """Create the tables. Both are unlogged: a crash of the server empties them, and runs list again."""
    op.create_table(
        "listings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False, comment="fingerprint of what the connector was made from"),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("taken", sa.ARRAY(sa.SmallInteger()), nullable=False, comment="shards that never use it any more"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), comment="null: under way, or its run died"),
        sa.Column("change_token", sa.Text()),
        sa.Column("cursor", JSONB()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listings")),
        schema=SCHEMA,
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_listings_source", "listings", ["tenant", "source", "id"], schema=SCHEMA)
    op.create_table(
        "listed_items",
        sa.Column("listing", sa.BigInteger(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("token", sa.Text()),
        sa.Column("size", sa.BigInteger()),
        sa.Column("modified_at", sa.DateTime(timezone=True)),
        sa.Column("reason", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.Column("skipped", sa.Boolean(), nullable=False),
        schema=SCHEMA,
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_listed_items_listing", "listed_items", ["listing", "shard"], schema=SCHEMA)


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("listed_items", schema=SCHEMA)
    op.drop_table("listings", schema=SCHEMA)
