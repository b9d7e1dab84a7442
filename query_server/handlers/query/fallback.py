"""Written answers with a fallback: when the model's endpoint fails, the extractive answerer answers, and says why."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace

from query_server.runtime.breaker import Breaker
from query_server.runtime.metrics import Metrics
from rag_core.answering import (
    Abstained,
    Answered,
    Answerer,
    AnswerEvent,
    Message,
    Question,
    StandaloneQuestion,
    Tokens,
    Writing,
    open_answerer,
)
from rag_core.errors import DeadlineExceeded, PermissionDenied, RagError, Reason, Unavailable
from rag_core.logging import get_logger
from rag_core.settings import Settings

_log = get_logger("query_server.answers")

FAILURES_IN_A_ROW = 5
"""Failures of the endpoint, one after the other, after which it is only tried now and then."""
COOLDOWN_SECONDS = 10.0
RESERVE_SECONDS = 1.0
"""Kept of the caller's time for the extractive answerer, at most `_RESERVE_SHARE` of it."""
_RESERVE_SHARE = 0.3
QUOTES_SECONDS = 1.0
"""Seconds that a reader waits for quotes before they are at least shown that a model writes."""
_OWN_FAILURES = frozenset({Reason.ANSWERER_UNAVAILABLE, Reason.DEADLINE, Reason.EGRESS_FORBIDDEN})


def with_fallback(settings: Settings, answerer: Answerer, metrics: Metrics) -> Answerer:
    """The configured answerer; one that is a model's endpoint gets a circuit breaker and, by the settings, a fallback.

    The caller closes `answerer`; what takes over holds nothing open.
    """
    if settings.answerer == "extractive":
        return answerer
    quotes = open_answerer(settings.model_copy(update={"answerer": "extractive"}))
    return FallbackAnswerer(
        answerer, quotes if settings.answer_fallback else None, metrics, model_name=settings.answer_model or ""
    )


class InsteadAnswerer:
    """The answerer that takes over for a model, and says why in each answer."""

    def __init__(self, quotes: Answerer, reason: Reason, tokens: Tokens | None = None) -> None:
        """`tokens` are those that the model took before."""
        self._quotes = quotes
        self._reason = reason
        self._tokens = tokens

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        async with aclosing(self._quotes.answer(question)) as events:
            async for event in events:
                if isinstance(event, (Answered, Abstained)):
                    by = replace(event.answered_by, instead_because=self._reason)
                    event = replace(event, answered_by=by, tokens=event.tokens or self._tokens)
                yield event

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        return await self._quotes.standalone(question, earlier)

    async def close(self) -> None:
        await self._quotes.close()


class FallbackAnswerer:
    """See `Answerer`. A model that fails after its first sentence fails the answer: what was sent cannot be unsaid.
    One that writes nothing that a passage says has failed, too.

    `quotes` is the answerer that takes over; `None` lets the failure through.
    """

    def __init__(self, model: Answerer, quotes: Answerer | None, metrics: Metrics, *, model_name: str = "") -> None:
        self._model, self._model_name = model, model_name
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
            first = asyncio.create_task(self._first(events, question))
            try:
                if question.progress and question.hits and self._quotes is not None:
                    async for progress in self._progress(first, self._quotes, question):
                        yield progress
                await asyncio.wait((first,))
                instead = self._taking_over(first)
                if instead is None:
                    yield first.result()
                    async for event in events:
                        yield event
                    return
            finally:
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
        async with aclosing(instead.answer(question)) as events:
            async for event in events:
                yield event

    async def _progress(
        self, first: asyncio.Task[AnswerEvent], quotes: Answerer, question: Question
    ) -> AsyncGenerator[Writing, None]:
        """Until the model's first event or its failure: that it writes, and quotes when they are composed."""
        composed = asyncio.create_task(_quoted(quotes, question))
        try:
            await asyncio.wait((first, composed), timeout=QUOTES_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not first.done() and not composed.done():
                yield Writing(self._model_name)
                await asyncio.wait((first, composed), return_when=asyncio.FIRST_COMPLETED)
            if not first.done():
                yield Writing(self._model_name, composed.result())
        finally:
            composed.cancel()
            await asyncio.gather(composed, return_exceptions=True)

    def _taking_over(self, first: asyncio.Task[AnswerEvent]) -> InsteadAnswerer | None:
        """Return who answers for a model that failed, `None` for one that answers. Raises what nobody takes over."""
        error = first.exception()
        if error is None:
            event = first.result()
            if self._quotes is None or not (isinstance(event, Abstained) and event.dropped):
                return None
            self._metrics.answer_fallbacks.labels(Reason.ANSWER_UNSUPPORTED).inc()
            return InsteadAnswerer(self._quotes, Reason.ANSWER_UNSUPPORTED, event.tokens)
        if isinstance(error, RagError) and self._quotes is not None and error.reason in _OWN_FAILURES:
            self._metrics.answer_fallbacks.labels(error.reason).inc()
            return InsteadAnswerer(self._quotes, error.reason)
        raise error

    def without_quotes(self) -> FallbackAnswerer:
        """The same model, with the same circuit breaker, for callers who want its words or none."""
        alone = copy.copy(self)
        alone._quotes = None
        return alone

    async def _first(self, events: AsyncGenerator[AnswerEvent, None], question: Question) -> AnswerEvent:
        """The first event, awaited as long as the caller's time allows for a fallback after it."""
        if not question.hits:
            return await anext(events)  # no call of the endpoint
        with self._called():
            try:
                async with asyncio.timeout(_time_for_model(question.deadline)):
                    return await anext(events)
            except TimeoutError:
                message = "the answer model had written no sentence when the caller's time was nearly over"
                raise DeadlineExceeded(Reason.DEADLINE, message) from None

    @contextmanager
    def _called(self) -> Iterator[None]:
        """The circuit breaker around one call of the endpoint; logs once when it opens and once when it closes."""
        was = self._breaker.open
        try:
            with self._breaker.call():
                yield
        finally:
            if self._breaker.open != was:
                _log.warning("answer_model_back" if was else "answer_model_left_alone", model=self._model_name)

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        if not earlier:
            return StandaloneQuestion(question)
        try:
            with self._called():
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


async def _quoted(quotes: Answerer, question: Question) -> Answered | None:
    """Return an answer of quotes; `None` when there is none, or it fails: the model may still write one."""
    try:
        async with aclosing(quotes.answer(question)) as events:
            return next(iter([event async for event in events if isinstance(event, Answered)]), None)
    except RagError:
        return None


def _time_for_model(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    return left - min(RESERVE_SECONDS, left * _RESERVE_SHARE)
