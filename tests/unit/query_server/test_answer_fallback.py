"""Who answers while a model is asked, when it fails, and what a reader sees meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from query_server.handlers.query.fallback import FallbackAnswerer
from query_server.runtime.metrics import Metrics
from rag_core.answering import (
    Abstained,
    Abstention,
    Answered,
    AnswerEvent,
    Delta,
    Message,
    Question,
    StandaloneQuestion,
    Tokens,
)
from rag_core.errors import Reason, Unavailable
from tests.support.hits import hit


class _Absent:
    """A model whose endpoint refuses every connection."""

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        raise Unavailable(Reason.ANSWERER_UNAVAILABLE, "connection refused")
        yield Delta("")

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        return StandaloneQuestion(question)

    async def close(self) -> None:
        return


class _SlowQuotes(_Absent):
    """Quotes whose first composition does not end, as on a machine that has no processor left for it."""

    def __init__(self) -> None:
        self._calls = 0

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        self._calls += 1
        if self._calls == 1:
            await asyncio.Event().wait()
        yield Delta("16 weeks")
        yield Answered(())


class _Told(_Absent):
    """A model with this end, of which no sentence is left."""

    def __init__(self, end: Abstained) -> None:
        self._end = end

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        yield self._end


class _Quotes(_Absent):
    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        yield Delta("16 weeks")
        yield Answered(())


async def test_quotes_come_instead_of_sentences_that_no_passage_says_and_a_model_without_an_answer_is_believed() -> (
    None
):
    spent = Tokens(100, 20)
    question = Question("How long is parental leave?", (hit("16 weeks"),))

    async def asked(*, dropped: bool, fallback: bool = True) -> AnswerEvent:
        end = Abstained(Abstention.NOT_SUPPORTED, spent, dropped=dropped)
        answerer = FallbackAnswerer(_Told(end), _Quotes() if fallback else None, Metrics())
        return [event async for event in answerer.answer(question)][-1]

    quoted = await asked(dropped=True)
    assert isinstance(quoted, Answered)
    assert (quoted.answered_by.instead_because, quoted.tokens) == (Reason.ANSWER_UNSUPPORTED, spent)
    assert isinstance(await asked(dropped=True, fallback=False), Abstained)
    assert isinstance(await asked(dropped=False), Abstained)


async def test_of_a_model_that_failed_nobody_reads_that_it_writes_however_long_quotes_take() -> None:
    answerer = FallbackAnswerer(_Absent(), _SlowQuotes(), Metrics(), model_name="m")
    question = Question("How long is parental leave?", (hit("16 weeks"),), progress=True)
    async with asyncio.timeout(30):
        events = [type(event) async for event in answerer.answer(question)]
    assert events == [Delta, Answered]
