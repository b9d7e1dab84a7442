"""Runs of the owners' questions, and questions that wait for a decision, for operators of a tenant."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from query_server.handlers.admin.rules import MAX_CITATIONS, MAX_QUESTION_CHARS, check_text_field, editable_acl
from query_server.handlers.paging import ListPage
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.answering import evaluation
from rag_core.errors import InvalidInput, NotFound, Reason
from rag_core.governance import audit
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.answering.evaluation import Change, Result, Run, StoredQuestion

MAX_LISTED = 200
MAX_PARTS = 20
STATES = ("proposed", "accepted", "rejected")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run with the one that it is compared with, what changed, and what does not satisfy."""

    run: Run
    before: Run | None
    changes: Sequence[Change]
    unsatisfied: Sequence[Result]


class EvaluationHandler:
    """Works on the caller's tenant. Raises `Unavailable` (`DATABASE_UNAVAILABLE`) while the database is down."""

    def __init__(self, store: LazyStore) -> None:
        self._store = store

    async def runs(self, principal: Principal, page: ListPage) -> list[Run]:
        """Runs, newest first."""
        return await self._transact(
            lambda db: evaluation.run_store.newest(db, principal.tenant, page.rows, after=page.after)
        )

    async def run(self, principal: Principal, number: int) -> ComparedRun:
        """One run. Raises `NotFound` (`EVALUATION_NOT_FOUND`)."""

        def read(connection: Connection) -> ComparedRun:
            found = evaluation.run_store.get(connection, principal.tenant, number)
            now = self._visible(connection, principal, found)
            before = None
            if found.compared_with is not None:
                try:
                    before = evaluation.run_store.get(connection, principal.tenant, found.compared_with)
                except NotFound:
                    before = None  # it made room for newer ones
            old = self._visible(connection, principal, before) if before else []
            poor = [one for one in now if one.grade in evaluation.UNSATISFIED]
            return ComparedRun(found, before, evaluation.changes(old, now)[:MAX_LISTED], poor[:MAX_LISTED])

        return await self._transact(read)

    @staticmethod
    def _visible(connection: Connection, principal: Principal, run: Run) -> list[Result]:
        results = evaluation.run_store.results(connection, run.id)
        acl = editable_acl(principal)
        return results if acl is None else evaluation.run_store.only_visible(connection, principal.tenant, acl, results)

    async def accept(self, principal: Principal, number: int, why: str) -> Run:
        """Have later runs compared with this one. Raises `NotFound` (`EVALUATION_NOT_FOUND`)."""
        check_text_field("reason", why, required=True)

        def write(connection: Connection) -> Run:
            run = evaluation.run_store.accept(connection, principal.tenant, number)
            self._record(connection, principal, "evaluation.accept", str(number), {"reason": why})
            return run

        return await self._transact(write)

    async def questions(self, principal: Principal, state: str, page: ListPage) -> list[StoredQuestion]:
        """Questions in a state, newest first, that speak of no document which the caller may not see."""
        tenant, chosen = principal.tenant, state or "proposed"
        if chosen not in STATES:
            raise InvalidInput(Reason.FIELD_INVALID, f"state: must be one of {', '.join(STATES)}")
        acl, wanted = editable_acl(principal), evaluation.Verdict(chosen)
        return await self._transact(
            lambda db: evaluation.question_store.listed(
                db, tenant, state=wanted, limit=page.rows, acl=acl, after=page.after
            )
        )

    async def propose(self, principal: Principal, count: int, source: str) -> int:
        """Propose questions from headings; returns how many are new."""
        check_text_field("source", source)

        def write(connection: Connection) -> int:
            added = evaluation.propose_from_headings(connection, principal.tenant, limit=count, source=source)
            self._record(connection, principal, "evaluation.propose", source, {"proposed": added})
            return added

        return await self._transact(write)

    async def decide(
        self, principal: Principal, number: int, changed: Mapping[str, Sequence[str]], *, accept: bool
    ) -> StoredQuestion:
        """Accept or reject a question; `changed` are its parts that replace what was proposed, when not empty.

        Raises `NotFound` (`QUESTION_NOT_FOUND`), `Conflict` (`QUESTION_DECIDED`), and `InvalidInput`
        (`QUESTIONS_INVALID`) when an accepted one says too little of its answer.
        """
        _check_parts(changed)

        def write(connection: Connection) -> StoredQuestion:
            verdict = evaluation.Verdict.ACCEPTED if accept else evaluation.Verdict.REJECTED
            known = evaluation.question_store.get(connection, principal.tenant, number, acl=editable_acl(principal))
            asked = known.completed(changed)
            evaluation.question_store.decide(connection, principal.tenant, asked, verdict, actor=principal.actor)
            self._record(connection, principal, f"evaluation.question_{verdict.value}", str(number), {})
            return replace(asked, state=verdict, decided_by=principal.actor)

        return await self._transact(write)

    async def save(
        self, principal: Principal, question: str, parts: Mapping[str, Sequence[str]], doc_ids: Sequence[uuid.UUID]
    ) -> StoredQuestion:
        """Save a question with what its answer holds, accepted.

        Raises `InvalidInput` (`QUESTIONS_INVALID` when it says too little of its answer), `NotFound`
        (`DOCUMENT_NOT_FOUND`) for a document that the caller may not see, and `Conflict` (`QUESTION_DECIDED`).
        """
        check_text_field("question", question, limit=MAX_QUESTION_CHARS, required=True)
        _check_parts(parts)
        if len(doc_ids) > MAX_CITATIONS:
            raise InvalidInput(Reason.FIELD_INVALID, f"doc_ids: at most {MAX_CITATIONS}")

        def write(connection: Connection) -> StoredQuestion:
            evaluation.feedback_store.require_visible(connection, principal.tenant, principal.acl_entries, doc_ids)
            asked = evaluation.StoredQuestion(question.strip(), doc_ids=tuple(dict.fromkeys(doc_ids))).completed(parts)
            saved = evaluation.question_store.save(connection, principal.tenant, asked, actor=principal.actor)
            self._record(connection, principal, "evaluation.question_saved", str(saved.id), {})
            return saved

        return await self._transact(write)

    @staticmethod
    def _record(
        connection: Connection, principal: Principal, action: str, target: str, details: Mapping[str, object]
    ) -> None:
        named = {**details, "tenant": principal.tenant}
        audit.audit_store.record(connection, actor=principal.actor, action=action, target=target, details=named)

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        return await transact(self._store, work)


def _check_parts(parts: Mapping[str, Sequence[str]]) -> None:
    for name, values in parts.items():
        if len(values) > MAX_PARTS:
            raise InvalidInput(Reason.FIELD_INVALID, f"{name}: at most {MAX_PARTS}")
        for value in values:
            check_text_field(name, value, required=True)
