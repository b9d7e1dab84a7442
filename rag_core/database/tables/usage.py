"""Tables of usage and budgets."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Table, Text

from rag_core.database.tables.base import metadata, now_column

usage = Table(
    "usage",
    metadata,
    Column("day", Date, primary_key=True, comment="in UTC"),
    Column("tenant", Text, primary_key=True),
    Column("key_id", Text, primary_key=True, comment="of an API key; empty: calls with a token"),
    Column("writer", Text, primary_key=True, comment="the process that counted it; empty: all, when the day is over"),
    Column("calls", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False, comment="by a budget"),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
)
"""Each process writes its own totals of the day, so that writing twice counts once."""

budgets = Table(
    "budgets",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("key_id", Text, primary_key=True, comment="of an API key; empty: of the whole tenant"),
    Column("calls_per_day", BigInteger, CheckConstraint("calls_per_day >= 0", name="calls")),
    Column("model_tokens_per_day", BigInteger, CheckConstraint("model_tokens_per_day >= 0", name="model_tokens")),
    Column("documents", BigInteger, CheckConstraint("documents >= 0", name="documents")),
    Column("set_by", Text, nullable=False),
    now_column("set_at"),
    CheckConstraint("key_id = '' OR documents IS NULL", name="documents_of_tenant"),
)
