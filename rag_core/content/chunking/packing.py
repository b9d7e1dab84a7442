"""Choose where chunks begin and end: units are packed up to the token limit.

Sections first: a heading begins a new chunk, unless the section before it is a bare heading, or is tiny and this one is
tiny too or lies below it. Within such a run units are packed up to the limit; when a run does not fit, it is cut in the
last part of the window at the best border. Among equal borders the content decides, not the position: so after an edit
the cuts soon fall where they fell before, and only the chunks around the edit change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple
from zlib import crc32

from rag_core.content.chunking.spans import Border
from rag_core.content.chunking.units import DocumentOutline, HeadingSection, TextUnit

_TINY_SHARE: Final = 4
_WINDOW_START: Final = 0.6
_LEAST: Final = 0.3
_HASHED_CHARS: Final = 400


class UnitRange(NamedTuple):
    """Units `[first, last)`: of one chunk, which may begin before the end of the one before, or that may share them."""

    first: int
    last: int


def runs(outline: DocumentOutline, limit: int) -> Iterator[UnitRange]:
    """The document as runs of sections."""
    if not outline.units:
        return
    tiny = limit // _TINY_SHARE
    first = 0
    for before, section in pairwise(outline.sections):
        if not _belong_together(before, section, tiny):
            yield UnitRange(first, section.first)
            first = section.first
    yield UnitRange(first, len(outline.units))


def _belong_together(before: HeadingSection, section: HeadingSection, tiny: int) -> bool:
    if not before.has_body:
        return True
    return before.tokens <= tiny and (section.tokens <= tiny or section.level > before.level)


def pack(
    text: str, outline: DocumentOutline, run: UnitRange, budget: Callable[[int], int], limit: int, overlap: int
) -> Iterator[UnitRange]:
    """Cut one run into chunks.

    `budget(unit)` is what a chunk that begins at a unit may hold in tokens, `limit` what it may hold without context;
    `overlap` how many tokens of whole sentences a chunk may repeat from the one before.
    """
    first = covered = run.first
    while covered < run.last:
        room = budget(first)
        full = _fill(outline, first, run.last, room, limit)
        if full <= covered and first < covered:
            # What would be repeated leaves no room for anything new.
            first = covered
            continue
        cut = full if full == run.last else _best_cut(text, outline, first, max(covered, first) + 1, full, room)
        yield UnitRange(first, cut)
        covered = cut
        # Never back to where this chunk began: each chunk starts behind the one before.
        first = _overlap_start(outline, first + 1, cut, overlap) if cut < run.last else cut


def _fill(outline: DocumentOutline, first: int, last: int, room: int, limit: int) -> int:
    """The unit after the last one that fits; at least one unit is taken, and a heading with what follows it.

    A block of code may be as long as a chunk. Rather than to leave its heading alone, its chunk does with less context.
    """
    units = outline.units
    index, tokens, led = first, 0, True
    while index < last and tokens + units[index].tokens <= (limit if led else room):
        tokens += units[index].tokens
        led = led and units[index].leads
        index += 1
    return max(index, first + 1)


def _best_cut(text: str, outline: DocumentOutline, first: int, earliest: int, full: int, room: int) -> int:
    """The best border in the last part of a full chunk; a heading is never its last unit if that can be helped."""
    units = outline.units
    tokens = sum(unit.tokens for unit in units[first:full])
    best, best_rank, candidates = 0, (-1, -1), 0
    for cut in range(full, earliest - 1, -1):
        if not (units[cut - 1].leads and _below(units[cut].border, units[cut - 1].border)):
            candidates += 1
            rank = (units[cut].border, _content_hash(text, units[cut]))
            if rank > best_rank:
                best, best_rank = cut, rank
        tokens -= units[cut - 1].tokens
        # With one candidate only, units of equal size would be cut by position for ever after an edit.
        if (tokens < room * _WINDOW_START and candidates > 1) or (tokens < room * _LEAST and best):
            break
    return best or full


def _content_hash(text: str, unit: TextUnit) -> int:
    return crc32(text[unit.start : min(unit.end, unit.start + _HASHED_CHARS)].encode("utf-8", "replace"))


def _below(border: int, leading_border: int) -> bool:
    """Return whether a unit with `border` belongs to the leading unit before it: text, a row, or a deeper heading."""
    return border < leading_border or border < Border.HEADING


def _overlap_start(outline: DocumentOutline, earliest: int, cut: int, overlap: int) -> int:
    """The first unit to repeat: whole sentences up to `overlap` tokens, and no heading."""
    first, tokens = cut, 0
    while first > earliest:
        unit = outline.units[first - 1]
        tokens += unit.tokens
        if tokens > overlap or unit.heading or outline.units[first].border >= Border.HEADING:
            break
        first -= 1
    while first < cut and outline.units[first].border < Border.SENTENCE:
        first += 1
    return first
