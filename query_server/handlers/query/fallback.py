"""Written answers with a fallback: when the model's endpoint fails, the extractive answerer answers, and says why."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from query_server.runtime.breaker import Breaker
from query_server.runtime.metrics import Metrics
from rag_core.answering import Answerer, AnswerEvent, Delta, Message, Question, StandaloneQuestion, open_answerer
from rag_core.errors import DeadlineExceeded, PermissionDenied, RagError, Reason, Unavailable
from rag_core.settings import Settings

FAILURES_IN_A_ROW = 5
"""Failures of the endpoint, one after the other, after which it is only tried now and then."""
COOLDOWN_SECONDS = 10.0
RESERVE_SECONDS = 1.0
"""Kept of the caller's time for the extractive answerer, at most `_RESERVE_SHARE` of it."""
_RESERVE_SHARE = 0.3
_OWN_FAILURES = frozenset({Reason.ANSWERER_UNAVAILABLE, Reason.DEADLINE, Reason.EGRESS_FORBIDDEN})


def with_fallback(settings: Settings, answerer: Answerer, metrics: Metrics) -> Answerer:
    """The configured answerer; one that is a model's endpoint gets a circuit breaker and, by the settings, a fallback.

    The caller closes `answerer`; what takes over holds nothing open.
    """
    if settings.answerer == "extractive":
        return answerer
    quotes = open_answerer(settings.model_copy(update={"answerer": "extractive"}))
    return FallbackAnswerer(answerer, quotes if settings.answer_fallback else None, metrics)


class InsteadAnswerer:
    """The answerer that takes over for a model, and says why in each answer."""

    def __init__(self, quotes: Answerer, reason: Reason) -> None:
        self._quotes = quotes
        self._reason = reason

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        async with aclosing(self._quotes.answer(question)) as events:
            async for event in events:
                if not isinstance(event, Delta):
                    event = replace(event, answered_by=replace(event.answered_by, instead_because=self._reason))
                yield event

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        return await self._quotes.standalone(question, earlier)

    async def close(self) -> None:
        await self._quotes.close()


class FallbackAnswerer:
    """See `Answerer`. A model that fails after its first sentence fails the answer: what was sent cannot be unsaid.

    `quotes` is the answerer that takes over; `None` lets the failure through.
    """

    def __init__(self, model: Answerer, quotes: Answerer | None, metrics: Metrics) -> None:
        self._model = model
        self._quotes = quotes
        self._metrics = metrics
        self._breaker = Breaker(
            FAILURES_IN_A_ROW,
            gauge=metrics.endpoint_silent.labels("answer"),
            reason=Reason.ANSWERER_UNAVAILABLE,
            what="the answer model",
            cooldown=COOLDOWN_SECONDS,
            waited=float("inf"),
        )

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        async with aclosing(self._model.answer(question)) as events:
            try:
                first = await self._first(events, question)
            except RagError as error:
                if self._quotes is None or error.reason not in _OWN_FAILURES:
                    raise
                reason = error.reason
            else:
                yield first
                async for event in events:
                    yield event
                return
        self._metrics.answer_fallbacks.labels(reason).inc()
        async with aclosing(InsteadAnswerer(self._quotes, reason).answer(question)) as events:
            async for event in events:
                yield event

    def without_quotes(self) -> FallbackAnswerer:
        """The same model, with the same circuit breaker, for callers who want its words or none."""
        alone = copy.copy(self)
        alone._quotes = None
        return alone

    async def _first(self, events: AsyncGenerator[AnswerEvent, None], question: Question) -> AnswerEvent:
        """The first event, awaited as long as the caller's time allows for a fallback after it."""
        if not question.hits:
            return await anext(events)  # no call of the endpoint
        with self._breaker.call():
            try:
                async with asyncio.timeout(_time_for_model(question.deadline)):
                    return await anext(events)
            except TimeoutError:
                message = "the answer model had written no sentence when the caller's time was nearly over"
                raise DeadlineExceeded(Reason.DEADLINE, message) from None

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        if not earlier:
            return StandaloneQuestion(question)
        try:
            with self._breaker.call():
                return await self._model.standalone(question, earlier)
        except Unavailable:
            self._metrics.rewrites_failed.inc()
            if self._quotes is None:
                raise
            return await self._quotes.standalone(question, earlier)
        except PermissionDenied:  # the egress policy: words are carried over here
            if self._quotes is None:
                raise
            return await self._quotes.standalone(question, earlier)

    async def close(self) -> None:
        await self._model.close()
        if self._quotes is not None:
            await self._quotes.close()


def _time_for_model(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    return left - min(RESERVE_SECONDS, left * _RESERVE_SHARE)
