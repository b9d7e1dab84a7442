"""Extend the block that answers to what is shown: whole blocks around it.

A window is a run of adjacent blocks of one document. It begins with the block that answers, takes what that cannot be
understood without (what introduces a list, the rest of code that was cut), then the rest of its passage and of its
section, as long as the whole stays readable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Final

from rag_core.answering.evidence import is_chinese
from rag_core.answering.extractive.reading import BlockPosition, Reading
from rag_core.answering.extractive.text import parts
from rag_core.answering.sentences import split_sentences
from rag_core.content.parsing import PROSE, BlockKind, PartKind

WINDOW_CHARS: Final = 1200
"""Characters of a window; half as many of Chinese, which says as much."""
_CUT: Final = frozenset({BlockKind.CODE, BlockKind.LIST, BlockKind.TABLE, BlockKind.PARAGRAPH, BlockKind.DEFINITIONS})
"""Blocks that a chunk border may cut."""
_INTRODUCED: Final = frozenset({BlockKind.CODE, BlockKind.LIST, BlockKind.TABLE, BlockKind.DEFINITIONS})
_ADDRESS: Final = re.compile(r"\W{0,4}https?://\S+")
_ANNOUNCES: Final = (":", "：")

Relevance = Callable[[int, int, int], float]
"""Score of a span of a passage for the question: (passage, start, end) in offsets of the document."""


class PieceKind(StrEnum):
    """Form in which a piece is written."""

    TEXT = "text"
    CODE = "code"
    LIST = "list"
    TABLE = "table"
    DEFINITION = "definition"
    HEADING = "heading"


_KINDS: Final = {
    BlockKind.HEADING: PieceKind.HEADING,
    BlockKind.LIST: PieceKind.LIST,
    BlockKind.TABLE: PieceKind.TABLE,
    BlockKind.CODE: PieceKind.CODE,
    BlockKind.DEFINITIONS: PieceKind.DEFINITION,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` is the span `start:end` of the document of passage number `passage`. `header` is a table's header row, or
    the terms of a description that was cut. `cut`: what stood before it, on its first line too, is missing."""

    kind: PieceKind
    passage: int
    start: int
    end: int
    text: str
    language: str = ""
    header: str = ""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """Adjacent pieces of one document, and the block that they are shown for."""

    focus: BlockPosition
    positions: range
    pieces: tuple[Piece, ...]


def window(reading: Reading, at: int, relevance: Relevance, taken: Container[int] = ()) -> Window:
    """The window around the block at position `at` of a reading, without the positions that others have `taken`."""
    focus = reading.positions[at]
    limit = WINDOW_CHARS // (2 if is_chinese(reading.text(focus)) else 1)
    first, last = _whole(reading, at)
    if _size(reading, first, last) > limit:
        pieces = [*_introduction(reading, first), *_shortened(reading, first, last, at, limit, relevance)]
        return Window(focus, range(first, last + 1), tuple(pieces))
    first, last = _grown(reading, first, last, at, limit, taken)
    pieces = [piece_of(reading, one) for one in range(first, last + 1)]
    begun = [*_begun(reading, last + 1, at, limit - _size(reading, first, last), taken)]
    return Window(focus, range(first, last + 1 + len(begun)), (*pieces, *begun))


def piece_of(reading: Reading, at: int, start: int | None = None, end: int | None = None) -> Piece:
    """A block, or a part of it, as a piece."""
    position = reading.positions[at]
    block = position.block
    end = block.end if end is None else end
    if start is None:
        start = next((part.start for part in block.parts if part.kind is PartKind.ROW), block.start)
    text = reading.passages[position.passage].slice(start, end)
    left, right = len(text) - len(text.lstrip("\n")), len(text.rstrip())
    kind = _KINDS.get(block.kind, PieceKind.TEXT)
    header = block.header if start == block.start else ""
    if kind is PieceKind.TABLE:
        header = header_of(reading, at)
    cut = start == block.start and at > 0 and _continues(reading, at)
    return Piece(kind, position.passage, start + left, start + right, text[left:right], block.language, header, cut)


def header_of(reading: Reading, at: int) -> str:
    """The header row of a table, which a cut leaves in the passage before."""
    position = reading.positions[at]
    for part in position.block.parts:
        if part.kind is PartKind.HEADER:
            return reading.passages[position.passage].slice(part.start, part.end)
    return position.block.header


def _whole(reading: Reading, at: int) -> tuple[int, int]:
    """The positions of a block and of its parts in the passages before and behind."""
    first = last = at
    while first and _continues(reading, first):
        first -= 1
    while last + 1 < len(reading.positions) and _continues(reading, last + 1):
        last += 1
    return first, last


def _continues(reading: Reading, at: int) -> bool:
    """Return whether a block is the rest of the one before it, which ends where another passage begins."""
    position, before = reading.positions[at], reading.positions[at - 1]
    block, other = position.block, before.block
    adjacent = reading.run[at] == reading.run[at - 1] and position.passage != before.passage
    same = block.kind is other.kind and block.kind in _CUT and block.path == other.path
    return adjacent and same and 0 <= block.start - other.end <= 1


def _size(reading: Reading, first: int, last: int) -> int:
    return sum(_length(reading, at) for at in range(first, last + 1))


def _length(reading: Reading, at: int) -> int:
    block = reading.positions[at].block
    return block.end - block.start


def _grown(reading: Reading, first: int, last: int, at: int, limit: int, taken: Container[int]) -> tuple[int, int]:
    """The window with what introduces it or follows from it, then its passage, then its section, within the limit."""
    left = limit - _size(reading, first, last)
    for accept, step in product((_belongs, _of_passage, _of_section), (-1, 1)):
        at_end = first - 1 if step < 0 else last + 1
        while at_end not in taken and _adjacent(reading, at_end, at) and accept(reading, at_end, step, at):
            other = _whole(reading, at_end)
            if (size := _size(reading, *other)) > left:
                break
            left -= size
            first, last = min(first, other[0]), max(last, other[1])
            at_end = first - 1 if step < 0 else last + 1
    return _trimmed(reading, first, last, at)


def _adjacent(reading: Reading, other: int, at: int) -> bool:
    return 0 <= other < len(reading.positions) and reading.run[other] == reading.run[at]


def _belongs(reading: Reading, other: int, step: int, at: int) -> bool:
    """Return whether a neighbour introduces what is shown, or is announced by it."""
    one = reading.positions[other - step]
    position = reading.positions[other]
    if position.block.path != one.block.path or position.block.kind is BlockKind.HEADING:
        return False
    if step < 0:
        return one.block.kind in _INTRODUCED and position.block.kind in PROSE
    return reading.text(one).rstrip().endswith(_ANNOUNCES)


def _of_passage(reading: Reading, other: int, step: int, at: int) -> bool:
    """Return whether a neighbour is of the same passage: before the focus only of its section."""
    position, focus = reading.positions[other], reading.positions[at]
    return position.passage == focus.passage and (step > 0 or position.block.path == focus.block.path)


def _of_section(reading: Reading, other: int, step: int, at: int) -> bool:
    """Return whether a neighbour stands under the same heading, or behind the focus under one below that."""
    path, own = reading.positions[other].block.path, reading.positions[at].block.path
    return path == own if step < 0 else bool(own) and path[: len(own)] == own


def _trimmed(reading: Reading, first: int, last: int, at: int) -> tuple[int, int]:
    """The window without a heading at its beginning, which is shown above it, or at its end, where it heads nothing.
    Nor does it begin with an address, which belongs to what stands before it."""
    while first < last and reading.positions[first].block.kind is BlockKind.HEADING:
        first += 1
    while first < at and _ADDRESS.fullmatch(reading.text(reading.positions[first])):
        first += 1
    while last > first and reading.positions[last].block.kind is BlockKind.HEADING:
        last -= 1
    return first, last


# --------------------------------------------------------------------------------------------------------------------
# Blocks that are too long to be shown whole.


def _begun(reading: Reading, begin: int, at: int, left: int, taken: Container[int]) -> Iterator[Piece]:
    """The first items or rows, as many as fit, of a list or table that follows in the same section and is too long to
    be shown whole."""
    if begin in taken or not _adjacent(reading, begin, at) or not _of_section(reading, begin, 1, at):
        return
    if reading.positions[begin].block.kind not in _INTRODUCED - {BlockKind.CODE}:
        return
    for one in range(begin, _whole(reading, begin)[1] + 1):
        spans = [*parts(reading, one)]
        fit = [span for span in spans if span[1] - spans[0][0] <= left]
        if fit:
            yield piece_of(reading, one, fit[0][0], fit[-1][1])
        if len(fit) < len(spans):
            return
        left -= _length(reading, one)


def _introduction(reading: Reading, first: int) -> Iterator[Piece]:
    """The last sentence before a long list, table or code."""
    if not _adjacent(reading, first - 1, first) or not _belongs(reading, first - 1, -1, first):
        return
    position = reading.positions[first - 1]
    spans = split_sentences(reading.text(position))
    if spans:
        start = position.block.start + spans[-1][0]
        yield piece_of(reading, first - 1, start)


def _shortened(reading: Reading, first: int, last: int, at: int, limit: int, relevance: Relevance) -> Iterator[Piece]:
    """The parts of a long block around the one that answers: rows, items, sentences, lines."""
    spans = [(one, *span) for one in range(first, last + 1) for span in parts(reading, one)]
    if not spans:
        return
    scores = [relevance(reading.positions[one].passage, start, end) if one == at else -1.0 for one, start, end in spans]
    if reading.positions[at].block.kind is BlockKind.TABLE:
        yield from _rows(reading, spans, scores, limit)
        return
    low = high = max(range(len(spans)), key=lambda number: scores[number])
    used = spans[low][2] - spans[low][1]
    moved = True
    while moved:
        moved = False
        for other in (high + 1, low - 1):
            if 0 <= other < len(spans) and used + (size := spans[other][2] - spans[other][1]) <= limit:
                used += size
                low, high, moved = min(low, other), max(high, other), True
    for one in range(spans[low][0], spans[high][0] + 1):
        own = [span for span in spans[low : high + 1] if span[0] == one]
        yield piece_of(reading, one, own[0][1], own[-1][2])


def _rows(reading: Reading, spans: list[tuple[int, int, int]], scores: list[float], limit: int) -> Iterator[Piece]:
    """The rows of a long table that answer nearly as well as the best one, each under the header."""
    best = max(scores)
    used = 0
    for (one, start, end), score in zip(spans, scores, strict=True):
        if score >= best - 0.02 and (not used or used + end - start <= limit):
            used += end - start
            yield piece_of(reading, one, start, end)
