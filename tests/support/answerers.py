"""Answerers whose answers tests need to be of a certain kind."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from rag_core.answering import (
    Abstained,
    Abstention,
    Answered,
    AnswerEvent,
    Delta,
    Message,
    Question,
    StandaloneQuestion,
)
from rag_core.answering.citations import cite


class EchoAnswerer:
    """Reads the best passage out, in equal pieces, and cites its beginning: it answers what the index holds."""

    def __init__(self, piece: int) -> None:
        self._piece = piece

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        if not question.hits:
            yield Abstained(Abstention.NO_RESULTS)
            return
        hit = question.hits[0]
        text = f"{hit.payload.text} [1]"
        for start in range(0, len(text), self._piece):
            yield Delta(text[start : start + self._piece])
        yield Answered((cite(hit, number=1, rank=0, start=0, end=min(100, len(hit.payload.text))),))

    async def standalone(self, question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
        return StandaloneQuestion(question)

    async def close(self) -> None:
        return
