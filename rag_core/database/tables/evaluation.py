"""Tables of evaluation: runs over the owners' questions, their results, questions that were proposed, ratings."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from rag_core.database.tables.base import metadata, now_column

ratings = Table(
    "ratings",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    now_column("at"),
    Column("actor", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("good", Boolean, nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    Column("generation", Text, nullable=False, server_default=""),
    Column("citations", JSONB, nullable=False, server_default="[]", comment="spans that were cited"),
    Column("answer_hash", LargeBinary, comment="sha256 of question and answer; null: from before it was kept"),
    Column("right_doc_id", Uuid, comment="the document that has the answer, as the user says"),
    Index("ix_ratings_tenant", "tenant", "id"),
    Index("uq_ratings_answer", "tenant", "actor", "answer_hash", unique=True),
)

evaluation_runs = Table(
    "evaluation_runs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    now_column("at"),
    Column("origin", Text, nullable=False, comment="command, gate or schedule"),
    Column("actor", Text, nullable=False),
    Column("name", Text, nullable=False, comment="what was asked, in words"),
    Column("series", Text, nullable=False, comment="runs over the same questions; the last is compared"),
    Column("generation", Text, nullable=False),
    Column("answerer", Text, nullable=False, comment="fingerprint of what answered; empty: not known"),
    Column("top_k", Integer, nullable=False),
    Column("figures", JSONB, nullable=False),
    Column("tags", JSONB, nullable=False, comment="the figures of each tag"),
    Column("compared_with", BigInteger, comment="a run that may be gone"),
    Column("worse", Boolean, nullable=False, server_default="false"),
    Column("detail", Text, nullable=False, server_default="", comment="the comparison in a line"),
    Column("accepted", Boolean, nullable=False, server_default="false"),
    Index("ix_evaluation_runs_series", "tenant", "series", "id"),
    Index("uq_evaluation_runs_accepted", "tenant", "series", unique=True, postgresql_where=text("accepted")),
)

evaluation_results = Table(
    "evaluation_results",
    metadata,
    Column("run", BigInteger, ForeignKey(evaluation_runs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("grade", Text, nullable=False),
    Column("recall", Float),
    Column("ndcg", Float),
    Column("answer", Text, nullable=False),
    Column("doc_ids", ARRAY(Uuid), nullable=False, comment="documents that the answer quotes"),
)

evaluation_questions = Table(
    "evaluation_questions",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    now_column("at"),
    Column("question", Text, nullable=False),
    Column("expected", ARRAY(Text), nullable=False, server_default="{}"),
    Column("patterns", ARRAY(Text), nullable=False, server_default="{}"),
    Column("sources", ARRAY(Text), nullable=False, server_default="{}"),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    Column("origin", Text, nullable=False, comment="feedback or heading"),
    Column("state", Text, nullable=False, server_default="proposed"),
    Column("note", Text, nullable=False, server_default="", comment="what the user said"),
    Column("rating", BigInteger, comment="a rating that may be gone"),
    Column("doc_ids", ARRAY(Uuid), nullable=False, server_default="{}"),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_by", Text, nullable=False, server_default=""),
    Index("uq_evaluation_questions_question", "tenant", text("md5(question)"), unique=True),
    Index("ix_evaluation_questions_state", "tenant", "state", "id"),
)
