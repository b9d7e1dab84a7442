"""Rows of what users say of answers. An operator may turn them into questions (`proposals`)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, text
from sqlalchemy.dialects.postgresql import insert

from rag_core.database import locks, page_of
from rag_core.database.tables import ratings
from rag_core.errors import Exhausted, NotFound, Reason

MAX_CITED = 3


@dataclass(frozen=True, slots=True)
class Judgement:
    """A user's rating of an answer. `citations` are `{"doc_id", "version", "start", "end"}`.

    `right_doc_id` is the document that has the answer, as the user says.
    """

    question: str
    answer: str
    good: bool
    comment: str
    generation: str
    citations: Sequence[Mapping[str, object]]
    right_doc_id: uuid.UUID | None = None

    @property
    def answer_hash(self) -> bytes:
        """Key of the rated answer among those of one caller: question and text."""
        return hashlib.sha256(f"{self.question}\0{self.answer}".encode()).digest()

    @property
    def doc_ids(self) -> tuple[uuid.UUID, ...]:
        """Every document that it names, the right one first."""
        cited = [uuid.UUID(str(item["doc_id"])) for item in self.citations]
        return tuple(dict.fromkeys([*([self.right_doc_id] if self.right_doc_id else []), *cited]))

    @property
    def answer_doc_ids(self) -> tuple[uuid.UUID, ...]:
        """Documents that hold the answer: the right one that was named, or the first cited ones of a helpful answer."""
        if self.right_doc_id:
            return (self.right_doc_id,)
        return self.doc_ids[:MAX_CITED] if self.good else ()


@dataclass(frozen=True, slots=True)
class Rating:
    """A stored rating."""

    id: int
    at: datetime
    tenant: str
    actor: str
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Saved:
    """A rating that was stored; `replaced`: over the caller's earlier one of the same answer."""

    id: int
    replaced: bool


_RECENT = text("""
SELECT count(*) FROM rag.ratings WHERE tenant = :tenant AND actor = :actor AND at > now() - interval '1 hour'
""")


def add(
    connection: Connection,
    tenant: str,
    actor: str,
    judgement: Judgement,
    *,
    per_hour: int = 0,
    keep_answer: bool = False,
) -> Saved:
    """Store a rating, without the text of the answer unless it is to be kept. A second rating of the same answer by the
    same caller replaces the first.

    Raises `Exhausted` (`FEEDBACK_LIMIT`) when the caller has rated `per_hour` answers within an hour (0: no limit).
    """
    own = (ratings.c.tenant == tenant, ratings.c.actor == actor)
    same = select(ratings.c.id).where(*own, ratings.c.answer_hash == judgement.answer_hash)
    if per_hour and connection.scalar(same) is None:
        locks.lock_transaction(connection, f"feedback of {tenant}/{actor}")
        recent = connection.scalar(_RECENT, {"tenant": tenant, "actor": actor})
        if int(recent or 0) >= per_hour:
            message = f"you have rated {per_hour} answers within an hour; try again later"
            raise Exhausted(Reason.FEEDBACK_LIMIT, message)
    values = {
        "question": judgement.question,
        "answer": judgement.answer if keep_answer else "",
        "good": judgement.good,
        "comment": judgement.comment,
        "generation": judgement.generation,
        "citations": [dict(item) for item in judgement.citations],
        "right_doc_id": judgement.right_doc_id,
    }
    named = {"tenant": tenant, "actor": actor, "answer_hash": judgement.answer_hash}
    statement = insert(ratings).values(**named, **values)
    replaced = statement.on_conflict_do_update(index_elements=list(named), set_={**values, "at": func.now()})
    row = connection.execute(replaced.returning(ratings.c.id, text("(xmax <> 0)"))).one()
    return Saved(int(row[0]), bool(row[1]))


_HIDDEN = text("""
SELECT count(*) FROM unnest(CAST(:ids AS uuid[])) AS i(doc_id) WHERE NOT EXISTS (
    SELECT FROM rag.documents d
    WHERE d.doc_id = i.doc_id AND d.tenant = :tenant AND rag.admits(d.acl, CAST(:acl AS text[])))
""")


def require_visible(connection: Connection, tenant: str, acl: Sequence[str], doc_ids: Sequence[uuid.UUID]) -> None:
    """Raise `NotFound` (`DOCUMENT_NOT_FOUND`) when one is a document that the caller may not see.

    A document that was deleted since the answer is no error.
    """
    params = {"ids": list(doc_ids), "tenant": tenant, "acl": list(acl)}
    if doc_ids and connection.scalar(_HIDDEN, params):
        raise NotFound(Reason.DOCUMENT_NOT_FOUND, "citations, right_doc_id, doc_ids: name documents that you may see")


_PLACES = text("""
SELECT doc_id, source || '/' || locator AS place FROM rag.documents
WHERE tenant = :tenant AND deleted_at IS NULL AND doc_id = ANY(:ids)
""")


def places(connection: Connection, tenant: str, doc_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    """`source/locator` of stored documents."""
    rows = connection.execute(_PLACES, {"tenant": tenant, "ids": list(doc_ids)})
    return {row.doc_id: row.place for row in rows}


def newest(
    connection: Connection, tenant: str | None, limit: int, *, after: Sequence[Any] | None = None
) -> list[Rating]:
    """The ratings of a tenant, or of all, newest first."""
    statement = page_of(select(ratings), (ratings.c.at, ratings.c.id), after=after, limit=limit, newest_first=True)
    if tenant is not None:
        statement = statement.where(ratings.c.tenant == tenant)
    return list(map(_rating, connection.execute(statement)))


def _rating(row: Row[Any]) -> Rating:
    said = (row.question, row.answer, row.good, row.comment, row.generation, row.citations, row.right_doc_id)
    return Rating(row.id, row.at, row.tenant, row.actor, Judgement(*said))


_PURGE = text("DELETE FROM rag.ratings WHERE at < now() - make_interval(days => :days)")


_FORGET_ANSWERS = text("UPDATE rag.ratings SET answer = '' WHERE answer <> ''")


def purge(connection: Connection, *, days: int, keep_answers: bool) -> int:
    """Delete ratings older than `days`, and texts of answers unless they are kept; returns how many ratings went."""
    if not keep_answers:
        connection.execute(_FORGET_ANSWERS)
    return connection.execute(_PURGE, {"days": days}).rowcount
