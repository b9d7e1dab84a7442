"""Select what is shown of ranked passages: the best one, a second that adds something, and the further ones."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final

from rag_core.answering.base import Excerpt, Outcome
from rag_core.answering.extractive.highlights import MOST, NEAR, Relevance, ranked
from rag_core.answering.extractive.question import Asked
from rag_core.answering.extractive.ranking import Candidate
from rag_core.answering.extractive.reading import Passage, Reading, read
from rag_core.answering.extractive.rendering import Span, render
from rag_core.answering.extractive.terms import Bag, bag
from rag_core.answering.extractive.windows import Piece, Window, window
from rag_core.content.parsing import BlockKind

ALIKE: Final = 0.9
"""Share of the words of the shorter one from which two windows say the same."""
ADDS: Final = 0.2
"""Share of the question's words that only the second window has, from which it is part of the answer."""


@dataclass(frozen=True, slots=True)
class Selected:
    """The excerpts, and the span of each citation in the order of their numbers."""

    excerpts: tuple[Excerpt, ...]
    cited: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    window: Window
    marked: tuple[Span, ...]
    words: Bag


def select(
    asked: Asked, candidates: Sequence[Candidate], passages: Sequence[Passage], outcome: Outcome, limit: int
) -> Selected:
    """Show at most `limit` places. `passages` are those retrieved and then those around them."""
    reading = read(passages)
    relevance = Relevance(reading, asked, {one.rank: one.matches for one in candidates if one.matches is not None})
    places = _places(asked, candidates, reading, relevance, limit)
    excerpts: list[Excerpt] = []
    cited: list[Span] = []
    for number, place in enumerate(places):
        further = number > 0 and (outcome is Outcome.ANSWERED) and not (number == 1 and _adds(asked, places))
        passage, block = passages[place.window.focus.passage], place.window.focus.block
        excerpt, spans = render(
            passage, block.path, block.page, place.window.pieces, place.marked, len(cited), further=further
        )
        excerpts.append(excerpt)
        cited += spans
    return Selected(tuple(excerpts), tuple(cited))


def _places(
    asked: Asked, candidates: Sequence[Candidate], reading: Reading, relevance: Relevance, limit: int
) -> list[_Place]:
    """Return the windows of the best passages, without repetitions."""
    places: list[_Place] = []
    for one in candidates:
        if len(places) == limit:
            break
        place = _place(asked, one.rank, reading, relevance, {at for other in places for at in other.window.positions})
        if place is not None and not any(_repeats(place, other) for other in places):
            places.append(place)
    return places


def _place(asked: Asked, passage: int, reading: Reading, relevance: Relevance, taken: Container[int]) -> _Place | None:
    """Return the window around the best statement of a passage that is not shown yet."""
    own = [at for at, position in enumerate(reading.positions) if position.passage == passage and at not in taken]
    found = ranked(reading, own, asked, relevance)
    if not found:
        return None
    shown = window(reading, found[0].at, relevance, taken)
    if not shown.pieces:
        return None
    inside = [one for one in found if _inside(one.start, shown.pieces)]
    marked = [one for one in inside[:MOST] if one.score >= NEAR * found[0].score]
    prose = [one for one in inside if reading.positions[one.at].block.kind is not BlockKind.CODE]
    if prose and prose[0] not in marked:  # a line of code alone, which no Markdown can mark
        marked = [prose[0], *marked[: MOST - 1]]
    spans = tuple((passage, one.start, one.end) for one in marked)
    return _Place(shown, spans, bag("\n".join(f"{piece.header}\n{piece.text}" for piece in shown.pieces)))


def _inside(start: int, pieces: Sequence[Piece]) -> bool:
    return any(piece.start <= start < piece.end for piece in pieces)


def _repeats(one: _Place, other: _Place) -> bool:
    return len(one.words & other.words) > ALIKE * min(len(one.words), len(other.words))


def _adds(asked: Asked, places: Sequence[_Place]) -> bool:
    """Return whether the second place has words of the question that the first does not have."""
    first, second = places[0].words, places[1].words
    total = sum(term.weight for term in asked.terms) or 1.0
    new = sum(term.weight for term in asked.terms if first.isdisjoint(term.stems) and not second.isdisjoint(term.stems))
    return new >= ADDS * total
