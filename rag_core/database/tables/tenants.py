"""The table of tenants: a tenant without a row is active and has no policy of its own."""

from __future__ import annotations

from sqlalchemy import ARRAY, CheckConstraint, Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables.base import metadata, now_column

tenants = Table(
    "tenants",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="active"),
    Column("reason", Text, nullable=False, server_default="", comment="why it is in this state"),
    Column("egress", ARRAY(Text), comment="endpoints its text may go to; null: RAG_EGRESS_DEFAULT"),
    Column("egress_sources", JSONB, nullable=False, server_default="{}", comment="the same of sources with less"),
    Column("created_by", Text, nullable=False),
    now_column("created_at"),
    Column("changed_by", Text, nullable=False),
    now_column("changed_at"),
    Column("erase_audit", Text, comment="asked with an erasure: keep or remove; null: none was asked for"),
    Column("erased_at", DateTime(timezone=True), comment="of the last erasure"),
    Column("receipt", JSONB, comment="of that erasure: what was removed where, without content"),
    CheckConstraint("state IN ('active', 'suspended', 'erasing', 'erased')", name="state"),
)
