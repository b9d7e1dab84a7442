"""Typed blocks: what a parser knows about a document's structure, and what chunks and the index keep of it.

A block is a span of the document's text. Lists and definition lists also name their parts, so that an answer can quote
one item or one term with its description; the parts of tables are their lines. Offsets are code points, end exclusive.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final


class BlockKind(StrEnum):
    """Structural role of a span of a document. New kinds go to the end: payloads hold positions."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"
    DEFINITIONS = "definitions"
    QUOTE = "quote"
    IMAGE = "image"
    """The alternative text of an image."""
    FRONT_MATTER = "front_matter"
    """The head of a file, in documents of older releases; today it is metadata alone."""


PROSE: Final = frozenset({BlockKind.PARAGRAPH, BlockKind.QUOTE})
"""Kinds that are running text, cut between sentences; the others are cut between lines."""


class PartKind(StrEnum):
    """Role of a span within a list, a table or a definition list. New kinds go to the end."""

    ITEM = "item"
    CODE = "code"
    HEADER = "header"
    ROW = "row"
    TERM = "term"
    DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class Part:
    """`text[start:end]` within a block. `level` is the depth of a list item, from 0."""

    kind: PartKind
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """One structural span: `text[start:end]`.

    `level` is 1..6 for headings, else 0; `page` counts from 1, 0 where a format has no pages; `language` is the
    declared one of code; `header` what a cut has taken from the beginning: a table's header row, or the terms that a
    description is of; `path` the headings above it, which a chunker fills in.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    page: int = 0
    language: str = ""
    parts: tuple[Part, ...] = ()
    header: str = ""
    path: tuple[str, ...] = ()


MAX_LANGUAGE_CHARS: Final = 20
_MAX_HEADER_CHARS: Final = 500
# How far a term is looked for, and how many terms one description has: both are few, but in hostile documents.
_MAX_BACK: Final = 200
_MAX_TERMS: Final = 8
_KINDS: Final = tuple(BlockKind)
_PARTS: Final = tuple(PartKind)
_DEFAULTS: Final[tuple[Any, ...]] = (0, 0, 0, 0, 0, "", (), "", None)


class Clipper:
    """Finds what of a document's blocks lies in a span of it, without reading all of them for each span."""

    def __init__(self, text: str, blocks: Sequence[Block]) -> None:
        self._text = text
        self._blocks = blocks
        self._ends = [block.end for block in blocks]

    def clip(self, start: int, end: int) -> tuple[Block, ...]:
        """The blocks of `text[start:end]`; one that was cut keeps what `repeated` finds for it."""
        kept = []
        for at in range(bisect_right(self._ends, start), len(self._blocks)):
            block = self._blocks[at]
            if block.start >= end:
                break
            kept.append(self._clipped(block, start, end))
        return tuple(kept)

    def _clipped(self, block: Block, start: int, end: int) -> Block:
        parts = []
        for at in range(bisect_right(block.parts, start, key=lambda part: part.end), len(block.parts)):
            part = block.parts[at]
            if part.start >= end:
                break
            parts.append(replace(part, start=max(part.start, start), end=min(part.end, end)))
        lost = repeated(block, self._text, start)
        header = self._text[slice(*lost)][:_MAX_HEADER_CHARS] if lost else block.header
        return replace(block, start=max(block.start, start), end=min(block.end, end), parts=tuple(parts), header=header)


def repeated(block: Block, text: str, start: int) -> tuple[int, int] | None:
    """The span that a part of a block, cut off at `start`, cannot be understood without.

    Of a table it is the header row, of a definition the terms whose description is cut. Chunks repeat it as context and
    in `Block.header`, never within their own text: that remains a span of the document.
    """
    if start <= block.start:
        return None
    if block.kind is BlockKind.TABLE:
        if block.parts and block.parts[0].kind is PartKind.ROW:
            return None
        line_end = text.find("\n", block.start, start)
        return (block.start, line_end) if line_end > 0 else None
    if block.kind is BlockKind.DEFINITIONS:
        return _terms_before(block.parts, start)
    return None


def _terms_before(parts: Sequence[Part], start: int) -> tuple[int, int] | None:
    at = bisect_right(parts, start, key=lambda part: part.start) - 1
    if at < 0 or (parts[at].kind is PartKind.TERM and parts[at].start == start):
        return None
    level = parts[at].level
    for last in range(at, max(at - _MAX_BACK, -1), -1):
        if parts[last].kind is PartKind.TERM and parts[last].level <= level:
            first = last
            while first > max(last - _MAX_TERMS, 0) and parts[first - 1].kind is PartKind.TERM:
                first -= 1
            return parts[first].start, min(parts[last].end, start)
    return None


def parts_of(block: Block, text: str) -> tuple[Part, ...]:
    """The parts of a block whose own text this is: those it names, else the lines of a table or a list."""
    if block.parts or block.kind not in (BlockKind.LIST, BlockKind.TABLE):
        return block.parts
    parts, position = [], block.start
    for number, line in enumerate(text.split("\n")):
        first = PartKind.ROW if number or block.header else PartKind.HEADER
        kind = first if block.kind is BlockKind.TABLE else PartKind.ITEM
        if line.strip():
            parts.append(Part(kind, position, position + len(line)))
        position += len(line) + 1
    return tuple(parts)


# --------------------------------------------------------------------------------------------------------------------
# The compact form: of the sandbox's answer, of PostgreSQL and of the index payload.


def to_rows(blocks: Iterable[Block], origin: int = 0, headings: Sequence[str] = ()) -> list[list[Any]]:
    """`[kind, start, end, level, page, language, [part, start, end, level, ...], header, path]`.

    Trailing defaults are left out. Kinds are positions in their enums, places are relative to `origin`, and a path that
    is `headings` is left out.
    """
    rows = []
    for block in blocks:
        flat = [
            number
            for part in block.parts
            # The indentation of a list's first item lies before its block.
            if (start := max(part.start, block.start)) < (end := min(part.end, block.end))
            for number in (_PARTS.index(part.kind), start - origin, end - origin, part.level)
        ]
        row: list[Any] = [_KINDS.index(block.kind), block.start - origin, block.end - origin, block.level, block.page]
        row += [block.language, flat, block.header]
        row.append(None if block.path == tuple(headings) else list(block.path))
        while row[-1] in (0, "", [], None) and len(row) > 3:
            if row[-1] == [] and len(row) == len(_DEFAULTS):
                break  # an empty path where the chunk has headings
            row.pop()
        rows.append(row)
    return rows


def from_rows(rows: Iterable[Sequence[Any]], origin: int = 0, headings: Sequence[str] = ()) -> tuple[Block, ...]:
    """The blocks of `to_rows`. Raises `ValueError` or `TypeError` for anything else."""
    above = tuple(headings)
    return tuple([_from_row(row, origin, above) for row in rows])


def _from_row(row: Sequence[Any], origin: int, headings: tuple[str, ...]) -> Block:
    full: list[Any] = [*row, *_DEFAULTS[len(row) :]]
    kind, start, end, level, page, language, flat, header, path = full
    _require_numbers((kind, start, end, level, page))
    if not (kind < len(_KINDS) and start < end and level <= 6):
        raise ValueError("block")
    if not isinstance(language, str) or not isinstance(header, str):
        raise TypeError("block")
    parts = tuple(_parts(flat, start, end, origin)) if flat != [] else ()
    above = headings if path is None else tuple(map(str, path))
    return Block(_KINDS[kind], start + origin, end + origin, level, page, language, parts, header, above)


def _parts(flat: Sequence[int], start: int, end: int, origin: int) -> Iterator[Part]:
    _require_numbers(flat)
    position = start
    for at in range(0, len(flat), 4):
        kind, first, last, level = flat[at : at + 4]
        if kind >= len(_PARTS) or not position <= first < last <= end:
            raise ValueError("part")
        yield Part(_PARTS[kind], first + origin, last + origin, level)
        position = last


def _require_numbers(values: Sequence[Any]) -> None:
    # Without a call for each: a search has hundreds.
    if not _WHOLE.issuperset(map(type, values)) or min(values, default=0) < 0:
        raise ValueError("number")


_WHOLE = frozenset({int})
