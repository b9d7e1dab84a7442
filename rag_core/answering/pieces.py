"""The pieces of an excerpt: a step with its command, a row under its header, a list with what announces it.

Each is an exact span of one passage; neighbouring pieces of a passage are cited as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rag_core.answering.asking import Wants
from rag_core.answering.choosing import Choice, Scored
from rag_core.answering.passages import Passage, Place
from rag_core.answering.sentences import split_sentences
from rag_core.answering.signs import depth
from rag_core.answering.terms import bag
from rag_core.answering.units import BOX, Unit, UnitKind, is_chinese, leads
from rag_core.parsing import BlockKind, PartKind

CODE_LINES: Final = 16
LIST_ITEMS: Final = 12
TABLE_ROWS: Final = 12
TEXT_CHARS: Final = 420
LEAD_CHARS: Final = 560
SECTION_CHARS: Final = 1100
"""Sections up to this long are shown whole when steps are asked for."""
_COLON: Final = (":", "：", "::")


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
    the terms of a description that was cut."""

    kind: PieceKind
    passage: int
    start: int
    end: int
    text: str
    language: str = ""
    header: str = ""


class PieceMaker:
    """Makes the pieces of one excerpt."""

    def __init__(self, choice: Choice, one: Scored) -> None:
        self._reading = choice.reading
        self._wants = choice.asked.wants
        self._unit = one.unit
        self._asked = frozenset(stem for term in choice.terms for stem in term.stems)

    def pieces(self) -> Iterator[Piece]:
        unit = self._unit
        if self._wants is Wants.STEPS and unit.kind not in (
            UnitKind.ROW,
            UnitKind.USAGE,
            UnitKind.DEFINITION,
            UnitKind.TITLE,
        ):
            section = self._section()
            if section:
                yield from map(self._whole, section)
                return
        match unit.kind:
            case UnitKind.CODE:
                yield from self._introduced()
            case UnitKind.USAGE:
                yield from self._usage()
            case UnitKind.ROW:
                yield from self._table()
            case UnitKind.ITEM:
                yield from self._list()
            case UnitKind.DEFINITION:
                yield self._definitions()
            case UnitKind.TITLE:
                yield self._piece(PieceKind.TEXT, unit.at, unit.start, unit.end)
                yield from self._first_paragraph(unit.at)
            case _:
                yield from self._text()

    def _section(self) -> list[int]:
        """The blocks of a short section up to its first command and what explains it; nothing when it is long."""
        at = self._unit.at
        first = at - depth(self._reading, at, 40)
        section = [first]
        path = self._reading.places[at].path
        size = len(self._reading.text(self._reading.places[first]))
        for later in range(first + 1, len(self._reading.places)):
            place = self._reading.places[later]
            same = self._reading.document[later] == self._reading.document[at] and place.path == path
            if not same or place.block.kind is BlockKind.HEADING:
                break
            size += len(self._reading.text(place))
            if size > SECTION_CHARS // (2 if is_chinese(self._unit.text) else 1):
                break
            section.append(later)
        kinds = {self._reading.places[one].block.kind for one in section}
        useful = bool(kinds & {BlockKind.CODE, BlockKind.LIST}) or len(section) <= 2
        return section if at in section and useful else []

    def _whole(self, at: int) -> Piece:
        """A block as it is; long code in part."""
        block = self._reading.places[at].block
        match block.kind:
            case BlockKind.CODE:
                return self._code(at)
            case BlockKind.LIST:
                return self._whole_list(at)
            case BlockKind.TABLE:
                return self._rows(at, None)
            case BlockKind.DEFINITIONS:
                return self._piece(PieceKind.DEFINITION, at, block.start, block.end)
            case _:
                return self._piece(PieceKind.TEXT, at, block.start, block.end)

    def _text(self) -> Iterator[Piece]:
        """The sentence with those around it, then the steps or the list that it announces."""
        unit, place = self._unit, self._unit.place
        text = self._reading.text(place)
        start, end = self._window(text, unit.start - place.block.start, unit.end - place.block.start)
        yield self._piece(PieceKind.TEXT, unit.at, place.block.start + start, place.block.start + end)
        rest = text[end:].strip()
        announced = text.rstrip().endswith(_COLON)
        if rest and not announced:
            return
        if announced and rest:
            yield self._piece(PieceKind.TEXT, unit.at, place.block.start + end, place.block.end)
        if announced or self._wants is Wants.STEPS or (self._wants is Wants.LIST and leads(self._reading, unit.at)):
            yield from self._following(unit.at, announced=announced)

    def _window(self, text: str, start: int, end: int) -> tuple[int, int]:
        """Whole sentences around one, as far as the limit goes; a definition begins where its paragraph does."""
        limit = LEAD_CHARS if self._wants in (Wants.DEFINITION, Wants.COMPARISON, Wants.STEPS) else TEXT_CHARS
        limit = limit // 2 if is_chinese(text) else limit
        if len(text) <= limit:
            return 0, len(text)
        spans = split_sentences(text)
        at = next((number for number, span in enumerate(spans) if span[0] >= start), 0)
        first = last = at
        while last + 1 < len(spans) and spans[last + 1][1] - spans[first][0] <= limit:
            last += 1
        while first and spans[last][1] - spans[first - 1][0] <= limit:
            first -= 1
        return spans[first][0], max(end, spans[last][1])

    def _following(self, at: int, *, announced: bool) -> Iterator[Piece]:
        """The first command, list or table of the section behind a place, with at most one paragraph between."""
        paragraphs = 0
        for later in self._after(at):
            place = self._reading.places[later]
            kind = place.block.kind
            if kind is BlockKind.PARAGRAPH:
                paragraphs += 1
                if announced or paragraphs > 1 or len(self._reading.text(place)) > TEXT_CHARS:
                    return
                yield self._piece(PieceKind.TEXT, later, place.block.start, place.block.end)
                continue
            if kind is BlockKind.CODE:
                yield self._code(later)
            elif kind is BlockKind.LIST:
                yield self._whole_list(later)
            elif kind is BlockKind.TABLE and (announced or self._wants is Wants.LIST):
                yield self._rows(later, None)
            elif kind is BlockKind.DEFINITIONS and announced:
                yield self._piece(
                    PieceKind.DEFINITION, later, place.block.start, min(place.block.end, place.block.start + 700)
                )
            return

    def _introduced(self) -> Iterator[Piece]:
        """Code with the paragraph before it, when that is of the same section."""
        at = self._unit.at
        if at and self._reading.document[at - 1] == self._reading.document[at]:
            before = self._reading.places[at - 1]
            if before.block.kind is BlockKind.PARAGRAPH and before.path == self._unit.path:
                text = self._reading.text(before)
                start = 0 if len(text) <= TEXT_CHARS else split_sentences(text)[-1][0]
                yield self._piece(PieceKind.TEXT, at - 1, before.block.start + start, before.block.end)
        yield self._code(at)

    def _code(self, at: int) -> Piece:
        """A block of code; of a long one the lines around those that have most of the question's words."""
        at = self._beginning(at)
        place = self._reading.places[at]
        text = self._reading.text(place)
        lines = text.split("\n")
        first, last = 0, len(lines)
        if BOX.search(text):
            return self._piece(PieceKind.USAGE, at, place.block.start, place.block.end)
        if len(lines) > CODE_LINES:
            hits = [number for number, line in enumerate(lines) if not self._asked.isdisjoint(bag(line))]
            first = max(0, (hits[0] if hits else 0) - 3) if (hits and hits[0] >= CODE_LINES) else 0
            while first and lines[first].startswith((" ", "\t")) and first > hits[0] - 8:
                first -= 1
            last = min(len(lines), first + CODE_LINES)
        start = sum(len(line) + 1 for line in lines[:first])
        end = start + len("\n".join(lines[first:last]))
        return self._piece(PieceKind.CODE, at, place.block.start + start, place.block.start + end, place.block.language)

    def _beginning(self, at: int) -> int:
        """The first part of code that was cut between passages, when it has as much of the question."""
        first = at
        while first and self._continues(first):
            first -= 1
        if first == at:
            return at
        own, other = (len(self._asked & bag(self._reading.text(self._reading.places[one]))) for one in (at, first))
        return first if other >= own else at

    def _continues(self, at: int) -> bool:
        """Whether a block of code continues the one before it, of the passage before."""
        place, before = self._reading.places[at], self._reading.places[at - 1]
        adjacent = self._reading.document[at] == self._reading.document[at - 1] and place.passage != before.passage
        same = place.block.kind is before.block.kind is BlockKind.CODE and place.path == before.path
        return adjacent and same and 0 <= place.block.start - before.block.end <= 1

    def _usage(self) -> Iterator[Piece]:
        unit = self._unit
        yield self._piece(PieceKind.USAGE, unit.at, unit.place.block.start, unit.place.block.end)

    def _table(self) -> Iterator[Piece]:
        if self._wants is Wants.LIST:
            yield self._rows(self._unit.at, None)
        else:
            yield self._rows(self._unit.at, self._unit)

    def _rows(self, at: int, unit: Unit | None) -> Piece:
        """One row, or the first rows of a table."""
        place = self._reading.places[at]
        if unit is not None:
            return self._piece(PieceKind.TABLE, at, unit.start, unit.end, header=unit.header)
        parts = [part for part in place.block.parts if part.kind is PartKind.ROW][:TABLE_ROWS]
        header = next((p for p in place.block.parts if p.kind is PartKind.HEADER), None)
        if not parts:
            return self._piece(PieceKind.TABLE, at, place.block.start, place.block.end)
        head = self._reading.passages[place.passage].slice(header.start, header.end) if header else place.block.header
        return self._piece(PieceKind.TABLE, at, parts[0].start, parts[-1].end, header=head)

    def _list(self) -> Iterator[Piece]:
        """One item, or the whole list when steps or a list are asked for and it is short; with what introduces it."""
        unit = self._unit
        place = unit.place
        whole = self._wants in (Wants.LIST, Wants.STEPS) and len(place.block.parts) <= LIST_ITEMS
        whole = whole and place.block.end - place.block.start <= 1500
        if unit.intro and whole:
            before = self._reading.places[unit.at - 1]
            end = before.block.end
            start = end - len(self._reading.text(before)) + self._reading.text(before).rfind(unit.intro)
            yield self._piece(PieceKind.TEXT, unit.at - 1, start, end)
        if whole:
            yield self._whole_list(unit.at)
        else:
            yield self._piece(PieceKind.LIST, unit.at, unit.start, unit.end)

    def _whole_list(self, at: int) -> Piece:
        block = self._reading.places[at].block
        parts = block.parts[:LIST_ITEMS]
        end = parts[-1].end if parts else block.end
        return self._piece(PieceKind.LIST, at, block.start, min(end, block.start + 1500) if not parts else end)

    def _definitions(self) -> Piece:
        """One term with its description, or all of a short list of them when a list is asked for."""
        unit, block = self._unit, self._unit.place.block
        if self._wants is Wants.LIST and block.end - block.start <= 3 * SECTION_CHARS:
            return self._piece(PieceKind.DEFINITION, unit.at, block.start, block.end)
        return self._piece(PieceKind.DEFINITION, unit.at, unit.start, unit.end, header=unit.header)

    def _first_paragraph(self, at: int) -> Iterator[Piece]:
        """The first paragraph of prose behind a title."""
        for later in self._after(at, limit=8):
            place = self._reading.places[later]
            text = self._reading.text(place)
            if place.block.kind is BlockKind.PARAGRAPH and len(text) > 50 and re.match(r"[\w\"“`*(]", text):
                spans = split_sentences(text)
                end = max([spans[0][1], *(span[1] for span in spans if span[1] <= TEXT_CHARS)])
                yield self._piece(PieceKind.TEXT, later, place.block.start, place.block.start + end)
                return

    def _after(self, at: int, limit: int = 4) -> Iterator[int]:
        path = self._reading.places[at].path
        for later in range(at + 1, min(at + 1 + limit, len(self._reading.places))):
            same = self._reading.document[later] == self._reading.document[at]
            if not same or self._reading.places[later].path[: len(path)] != path:
                return
            if self._reading.places[later].block.kind is BlockKind.HEADING:
                if limit == 4:
                    return
                continue
            yield later

    def _piece(self, kind: PieceKind, at: int, start: int, end: int, language: str = "", header: str = "") -> Piece:
        place: Place = self._reading.places[at]
        passage: Passage = self._reading.passages[place.passage]
        text = passage.slice(start, end)
        left, right = len(text) - len(text.lstrip("\n")), len(text.rstrip())
        return Piece(kind, place.passage, start + left, start + right, text[left:right], language, header)
