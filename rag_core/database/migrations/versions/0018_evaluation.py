"""Runs over the owners' questions, questions that were proposed, and whom a rating came from and about what."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SCHEMA = "rag"
_NOW, _NONE = sa.text("now()"), "{}"


def _at() -> sa.Column[datetime]:
    return sa.Column("at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False)


def upgrade() -> None:
    """Add them; the previous release neither reads nor writes them."""
    texts = ARRAY(sa.Text())
    op.create_table(
        "evaluation_runs",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        _at(),
        sa.Column("origin", sa.Text(), nullable=False, comment="command, gate or schedule"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="what was asked, in words"),
        sa.Column("series", sa.Text(), nullable=False, comment="runs over the same questions; the last is compared"),
        sa.Column("generation", sa.Text(), nullable=False),
        sa.Column("answerer", sa.Text(), nullable=False, comment="fingerprint of what answered; empty: not known"),
        sa.Column("top_k", sa.Integer(), nullable=False),
        sa.Column("figures", JSONB(), nullable=False),
        sa.Column("tags", JSONB(), nullable=False, comment="the figures of each tag"),
        sa.Column("compared_with", sa.BigInteger(), nullable=True, comment="a run that may be gone"),
        sa.Column("worse", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False, comment="the comparison in a line"),
        sa.Column("accepted", sa.Boolean(), server_default="false", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation_runs")),
        schema=SCHEMA,
    )
    op.create_index("ix_evaluation_runs_series", "evaluation_runs", ["tenant", "series", "id"], schema=SCHEMA)
    op.create_index(
        "uq_evaluation_runs_accepted",
        "evaluation_runs",
        ["tenant", "series"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("accepted"),
    )
    op.create_table(
        "evaluation_results",
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("tags", texts, nullable=False),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("recall", sa.Float(), nullable=True),
        sa.Column("ndcg", sa.Float(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("doc_ids", ARRAY(sa.Uuid()), nullable=False, comment="documents that the answer quotes"),
        sa.ForeignKeyConstraint(
            ["run"], ["rag.evaluation_runs.id"], name=op.f("fk_evaluation_results_run"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run", "number", name=op.f("pk_evaluation_results")),
        schema=SCHEMA,
    )
    op.create_table(
        "evaluation_questions",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        _at(),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("expected", texts, server_default=_NONE, nullable=False),
        sa.Column("patterns", texts, server_default=_NONE, nullable=False),
        sa.Column("sources", texts, server_default=_NONE, nullable=False),
        sa.Column("tags", texts, server_default=_NONE, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False, comment="feedback or heading"),
        sa.Column("state", sa.Text(), server_default="proposed", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False, comment="what the user said"),
        sa.Column("rating", sa.BigInteger(), nullable=True, comment="a rating that may be gone"),
        sa.Column("doc_ids", ARRAY(sa.Uuid()), server_default=_NONE, nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation_questions")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_evaluation_questions_question",
        "evaluation_questions",
        ["tenant", sa.text("md5(question)")],
        unique=True,
        schema=SCHEMA,
    )
    op.create_index("ix_evaluation_questions_state", "evaluation_questions", ["tenant", "state", "id"], schema=SCHEMA)
    comment = "sha256 of question and answer; null: from before it was kept"
    op.add_column("ratings", sa.Column("answer_hash", sa.LargeBinary(), comment=comment), schema=SCHEMA)
    comment = "the document that has the answer, as the user says"
    op.add_column("ratings", sa.Column("right_doc_id", sa.Uuid(), comment=comment), schema=SCHEMA)
    columns = ["tenant", "actor", "answer_hash"]
    op.create_index("uq_ratings_answer", "ratings", columns, unique=True, schema=SCHEMA)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("uq_ratings_answer", "ratings", schema=SCHEMA)
    for column in ("answer_hash", "right_doc_id"):
        op.drop_column("ratings", column, schema=SCHEMA)
    for table in ("evaluation_questions", "evaluation_results", "evaluation_runs"):
        op.drop_table(table, schema=SCHEMA)
