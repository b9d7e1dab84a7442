"""Owners' questions asked of one generation in this process, as the query server asks them of the active one."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from rag_core.answering import (
    Abstained,
    Answered,
    Answerer,
    AnswerEvent,
    Delta,
    Outcome,
    Question,
    check_citations,
    check_evidence,
    open_answerer,
)
from rag_core.database import Store
from rag_core.documents import In
from rag_core.embedding import Embedder, Vectors
from rag_core.errors import RagError, Unavailable
from rag_core.evaluation import (
    EvaluationQuestion,
    Result,
    Shown,
    grade,
    load_questions,
    question_files,
    question_store,
    retrieval,
    tenants_with_files,
)
from rag_core.generations.lifecycle import store as rows
from rag_core.index import Hit, Place, SearchRequest, VectorIndex
from rag_core.pipeline import Progress
from rag_core.search import Reranker, open_reranker
from rag_core.settings import Settings

MIN_RETRIEVED = 24
"""As the query server: passages that an answer is chosen among, however few are shown."""


@dataclass(frozen=True, slots=True)
class OwnQuestions:
    """The questions of a tenant, with every ACL entry in use: they evaluate answers, not permissions."""

    tenant: str
    acl: tuple[str, ...]
    questions: tuple[EvaluationQuestion, ...]


def load_own_questions(store: Store, settings: Settings, tenants: Sequence[str] = ()) -> list[OwnQuestions]:
    """The questions in files and the accepted ones, of these tenants or of all; those without any are left out.

    Of many, `gate_max_questions` are asked: always the same ones. Raises `InvalidInput` (`QUESTIONS_INVALID`).
    """
    folder = settings.effective_questions_dir
    with store.engine.connect() as connection:
        names = list(tenants) or sorted({*tenants_with_files(folder), *question_store.tenants(connection)})
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

    def __init__(self, index: VectorIndex, generation: str, embedder: Embedder, settings: Settings) -> None:
        self._index, self._generation, self._embedder, self._settings = index, generation, embedder, settings

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
        limit = self._settings.default_top_k
        vector = self._embedder.embed_queries([asked.text])[0]
        request = SearchRequest(own.tenant, own.acl, limit, text=asked.text, vector=vector, generation=self._generation)
        reading = _Reading(self._index, self._embedder, request, reranker, self._settings.rerank_candidates)
        capped = replace(request, per_document=self._settings.default_max_per_document or None)
        listed = reading.hits(capped, limit)
        places = [f"{hit.payload.source}/{hit.payload.locator}" for hit in listed]
        recall, ndcg = retrieval(asked, places, limit)
        hits = reading.hits(request, max(limit, MIN_RETRIEVED))
        question = Question(
            asked.text,
            hits[:limit],
            vector,
            contrast=hits[limit:],
            embed=reading.embed,
            search=reading.search,
            around=reading.around,
        )
        try:
            answer = await _read(answerer.answer(question), question, reading.read)
        except Unavailable:
            raise
        except RagError:
            answer = _Answer(Shown.FAILED)
        verdict = grade(asked, answer.shown, answer.places)
        return Result(asked.text, asked.tags, verdict, recall, ndcg, asked.key, answer.text, answer.doc_ids)


class _Reading:
    """What an answerer reads beyond the first hits, within the same generation, tenant and ACL."""

    def __init__(
        self, index: VectorIndex, embedder: Embedder, request: SearchRequest, reranker: Reranker | None, window: int
    ) -> None:
        self._index, self._embedder, self._request = index, embedder, request
        self._reranker, self._window = reranker, window
        self.read: set[uuid.UUID] = set()

    def hits(self, request: SearchRequest, limit: int) -> tuple[Hit, ...]:
        """The first hits in their final order."""
        wide = max(limit, self._window) if self._reranker else limit
        found = self._index.search(replace(request, limit=wide)).hits
        if self._reranker is not None and found:
            found = _reranked(self._reranker, request.text, found[: self._window]) + found[self._window :]
        self.read.update(hit.chunk_id for hit in found[:limit])
        return found[:limit]

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.embed_passages(texts)

    async def search(self, text: str, locators: Sequence[str]) -> tuple[tuple[Hit, ...], Vectors | None]:
        vector = self._embedder.embed_queries([text])[0]
        named = In("locator", tuple(locators)) if locators else None
        return self.hits(replace(self._request, text=text, vector=vector, filter=named), MIN_RETRIEVED), vector

    async def around(self, places: Sequence[Place]) -> tuple[Hit, ...]:
        points = self._index.around(self._request, places)
        points.sort(key=lambda point: (point.payload.doc_id, point.payload.ordinal))
        self.read.update(point.chunk_id for point in points)
        return tuple(Hit(point.chunk_id, 0.0, point.payload) for point in points)


def _reranked(reranker: Reranker, query: str, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    texts = ["\n".join(filter(None, (hit.payload.title, *hit.payload.headings, hit.payload.text))) for hit in hits]
    scored = zip(hits, reranker.score(query, texts), strict=True)
    judged = [replace(hit, reranked=score) for hit, score in scored]
    return tuple(sorted(judged, key=lambda hit: -(hit.reranked or 0.0)))


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
            else:
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
    places = [
        "\n".join([*one.heading_path, one.text, one.markdown, *(quotes.get(number, "") for number in one.citations)])
        for one in end.excerpts
    ] or ["\n".join([text, *quotes.values()])]
    cited = dict.fromkeys(passages[citation.rank].payload.doc_id for citation in end.citations)
    shown = Shown.ANSWERED if end.outcome is Outcome.ANSWERED else Shown.CLOSEST
    return _Answer(shown, text, tuple(places), tuple(cited))
