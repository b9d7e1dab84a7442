"""Pieces of an excerpt, and how a block, or as much of it as is shown, becomes one.

Each is an exact span of one passage; neighbouring pieces of a passage are cited as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rag_core.answering.passages import Passage, Place, Reading
from rag_core.answering.terms import Bag, bag
from rag_core.answering.units import BOX, Unit
from rag_core.content.parsing import BlockKind, PartKind

CODE_LINES: Final = 16
LIST_ITEMS: Final = 12
TABLE_ROWS: Final = 12
_SHOWN: Final = {BlockKind.CODE: CODE_LINES, BlockKind.LIST: LIST_ITEMS, BlockKind.TABLE: TABLE_ROWS}
"""Blocks that may be cut between passages, and how many of their lines, items or rows are shown."""


class PieceKind(StrEnum):
    """How a piece is written."""

    TEXT = "text"
    CODE = "code"
    LIST = "list"
    TABLE = "table"
    DEFINITION = "definition"
    USAGE = "usage"


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


class BlockPieces:
    """Makes pieces of the blocks of a reading. `asked` are the stems of the question."""

    def __init__(self, reading: Reading, asked: Bag) -> None:
        self._reading = reading
        self._asked = asked

    def whole(self, at: int) -> Piece:
        """What one passage has of a block; long code in part."""
        block = self._reading.places[at].block
        match block.kind:
            case BlockKind.CODE:
                return self.code(at)
            case BlockKind.LIST:
                return self.items(at)
            case BlockKind.TABLE:
                return self.rows(at, None)
            case BlockKind.DEFINITIONS:
                return self.piece(PieceKind.DEFINITION, at, block.start, block.end)
            case _:
                return self.piece(PieceKind.TEXT, at, block.start, block.end)

    def code(self, at: int) -> Piece:
        """A block of code; of a long one the lines around those that have most of the question's words."""
        place = self._reading.places[at]
        text = self._reading.text(place)
        lines = text.split("\n")
        first, last = 0, len(lines)
        if BOX.search(text):
            return self.piece(PieceKind.USAGE, at, place.block.start, place.block.end)
        if len(lines) > CODE_LINES:
            hits = [number for number, line in enumerate(lines) if not self._asked.isdisjoint(bag(line))]
            first = max(0, (hits[0] if hits else 0) - 3) if (hits and hits[0] >= CODE_LINES) else 0
            while first and lines[first].startswith((" ", "\t")) and first > hits[0] - 8:
                first -= 1
            last = min(len(lines), first + CODE_LINES)
        start = sum(len(line) + 1 for line in lines[:first])
        end = start + len("\n".join(lines[first:last]))
        cut = not first and at > 0 and self._continues(at)
        return self.piece(
            PieceKind.CODE, at, place.block.start + start, place.block.start + end, place.block.language, cut=cut
        )

    def complete(self, at: int) -> Iterator[Piece]:
        """A block from here on, also behind a cut between passages: half of the commands is no answer."""
        yield from map(self.whole, self.parts(at, _SHOWN.get(self._reading.places[at].block.kind, 1)))

    def parts(self, at: int, most: int) -> Iterator[int]:
        """A block and the parts that continue it, until these have as many lines, items or rows."""
        seen = 0
        while seen < most:
            yield at
            place = self._reading.places[at]
            seen += len(place.block.parts) or self._reading.text(place).count("\n") + 1
            at += 1
            if at >= len(self._reading.places) or not self._continues(at):
                return

    def beginning(self, at: int) -> int:
        """The first part of code that was cut between passages, when it has as much of the question."""
        first = self.first_part(at)
        if first == at:
            return at
        own, other = (len(self._asked & bag(self._reading.text(self._reading.places[one]))) for one in (at, first))
        return first if other >= own else at

    def first_part(self, at: int) -> int:
        """The beginning of a block that was cut between passages."""
        while at and self._continues(at):
            at -= 1
        return at

    def _continues(self, at: int) -> bool:
        """Whether a block of code, a list or a table continues the one before it, of the passage before."""
        place, before = self._reading.places[at], self._reading.places[at - 1]
        adjacent = self._reading.document[at] == self._reading.document[at - 1] and place.passage != before.passage
        same = place.block.kind is before.block.kind and place.path == before.path
        same = same and place.block.kind in _SHOWN
        return adjacent and same and 0 <= place.block.start - before.block.end <= 1

    def rows(self, at: int, unit: Unit | None) -> Piece:
        """One row, or the first rows of a table."""
        place = self._reading.places[at]
        if unit is not None:
            return self.piece(PieceKind.TABLE, at, unit.start, unit.end, header=unit.header)
        parts = [part for part in place.block.parts if part.kind is PartKind.ROW][:TABLE_ROWS]
        header = next((p for p in place.block.parts if p.kind is PartKind.HEADER), None)
        if not parts:
            return self.piece(PieceKind.TABLE, at, place.block.start, place.block.end)
        head = self._reading.passages[place.passage].slice(header.start, header.end) if header else place.block.header
        return self.piece(PieceKind.TABLE, at, parts[0].start, parts[-1].end, header=head)

    def items(self, at: int) -> Piece:
        """The first items of the part of a list that is in one passage."""
        block = self._reading.places[at].block
        parts = block.parts[:LIST_ITEMS]
        end = parts[-1].end if parts else min(block.end, block.start + 1500)
        return self.piece(PieceKind.LIST, at, block.start, end, cut=at > 0 and self._continues(at))

    def after(self, at: int, limit: int = 4, *, within: bool = False) -> Iterator[int]:
        """The blocks behind one in its section; `within`: in the first section below it too, when that follows."""
        path = self._reading.places[at].path
        headings = limit if limit > 4 else int(within)
        for later in range(at + 1, min(at + 1 + limit + headings, len(self._reading.places))):
            same = self._reading.document[later] == self._reading.document[at]
            if not same or self._reading.places[later].path[: len(path)] != path:
                return
            if self._reading.places[later].block.kind is BlockKind.HEADING:
                headings -= 1
                if headings < 0:
                    return
                continue
            yield later

    def piece(
        self, kind: PieceKind, at: int, start: int, end: int, language: str = "", header: str = "", *,
        cut: bool = False,
    ) -> Piece:  # fmt: skip
        place: Place = self._reading.places[at]
        passage: Passage = self._reading.passages[place.passage]
        text = passage.slice(start, end)
        left, right = len(text) - len(text.lstrip("\n")), len(text.rstrip())
        return Piece(kind, place.passage, start + left, start + right, text[left:right], language, header, cut)
