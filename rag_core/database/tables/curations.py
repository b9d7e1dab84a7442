"""The table of curations: what editors decided for a question."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Table, Text, Uuid

from rag_core.database.tables.base import metadata, now_column

curations = Table(
    "curations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("questions", ARRAY(Text), nullable=False, comment="ways to ask it; one of them is enough"),
    Column("action", Text, nullable=False, comment="answer, pin, boost or hide"),
    Column("answer", Text, nullable=False, server_default="", comment="Markdown that an editor wrote"),
    Column("doc_id", Uuid, comment="the document that is pinned, boosted or hidden; it may be gone"),
    Column("acl", ARRAY(Text), nullable=False, comment="for whom it counts, as the ACL of a document"),
    Column("owner", Text, nullable=False, comment="who answers for it"),
    Column("ends_at", DateTime(timezone=True), comment="it counts until then; null: until it is removed"),
    Column("changed_by", Text, nullable=False),
    now_column("changed_at"),
    Index("ix_curations_tenant", "tenant", "id"),
)
