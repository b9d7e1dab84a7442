"""Answers by the model of the settings: how soon they begin and end, what they rest on, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from statistics import median

from benchmarks.report import Cell
from rag_core.answering import Abstained, Answered, Answerer, Citation, Delta, Question, Writing
from rag_core.errors import RagError

MAX_QUESTIONS = 50
"""Questions of one set unless `--queries` says otherwise: a model needs seconds for each."""
TITLE = "Answers written by the model"
COLUMNS = (
    "set", "questions", "answered", "answer in citations", "failed", "first token p50 ms", "first sentence p50 ms",
    "whole p50 ms", "tokens read", "tokens written", "cost per answer",
)  # fmt: skip


@dataclass(slots=True)
class WrittenTally:
    """What came of the questions of one set. Times in seconds."""

    asked: int = 0
    answered: int = 0
    contained: int = 0
    failed: int = 0
    first_tokens: list[float] = field(default_factory=list)
    first_sentences: list[float] = field(default_factory=list)
    wholes: list[float] = field(default_factory=list)
    prompts: list[int] = field(default_factory=list)
    completions: list[int] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    currency: str = ""

    async def ask(self, answerer: Answerer, question: Question, holds: Callable[[Citation], bool]) -> None:
        """Ask one question, one at a time with the others."""
        self.asked += 1
        started, first = time.perf_counter(), None
        try:
            async with aclosing(answerer.answer(question)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        first = first or time.perf_counter() - started
                    elif not isinstance(event, Writing):
                        self._count(event, holds)
        except RagError:
            self.failed += 1
            return
        self.wholes.append(time.perf_counter() - started)
        if first is not None:
            self.first_sentences.append(first)

    def _count(self, event: Answered | Abstained, holds: Callable[[Citation], bool]) -> None:
        if isinstance(event, Answered):
            self.answered += 1
            self.contained += any(map(holds, event.citations))
        if event.answered_by.first_token is not None:
            self.first_tokens.append(event.answered_by.first_token)
        if event.tokens is not None:
            self.prompts.append(event.tokens.prompt)
            self.completions.append(event.tokens.completion)
            if event.tokens.cost is not None:
                self.costs.append(event.tokens.cost)
                self.currency = event.tokens.currency

    def row(self, name: str) -> tuple[Cell, ...]:
        """The row of a set; what was never measured is a dash."""
        cost = f"{sum(self.costs) / len(self.costs):.3g} {self.currency}" if self.costs else "–"
        times = (_p50(self.first_tokens, 1000), _p50(self.first_sentences, 1000), _p50(self.wholes, 1000))
        sizes = (_p50(self.prompts), _p50(self.completions))
        shares = (self.answered / max(self.asked, 1), self.contained / max(self.asked, 1))
        return (name, self.asked, *shares, self.failed, *times, *sizes, cost)


def _p50(values: list[float] | list[int], scale: int = 1) -> Cell:
    return round(median(values) * scale) if values else "–"
