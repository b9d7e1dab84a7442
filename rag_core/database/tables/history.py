"""Tables of the history: figures over time, and the questions that got no answer."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Double, Integer, Table, Text

from rag_core.database.tables.base import metadata

figures = Table(
    "history",
    metadata,
    Column("step", Integer, primary_key=True, autoincrement=False, comment="seconds that a row covers: 60, 600, 3600"),
    Column("at", DateTime(timezone=True), primary_key=True, comment="where that time begins"),
    Column("series", Text, primary_key=True),
    Column("tenant", Text, primary_key=True, comment="empty: of the platform"),
    Column("label", Text, primary_key=True),
    Column("total", Double, nullable=False, comment="what was counted, or the sum of the samples"),
    Column("samples", BigInteger, nullable=False, comment="of a gauge; 0: a counter"),
    Column("highest", Double, nullable=False, comment="of the samples"),
)
"""Rows of a finer step are summed into those of the next one, and deleted when they are old."""

unanswered_questions = Table(
    "unanswered_questions",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("question_hash", Text, primary_key=True, comment="keyed: equal for equal questions of a tenant"),
    Column("question", Text, comment="its text; null unless it is kept, see rag.tenants"),
    Column("outcome", Text, nullable=False, comment="of the last time"),
    Column("asked", BigInteger, nullable=False),
    Column("first_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
)
