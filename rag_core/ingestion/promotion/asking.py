"""Owners' questions asked of one generation in this process, as the query server asks them of the active one."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from rag_core.answering import (
    Abstained,
    Answered,
    Answerer,
    AnswerEvent,
    Delta,
    IndexReader,
    Outcome,
    Question,
    Writing,
    check_citations,
    check_evidence,
    open_answerer,
)
from rag_core.answering.evaluation import (
    EvaluationQuestion,
    Result,
    Shown,
    grade,
    load_questions,
    places_of,
    question_files,
    question_store,
    retrieval,
    tenants_with_files,
)
from rag_core.content.embedding import Embedder
from rag_core.database import Store
from rag_core.errors import RagError, Unavailable
from rag_core.governance.tenants import store as tenant_store
from rag_core.http_client import EgressPolicy
from rag_core.ingestion.pipeline import Progress
from rag_core.ingestion.promotion import store as rows
from rag_core.retrieval.index import SearchRequest, VectorIndex
from rag_core.retrieval.search import Reranker, open_reranker
from rag_core.settings import Settings


@dataclass(frozen=True, slots=True)
class OwnQuestions:
    """The questions of a tenant, with every ACL entry in use: they evaluate answers, not permissions."""

    tenant: str
    acl: tuple[str, ...]
    questions: tuple[EvaluationQuestion, ...]


def load_own_questions(store: Store, settings: Settings, tenants: Sequence[str] = ()) -> list[OwnQuestions]:
    """The questions in files and the accepted ones, of these tenants or of all active ones; those without any are left
    out.

    Of many, `gate_max_questions` are asked: always the same ones. Raises `InvalidInput` (`QUESTIONS_INVALID`).
    """
    folder = settings.effective_questions_dir
    with store.engine.connect() as connection:
        known = {*tenants_with_files(folder), *question_store.tenants(connection)}
        names = list(tenants) or sorted(known - tenant_store.closed(connection).keys())
        found = []
        for tenant in names:
            asked = _of_tenant(folder, tenant, settings)
            for one in question_store.accepted(connection, tenant, settings.evaluation_max_questions):
                asked.setdefault(one.key, one)
            chosen = tuple(sorted(asked.values(), key=_place)[: settings.gate_max_questions])
            if chosen:
                found.append(OwnQuestions(tenant, rows.acl_entries(connection, tenant), chosen))
    return found


def _of_tenant(folder: Path, tenant: str, settings: Settings) -> dict[str, EvaluationQuestion]:
    asked: dict[str, EvaluationQuestion] = {}
    for path in question_files(folder, tenant):
        for one in load_questions(path, limit=settings.evaluation_max_questions):
            asked.setdefault(one.key, one)
    return asked


def _place(question: EvaluationQuestion) -> bytes:
    return hashlib.sha256(question.key.encode()).digest()


class Asker:
    """Asks one generation. Opens the answerer and the reranker of the settings for each call of `ask`."""

    def __init__(
        self, index: VectorIndex, generation: str, embedder: Embedder, settings: Settings, egress: EgressPolicy
    ) -> None:
        """`egress` is the policy of the tenant whose questions are asked."""
        self._index, self._generation, self._embedder, self._settings = index, generation, embedder, settings
        self._egress = egress

    def ask(self, own: OwnQuestions, progress: Progress | None = None) -> list[Result]:
        """The graded answers, in the order of the questions. Raises `Unavailable` during an outage."""
        with asyncio.Runner() as runner:
            return runner.run(self._ask_all(own, progress))

    async def _ask_all(self, own: OwnQuestions, progress: Progress | None) -> list[Result]:
        answerer, reranker = open_answerer(self._settings), open_reranker(self._settings)
        try:
            made = []
            for question in own.questions:
                made.append(await self._ask(own, question, answerer, reranker))
                if progress is not None:
                    progress(len(made), len(own.questions))
            return made
        finally:
            await answerer.close()
            if reranker is not None:
                reranker.close()

    async def _ask(
        self, own: OwnQuestions, asked: EvaluationQuestion, answerer: Answerer, reranker: Reranker | None
    ) -> Result:
        settings, limit = self._settings, self._settings.default_top_k
        reader = IndexReader(
            self._index,
            SearchRequest(own.tenant, own.acl, limit, text=asked.text, generation=self._generation),
            self._embedder.embed_queries,
            self._embedder,
            reranker,
            settings.rerank_candidates,
            self._egress,
        )
        listed = reader.listed(settings.default_max_per_document or None)
        places = [f"{hit.payload.source}/{hit.payload.locator}" for hit in listed]
        recall, ndcg = retrieval(asked, places, limit)
        question = reader.question()
        try:
            answer = await _read(answerer.answer(question), question, reader.read)
        except Unavailable:
            raise
        except RagError:
            answer = _Answer(Shown.FAILED)
        verdict = grade(asked, answer.shown, answer.places)
        return Result(asked.text, asked.tags, verdict, recall, ndcg, asked.key, answer.text, answer.doc_ids)


@dataclass(frozen=True, slots=True)
class _Answer:
    shown: Shown
    text: str = ""
    places: tuple[str, ...] = ()
    doc_ids: tuple[uuid.UUID, ...] = ()


async def _read(events: AsyncGenerator[AnswerEvent, None], question: Question, read: set[uuid.UUID]) -> _Answer:
    text, end = "", None
    async with aclosing(events) as stream:
        async for event in stream:
            if isinstance(event, Delta):
                text += event.text
            elif not isinstance(event, Writing):
                end = event
    if end is None:
        return _Answer(Shown.FAILED)
    if isinstance(end, Abstained):
        return _Answer(Shown.NOTHING)
    return _answered(text, end, question, read)


def _answered(text: str, end: Answered, question: Question, read: set[uuid.UUID]) -> _Answer:
    passages = [*question.hits, *end.evidence]
    check_evidence(end.evidence, read)
    check_citations(end.citations, passages)
    quotes = {citation.number: citation.quote for citation in end.citations}
    places = places_of(text, end.excerpts, quotes)
    cited = dict.fromkeys(passages[citation.rank].payload.doc_id for citation in end.citations)
    shown = Shown.ANSWERED if end.outcome is Outcome.ANSWERED else Shown.CLOSEST
    return _Answer(shown, text, tuple(places), tuple(cited))
