"""Answers: retrieve, let the answerer write, and end every stream with exactly one final event."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from query_server.auth.usage import UsageMeter
from query_server.handlers.query import conversation
from query_server.handlers.query.answerers import Answerers, ModelTokens
from query_server.handlers.query.conversation import Conversations
from query_server.handlers.query.curations import NO_CURATIONS, AppliedCurations
from query_server.handlers.query.fallback import InsteadAnswerer
from query_server.handlers.query.plan import Plan
from query_server.handlers.query.resuming import (
    Progress,
    ResumableDelta,
    ResumeTokens,
    after_cursor,
    context_of,
    lost,
    resumable,
)
from query_server.handlers.query.search import SearchHandler
from query_server.handlers.query.validation import Query
from query_server.runtime.metrics import Metrics
from query_server.runtime.traffic import FAILED, Traffic
from rag_core.answering import (
    CURATED,
    MIN_RETRIEVED,
    Abstained,
    Abstention,
    Answered,
    AnsweredBy,
    Answerer,
    AnswerEvent,
    Delta,
    Message,
    Question,
    StandaloneBy,
    StandaloneQuestion,
    Writing,
    check_citations,
    check_evidence,
    last_answer,
)
from rag_core.errors import DeadlineExceeded, NotFound, RagError, Reason
from rag_core.governance.access import Principal
from rag_core.http_client import Provenance, sending
from rag_core.retrieval.curation import CurationAction
from rag_core.retrieval.index import ChunkRange, SearchHit, SearchResult
from rag_core.retrieval.search import SuggestedFilter
from rag_tracing import openinference, span

FINAL_MARGIN_SECONDS = 0.1
"""Kept from the caller's deadline so that the final event still reaches it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The end of an answer that broke off after its first words."""

    error: RagError


Event = Writing | ResumableDelta | Answered | Abstained | Failed


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages that an answer rests on, and the question it answers. `started` is a reading of `time.monotonic`."""

    result: SearchResult
    as_of: datetime | None
    started: float
    question: StandaloneQuestion
    rerank_skipped: Reason | None = None
    curations: AppliedCurations = NO_CURATIONS
    suggested: tuple[SuggestedFilter, ...] = ()

    def milliseconds(self) -> int:
        """Since the request."""
        return round((time.monotonic() - self.started) * 1000)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, or the closest passages (see `Outcome`). `text` is empty when `outcome` is an abstention."""

    text: str
    outcome: Answered | Abstained
    result: SearchResult


class AnswerHandler:
    """Answers questions in one piece or as a stream; both come from the same events."""

    def __init__(
        self,
        search: SearchHandler,
        answerers: Answerers,
        conversations: Conversations,
        resumes: ResumeTokens,
        metrics: Metrics,
        traffic: Traffic,
        usage: UsageMeter,
    ) -> None:
        self._search = search
        self._answerers = answerers
        self._conversations = conversations
        self._resumes = resumes
        self._metrics = metrics
        self._traffic = traffic
        self._usage = usage

    def _answerer(self, principal: Principal, query: Query) -> Answerer:
        """Return the answerer: quotes, where the budget of model tokens is used up. Raises as `Answerers.of`."""
        problem = self._usage.tokens_used_up(principal)
        found = self._answerers.of(query.answerer, out_of_budget=problem, fallback=query.fallback)
        if isinstance(found, InsteadAnswerer):
            self._metrics.answer_fallbacks.labels(Reason.QUOTA_EXCEEDED).inc()
        return found

    async def answer(self, principal: Principal, query: Query, deadline: float) -> Answer:
        """The whole answer. Raises what retrieval and the answerer raise."""
        plan = self._search.checked(principal, query)
        earlier = self._conversations.checked(query.messages)
        found, events = await self._start(principal, plan, self._answerer(principal, query), earlier, deadline)
        text: list[str] = []
        outcome: Answered | Abstained = Abstained(Abstention.NOT_SUPPORTED)
        async for event in events:
            if isinstance(event, Delta):
                text.append(event.text)
            elif not isinstance(event, Writing):
                outcome = event
        return Answer("".join(text) if isinstance(outcome, Answered) else "", outcome, found.result)

    async def stream(
        self, principal: Principal, query: Query, deadline: float
    ) -> tuple[Retrieved, AsyncGenerator[Event, None]]:
        """Return what was retrieved, and the events. `deadline` is a reading of `time.monotonic`.

        A failure before the first event is raised, so that it becomes the status of the call; after it, it is the final
        event `Failed`, because a REST client has already seen 200.

        With a resume token the text that the caller has is left out. Raises `InvalidInput` (`RESUME_TOKEN_INVALID`) and
        `Conflict` (`RESUME_LOST`, when the answer no longer begins with that text).
        """
        plan = self._search.checked(principal, query)
        earlier = self._conversations.checked(query.messages)
        answerer = self._answerer(principal, query)
        context = context_of(plan) + conversation.context_of(earlier) + query.answerer.encode()
        seen = self._resumes.read(query.resume_token, context) if query.resume_token else None
        pinned = plan.pinned_to(seen.generation) if seen else plan
        found, events = await self._start(principal, pinned, answerer, earlier, deadline, progress=query.progress)
        progress = Progress(found.result.generation)
        rest = after_cursor(events, seen, progress) if seen else events
        return found, _ended(resumable(rest, progress, partial(self._resumes.issue, context=context)))

    async def _start(
        self,
        principal: Principal,
        plan: Plan,
        answerer: Answerer,
        earlier: Sequence[Message],
        deadline: float,
        *,
        progress: bool = False,
    ) -> tuple[Retrieved, AsyncGenerator[AnswerEvent, None]]:
        started, own = time.monotonic(), plan.request.text
        egress = self._search.egress(principal.tenant)
        with sending(Provenance(egress)):
            asked = await self._conversations.understand(answerer, plan.request.text, earlier, deadline)
        plan = await self._search.curated(principal, plan.asking(asked.text))
        as_of, limit = self._search.as_of(principal), plan.request.limit
        found = await self._retrieve(plan)
        result = SearchResult(found.generation, found.hits[:limit])
        more = _More(self._search, plan.pinned_to(found.generation), {hit.chunk_id for hit in found.hits})
        compares = await self._search.compares_tokens(found.generation)
        question = Question(
            plan.request.text,
            result.hits,
            contrast=found.hits[limit:],
            compare=partial(self._search.compare, found.generation, principal.tenant) if compares else None,
            search=more.search,
            around=more.around,
            deadline=deadline,
            egress=egress,
            progress=progress,
            follow_up=own if asked.by is StandaloneBy.WORDS else "",
            previous=last_answer(earlier),
            perhaps=asked.perhaps,
            pinned=frozenset(map(uuid.UUID, plan.curations.documents(CurationAction.PIN))),
        )
        skipped, curations = self._search.rerank_skipped(plan, found.hits), plan.curations
        suggested = await self._search.suggested(plan.pinned_to(found.generation))
        retrieved = Retrieved(result, as_of, started, asked, skipped, curations, suggested)
        by_model = curations.answer is None and self._answerers.by_model(answerer)
        spent = ModelTokens(asked.tokens, question, by_model=by_model)
        written = _written(curations.answer.answer) if curations.answer else answerer.answer(question)
        events = self._events(principal, written, question, more.read, asked, spent, deadline)
        return retrieved, _traced(events)

    async def _retrieve(self, plan: Plan) -> SearchResult:
        try:
            found, _ = await self._search.retrieve(plan, max(plan.request.limit, MIN_RETRIEVED))
            return found
        except NotFound as error:
            if plan.by_token and error.reason is Reason.GENERATION_NOT_FOUND:
                raise lost() from None  # it was retired since the stream was cut
            raise

    async def _events(
        self,
        principal: Principal,
        written: AsyncGenerator[AnswerEvent, None],
        question: Question,
        read: set[uuid.UUID],
        asked: StandaloneQuestion,
        spent: ModelTokens,
        deadline: float,
    ) -> AsyncGenerator[AnswerEvent, None]:
        outcome, cited = FAILED, list[SearchHit]()
        try:
            async with aclosing(_until(written, deadline)) as events:
                async for event in events:
                    if isinstance(event, Answered):
                        cited = _cited(event, question, read)
                    elif isinstance(event, Writing) and event.quotes is not None:
                        _cited(event.quotes, question, read)
                    spent.saw(event)
                    if isinstance(event, (Answered, Abstained)):
                        outcome = event.reason.value if isinstance(event, Abstained) else event.outcome.lower()
                        self._count_model(event)
                        event = replace(event, tokens=conversation.added(asked.tokens, event.tokens))
                    yield event
        finally:
            self._metrics.answers.labels(outcome).inc()
            self._usage.add_tokens(principal, spent.tokens)
            self._traffic.record_answer(principal.tenant, question.text, outcome, cited)

    def _count_model(self, event: Answered | Abstained) -> None:
        conversation.count_tokens(self._metrics, event.tokens)
        if event.answered_by.first_token is not None:
            self._metrics.first_token_seconds.observe(event.answered_by.first_token)


async def _written(answer: str) -> AsyncGenerator[AnswerEvent, None]:
    """The answer of an editor, which rests on no passage."""
    yield Delta(answer)
    yield Answered((), markdown=answer, answered_by=AnsweredBy(CURATED))


def _cited(answer: Answered, question: Question, read: set[uuid.UUID]) -> list[SearchHit]:
    """The passages that an answer cites. Raises `RagError` (`CITATION_INVALID`) when it may not cite one."""
    check_evidence(answer.evidence, read)
    passages = [*question.hits, *answer.evidence]
    check_citations(answer.citations, passages)
    return [passages[citation.rank] for citation in answer.citations]


async def _traced(events: AsyncGenerator[AnswerEvent, None]) -> AsyncGenerator[AnswerEvent, None]:
    """The events, with the time from the passages to the last word as one span."""
    with span("answer", openinference.CHAIN, current=False) as block:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, (Answered, Abstained)):
                    block.set(_described(event))
                yield event


def _described(event: Answered | Abstained) -> dict[str, object]:
    by, tokens = event.answered_by, event.tokens
    return {
        "rag.answer.outcome": event.reason.value if isinstance(event, Abstained) else event.outcome.value,
        "rag.answer.citations": len(event.citations) if isinstance(event, Answered) else 0,
        "gen_ai.provider.name": by.answerer,
        "gen_ai.request.model": by.model or None,
        "gen_ai.usage.input_tokens": tokens.prompt if tokens else None,
        "gen_ai.usage.output_tokens": tokens.completion if tokens else None,
    }


class _More:
    """Reads hits for an answerer beyond the first: by the same plan, so for the same caller, filter and generation."""

    def __init__(self, search: SearchHandler, plan: Plan, read: set[uuid.UUID]) -> None:
        self._search = search
        self._plan = plan
        self.read = read
        """Ids of every chunk that the answerer was given."""

    async def search(self, text: str, locators: Sequence[str]) -> tuple[SearchHit, ...]:
        """See `rag_core.answering.base.SearchAgain`."""
        try:
            found, _ = await self._search.retrieve(self._plan.asking(text, locators), MIN_RETRIEVED)
        except NotFound:
            raise lost() from None
        self.read.update(hit.chunk_id for hit in found.hits)
        return found.hits

    async def around(self, places: Sequence[ChunkRange]) -> tuple[SearchHit, ...]:
        """See `rag_core.answering.base.ReadAround`."""
        try:
            hits = await self._search.around(self._plan, places)
        except NotFound:
            raise lost() from None
        self.read.update(hit.chunk_id for hit in hits)
        return hits


async def _until(events: AsyncGenerator[AnswerEvent, None], deadline: float) -> AsyncGenerator[AnswerEvent, None]:
    """The events, each awaited until shortly before the deadline, so that a final event still reaches the caller."""
    allowed = deadline - time.monotonic()
    stop_at = deadline - min(FINAL_MARGIN_SECONDS, allowed * 0.1)
    async with aclosing(events):
        while True:
            try:
                async with asyncio.timeout(stop_at - time.monotonic()):
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise DeadlineExceeded(Reason.DEADLINE, "the answer was not finished in time") from None
            yield event


async def _ended(
    events: AsyncGenerator[Writing | ResumableDelta | Answered | Abstained, None],
) -> AsyncGenerator[Event, None]:
    begun = False
    async with aclosing(events):
        try:
            async for event in events:
                yield event
                begun = True
        except RagError as error:
            if not begun:
                raise
            yield Failed(error)
        except Exception:
            if begun:
                yield Failed(RagError(Reason.INTERNAL, "the answer broke off"))
            raise
