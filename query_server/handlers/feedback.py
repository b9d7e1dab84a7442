"""Feedback on answers: checked, limited, stored, and proposed as a question for evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from query_server.handlers.admin.rules import check_judgement
from query_server.handlers.transactions import transact
from query_server.runtime.dependencies import LazyStore
from rag_core.answering import evaluation
from rag_core.governance.access import Principal

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.answering.evaluation import Judgement, Saved


class FeedbackHandler:
    """Stores feedback. Tenant, subject and ACL are the caller's; an answer is named by its question and its text."""

    def __init__(self, store: LazyStore, *, per_hour: int, keep_answers: bool) -> None:
        self._store = store
        self._per_hour, self._keep_answers = per_hour, keep_answers

    async def rate(self, principal: Principal, judgement: Judgement) -> Saved:
        """Store what the caller says of an answer, and propose its question.

        Raises `InvalidInput`, `NotFound` (`DOCUMENT_NOT_FOUND`) for a document that the caller may not see, `Exhausted`
        (`FEEDBACK_LIMIT`), and `Unavailable` (`DATABASE_UNAVAILABLE`).
        """
        check_judgement(judgement)

        def write(connection: Connection) -> Saved:
            tenant = principal.tenant
            evaluation.feedback_store.require_visible(connection, tenant, principal.acl_entries, judgement.doc_ids)
            saved = evaluation.feedback_store.add(
                connection,
                tenant,
                principal.subject,
                judgement,
                per_hour=self._per_hour,
                keep_answer=self._keep_answers,
            )
            evaluation.propose_from_rating(connection, tenant, saved.id, judgement)
            return saved

        return await transact(self._store, write)
