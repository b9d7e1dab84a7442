"""Rank the statements of a passage by how well they answer: the best are marked where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rag_core.answering.evidence import asks
from rag_core.answering.extractive.question import Asked
from rag_core.answering.extractive.reading import Reading
from rag_core.answering.extractive.terms import bag, coverage
from rag_core.answering.extractive.text import statements
from rag_core.answering.late_interaction import TokenMatches
from rag_core.content.parsing import BlockKind

MOST: Final = 3
NEAR: Final = 0.93
"""Share of the best statement's score from which another one is marked too."""
WORDS: Final = 0.25
"""Weight of the question's words beside MaxSim."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A span of the document of a block at position `at` of a reading, and how well it answers."""

    at: int
    start: int
    end: int
    score: float


class Relevance:
    """Score spans of passages by MaxSim and by the words of the question in them."""

    def __init__(self, reading: Reading, asked: Asked, matches: dict[int, TokenMatches]) -> None:
        """`matches` are those of passages by number."""
        self._reading, self._asked, self._matches = reading, asked, matches

    def __call__(self, passage: int, start: int, end: int) -> float:
        origin = self._reading.passages[passage].start
        text = self._reading.passages[passage].slice(start, end)
        matches = self._matches.get(passage)
        score = matches.within(start - origin, end - origin) if matches else 0.0
        return score + WORDS * coverage(self._asked.terms, bag(text))


def ranked(reading: Reading, positions: Sequence[int], asked: Asked, relevance: Relevance) -> list[Statement]:
    """Return the statements of blocks, best first, without those that ask themselves."""
    found = [
        Statement(at, start, end, relevance(reading.positions[at].passage, *understood))
        for at in positions
        if reading.positions[at].block.kind is not BlockKind.HEADING
        for (start, end), understood in statements(reading, at)
        if not asks(asked.text, reading.passages[reading.positions[at].passage].slice(start, end))
    ]
    return sorted(found, key=lambda one: -one.score)
