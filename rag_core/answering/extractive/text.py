"""Spans of a block that can be quoted alone: sentences, items, rows, terms with their descriptions, lines of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from rag_core.answering.extractive.reading import BlockPosition, Reading
from rag_core.answering.sentences import split_sentences
from rag_core.content.parsing import BlockKind, Part, PartKind

Span = tuple[int, int]
"""Offsets in the text of a document."""
ITEM: Final = re.compile(r"\A\s*+(?:[-*+•·]|\d{1,3}[.)、])\s++")


def parts(reading: Reading, at: int) -> Iterator[Span]:
    """The spans of the block at a position that may be shown without the others."""
    position = reading.positions[at]
    block, text = position.block, reading.text(position)
    match block.kind:
        case BlockKind.TABLE:
            yield from ((part.start, part.end) for part in block.parts if part.kind is PartKind.ROW)
        case BlockKind.LIST:
            yield from _entries(position, PartKind.ITEM)
        case BlockKind.DEFINITIONS:
            yield from _entries(position, PartKind.TERM)
        case BlockKind.CODE:
            yield from _lines(text, block.start)
        case _:
            yield from ((block.start + start, block.start + end) for start, end in split_sentences(text))


def _lines(text: str, start: int) -> Iterator[Span]:
    for line in text.split("\n"):
        if line.strip():
            yield start, start + len(line)
        start += len(line) + 1


def _entries(position: BlockPosition, kind: PartKind) -> Iterator[Span]:
    """Each outermost item with what is below it, or each term with its descriptions."""
    block = position.block
    found = block.parts or (Part(kind, block.start, block.end),)
    level = min((part.level for part in found if part.kind is kind), default=0)
    starts = [
        part.start
        for number, part in enumerate(found)
        if part.kind is kind and part.level == level and not (kind is PartKind.TERM and _is_term(found, number - 1))
    ]
    starts = starts if starts and starts[0] <= found[0].start else [found[0].start, *starts]
    yield from pairwise([*starts, block.end])


def _is_term(found: tuple[Part, ...], number: int) -> bool:
    return number >= 0 and found[number].kind is PartKind.TERM


def statements(reading: Reading, at: int) -> Iterator[tuple[Span, Span]]:
    """The spans of a block that can be highlighted, each with the span that it is understood by: a description is
    understood by its term. Items and descriptions are taken sentence by sentence."""
    position = reading.positions[at]
    passage, block = reading.passages[position.passage], position.block
    for start, end in parts(reading, at):
        if block.kind not in (BlockKind.LIST, BlockKind.DEFINITIONS):
            yield (start, end), (start, end)
            continue
        described = (one.start for one in block.parts if one.kind is PartKind.DESCRIPTION and start < one.start < end)
        mark = ITEM.match(passage.slice(start, end))
        left = next(described, start + (mark.end() if mark else 0))
        for first, last in split_sentences(passage.slice(left, end)):
            nested = ITEM.match(passage.slice(left + first, left + last))
            own = left + first + (nested.end() if nested else 0), left + last
            yield own, ((start, own[1]) if block.kind is BlockKind.DEFINITIONS else own)
