"""Rows of questions that feedback or headings proposed, and what an operator decided about each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from rag_core.answering.evaluation.questions import EvaluationQuestion, parse_question
from rag_core.database import page_of
from rag_core.database.tables import evaluation_questions
from rag_core.errors import Conflict, NotFound, Reason

_T = evaluation_questions.c


class Origin(StrEnum):
    """Origin of a question."""

    FEEDBACK = "feedback"
    HEADING = "heading"


class Verdict(StrEnum):
    """Decision about a proposed question."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A question with its origin. It says something of the documents `doc_ids`, and is erased with any of them."""

    question: str
    expected: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    origin: Origin = Origin.FEEDBACK
    note: str = ""
    rating: int | None = None
    doc_ids: tuple[uuid.UUID, ...] = ()
    state: Verdict = Verdict.PROPOSED
    decided_by: str = ""
    id: int = 0
    at: datetime | None = None

    def completed(self, parts: Mapping[str, Sequence[str]]) -> StoredQuestion:
        """With these of its expected, patterns, sources and tags, where they are not empty."""
        return replace(
            self,
            expected=tuple(parts.get("expected") or self.expected),
            patterns=tuple(parts.get("patterns") or self.patterns),
            sources=tuple(parts.get("sources") or self.sources),
            tags=tuple(parts.get("tags") or self.tags),
        )

    def parsed(self) -> EvaluationQuestion:
        """As it is asked. Raises `InvalidInput` (`QUESTIONS_INVALID`) while it says too little of its answer."""
        return parse_question(
            self.question, expected=self.expected, patterns=self.patterns, sources=self.sources, tags=self.tags
        )


def propose(connection: Connection, tenant: str, questions: Sequence[StoredQuestion]) -> int:
    """Store proposals; returns how many are new. One that was decided stays as it is."""
    added = 0
    for one in questions:
        values = {
            "tenant": tenant,
            "question": one.question,
            "expected": list(one.expected),
            "patterns": list(one.patterns),
            "sources": list(one.sources),
            "tags": list(one.tags),
            "origin": one.origin.value,
            "note": one.note,
            "rating": one.rating,
            "doc_ids": list(one.doc_ids),
        }
        statement = insert(evaluation_questions).values(**values)
        new = statement.excluded
        known = func.cardinality(new.sources) > 0
        later = statement.on_conflict_do_update(
            index_elements=[_T.tenant, text("md5(question)")],
            set_={
                "note": case((new.note != "", new.note), else_=_T.note),
                "rating": func.coalesce(new.rating, _T.rating),
                "sources": case((known, new.sources), else_=_T.sources),
                "doc_ids": case((known, new.doc_ids), else_=_T.doc_ids),
            },
            where=_T.state == Verdict.PROPOSED.value,
        )
        # A row that this statement made has no other version of its own.
        row = connection.execute(later.returning(text("(xmax = 0)"))).one_or_none()
        added += bool(row and row[0])
    return added


def listed(
    connection: Connection,
    tenant: str,
    *,
    state: Verdict | None,
    limit: int,
    acl: Sequence[str] | None = None,
    after: Sequence[Any] | None = None,
) -> list[StoredQuestion]:
    """Questions, newest first. With `acl`, only those about documents that are visible with these entries."""
    statement = select(evaluation_questions).where(_T.tenant == tenant)
    statement = page_of(statement, [_T.id], after=after, limit=limit, newest_first=True)
    if state is not None:
        statement = statement.where(_T.state == state.value)
    if acl is not None:
        statement = statement.where(text(_ALL_VISIBLE).bindparams(acl=list(acl)))
    return list(map(_stored, connection.execute(statement)))


_ALL_VISIBLE = """
NOT EXISTS (SELECT FROM unnest(evaluation_questions.doc_ids) AS i(doc_id) WHERE NOT EXISTS (
    SELECT FROM rag.documents d
    WHERE d.doc_id = i.doc_id AND d.tenant = evaluation_questions.tenant AND rag.admits(d.acl, CAST(:acl AS text[]))))
"""


def get(connection: Connection, tenant: str, question: int, *, acl: Sequence[str] | None = None) -> StoredQuestion:
    """One question. With `acl`, only as `listed`. Raises `NotFound` (`QUESTION_NOT_FOUND`)."""
    statement = select(evaluation_questions).where(_T.tenant == tenant, _T.id == question).with_for_update()
    if acl is not None:
        statement = statement.where(text(_ALL_VISIBLE).bindparams(acl=list(acl)))
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(Reason.QUESTION_NOT_FOUND, "question: there is none with this number")
    return _stored(row)


def decide(connection: Connection, tenant: str, question: StoredQuestion, verdict: Verdict, *, actor: str) -> None:
    """Store a decision with the question as the operator completed it.

    Raises `InvalidInput` (`QUESTIONS_INVALID`) when an accepted one says too little of its answer, and `Conflict`
    (`QUESTION_DECIDED`) when another decision was made before.
    """
    if question.state not in {Verdict.PROPOSED, verdict}:
        raise Conflict(Reason.QUESTION_DECIDED, f"question: it is {question.state.value} already; reload the list")
    if verdict is Verdict.ACCEPTED:
        question.parsed()
    values = {
        "state": verdict.value,
        "expected": list(question.expected),
        "patterns": list(question.patterns),
        "sources": list(question.sources),
        "tags": list(question.tags),
        "decided_at": func.now(),
        "decided_by": actor,
    }
    matching = (_T.tenant == tenant, _T.id == question.id)
    connection.execute(update(evaluation_questions).where(*matching).values(**values))


def save(connection: Connection, tenant: str, question: StoredQuestion, *, actor: str) -> StoredQuestion:
    """Store a question as accepted, in the place of an equal one that was proposed or accepted before.

    Raises `InvalidInput` (`QUESTIONS_INVALID`) when it says too little of its answer, and `Conflict`
    (`QUESTION_DECIDED`) when an equal one was rejected.
    """
    question.parsed()
    content = {
        "expected": list(question.expected),
        "patterns": list(question.patterns),
        "sources": list(question.sources),
        "tags": list(question.tags),
        "doc_ids": list(question.doc_ids),
        "state": Verdict.ACCEPTED.value,
        "decided_at": func.now(),
        "decided_by": actor,
    }
    statement = insert(evaluation_questions).values(
        tenant=tenant, question=question.question, origin=question.origin.value, note=question.note, **content
    )
    saved = statement.on_conflict_do_update(
        index_elements=[_T.tenant, text("md5(question)")],
        set_=content,
        where=_T.state != Verdict.REJECTED.value,
    ).returning(evaluation_questions)
    row = connection.execute(saved).one_or_none()
    if row is None:
        raise Conflict(Reason.QUESTION_DECIDED, "question: it was rejected before; ask it in other words")
    return _stored(row)


def accepted(connection: Connection, tenant: str, limit: int) -> list[EvaluationQuestion]:
    """The accepted questions, oldest first."""
    matching = (_T.tenant == tenant, _T.state == Verdict.ACCEPTED.value)
    statement = select(evaluation_questions).where(*matching).order_by(_T.id).limit(limit)
    return [_stored(row).parsed() for row in connection.execute(statement)]


def tenants(connection: Connection) -> list[str]:
    """The tenants that have accepted questions."""
    statement = select(_T.tenant).where(_T.state == Verdict.ACCEPTED.value).distinct().order_by(_T.tenant)
    return list(connection.scalars(statement))


_UNKNOWN = text("""
SELECT s.place FROM unnest(CAST(:places AS text[])) WITH ORDINALITY AS s(place, number) WHERE NOT EXISTS (
    SELECT FROM rag.documents d WHERE d.tenant = :tenant AND d.deleted_at IS NULL
    AND strpos(d.source || '/' || d.locator, s.place) > 0)
ORDER BY s.number
""")


def unknown_sources(connection: Connection, tenant: str, questions: Sequence[EvaluationQuestion]) -> list[str]:
    """The sources that questions name and no stored document belongs to."""
    places = list(dict.fromkeys(source for question in questions for source in question.sources))
    return list(connection.scalars(_UNKNOWN, {"tenant": tenant, "places": places}))


_PURGE = text("""
DELETE FROM rag.evaluation_questions
WHERE state <> 'accepted' AND coalesce(decided_at, at) < now() - make_interval(days => :days)
""")


def purge(connection: Connection, *, days: int) -> int:
    """Delete questions that nobody accepted within `days`; returns how many."""
    return connection.execute(_PURGE, {"days": days}).rowcount


def _stored(row: Row[Any]) -> StoredQuestion:
    return StoredQuestion(
        row.question,
        tuple(row.expected),
        tuple(row.patterns),
        tuple(row.sources),
        tuple(row.tags),
        Origin(row.origin),
        row.note,
        row.rating,
        tuple(row.doc_ids),
        Verdict(row.state),
        row.decided_by,
        row.id,
        row.at,
    )


_HEADINGS = text("""
SELECT d.doc_id, d.source || '/' || d.locator AS place, d.language,
       substr(d.text, (b.block->>1)::int + 1, least((b.block->>2)::int - (b.block->>1)::int, 300)) AS heading
FROM rag.documents d, jsonb_array_elements(d.blocks) WITH ORDINALITY AS b(block, number)
WHERE d.tenant = :tenant AND d.deleted_at IS NULL AND d.acl IS NOT NULL
  AND b.block->>0 = 'heading' AND (b.block->>3)::int > 1 AND (:source = '' OR d.source = :source)
ORDER BY md5(d.doc_id::text), b.number LIMIT :limit
""")


def headings(connection: Connection, tenant: str, *, source: str, limit: int) -> Sequence[Row[Any]]:
    """Headings of visible documents that are not their titles: `doc_id`, `place`, `language`, `heading`.

    An empty `source` means all. The order has nothing to do with names, so that a few are of many places.
    """
    return connection.execute(_HEADINGS, {"tenant": tenant, "source": source, "limit": limit}).all()
