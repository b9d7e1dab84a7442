"""Rows of answer ratings, which are candidates for golden sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from rag_core.database.tables.operations import ratings


@dataclass(frozen=True, slots=True)
class Judgement:
    """A user's rating of an answer. `citations` are `{"doc_id", "version", "start", "end"}`."""

    question: str
    answer: str
    good: bool
    comment: str
    generation: str
    citations: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Rating:
    """A stored rating."""

    id: int
    at: datetime
    actor: str
    judgement: Judgement


def add(connection: Connection, tenant: str, actor: str, judgement: Judgement) -> int:
    """Store a rating; returns its id."""
    values = {
        "tenant": tenant,
        "actor": actor,
        "question": judgement.question,
        "answer": judgement.answer,
        "good": judgement.good,
        "comment": judgement.comment,
        "generation": judgement.generation,
        "citations": [dict(item) for item in judgement.citations],
    }
    return int(connection.execute(insert(ratings).values(**values).returning(ratings.c.id)).scalar_one())


def newest(connection: Connection, tenant: str, limit: int) -> list[Rating]:
    """The tenant's ratings, newest first."""
    statement = select(ratings).where(ratings.c.tenant == tenant).order_by(ratings.c.id.desc()).limit(limit)
    return [
        Rating(
            row.id,
            row.at,
            row.actor,
            Judgement(row.question, row.answer, row.good, row.comment, row.generation, row.citations),
        )
        for row in connection.execute(statement)
    ]
