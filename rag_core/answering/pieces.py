"""The pieces of an excerpt: a step with its command, a row under its header, a list with what announces it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rag_core.answering.asking import Wants
from rag_core.answering.block_pieces import LIST_ITEMS, BlockPieces, Piece, PieceKind
from rag_core.answering.choosing import Choice, Scored
from rag_core.answering.sentences import split_sentences
from rag_core.answering.signs import OF_SUBJECT, asks, depth, names
from rag_core.answering.units import UnitKind, introduction, is_chinese, leads
from rag_core.content.parsing import BlockKind

TEXT_CHARS: Final = 420
LEAD_CHARS: Final = 560
SECTION_CHARS: Final = 1100
"""Sections up to this long are shown whole when steps are asked for."""
LIST_CHARS: Final = 1500
_STEPS: Final = frozenset({BlockKind.CODE, BlockKind.LIST})
_PROSE_UNITS: Final = frozenset({UnitKind.LEAD, UnitKind.SENTENCE, UnitKind.ITEM})
_COLON: Final = (":", "：", "::")


class PieceMaker(BlockPieces):
    """Makes the pieces of one excerpt."""

    def __init__(self, choice: Choice, one: Scored) -> None:
        super().__init__(choice.reading, frozenset(stem for term in choice.terms for stem in term.stems))
        self._wants = choice.asked.wants
        self._unit = one.unit
        self._title = one.passage.title
        self._from_opening = one.unit.kind in _PROSE_UNITS and _is_about(choice, one)

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
                yield from map(self.whole, section[:-1])
                yield from self.complete(section[-1])
                if not any(self._reading.places[one].block.kind in _STEPS for one in section):
                    yield from self._following(section[-1], announced=False)
                return
            if unit.kind in (UnitKind.CODE, UnitKind.ITEM):
                yield from self._first_words()
        if self._from_opening:
            yield from self._opening()
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
                yield from self._titled()
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
        useful = bool(kinds & _STEPS) or len(section) <= 2
        return section if at in section and useful else []

    def _first_words(self) -> Iterator[Piece]:
        """The first paragraph of a long section, when it is short: a later step is seldom understood without it."""
        first = self._unit.at - depth(self._reading, self._unit.at, 40)
        place = self._reading.places[first]
        text = self._reading.text(place)
        limit = TEXT_CHARS // (2 if is_chinese(text) else 1)
        short = place.block.kind is BlockKind.PARAGRAPH and len(text) <= limit and not text.endswith(_COLON)
        if first < self._unit.at and short and self._begins(first):
            yield self.piece(PieceKind.TEXT, first, place.block.start, place.block.end)

    def _begins(self, at: int) -> bool:
        """Whether a block is the first of its section, and not only the first that is known of it."""
        passage = self._reading.passages[self._reading.places[at].passage]
        known = at > 0 and self._reading.document[at - 1] == self._reading.document[at]
        if not known:
            return passage.ordinal == 0
        return self._reading.places[at - 1].block.kind is BlockKind.HEADING

    def _opening(self) -> Iterator[Piece]:
        """The section from its beginning, where what its heading names or asks is answered; then the unit, when that
        comes later."""
        at = self._unit.at
        first = at - depth(self._reading, at, 40)
        if not self._begins(first):
            yield from self._list() if self._unit.kind is UnitKind.ITEM else self._text()
            return
        left = LEAD_CHARS // (2 if is_chinese(self._unit.text) else 1)
        shown, announced = first - 1, False
        for later in (first, *self.after(first, limit=4)):
            text = self._reading.text(self._reading.places[later])
            kind = self._reading.places[later].block.kind
            fits = len(text) <= left and kind in (BlockKind.PARAGRAPH, BlockKind.LIST)
            if later > first and not fits and not (announced and kind in _STEPS):
                break
            announced = text.rstrip().endswith(_COLON)
            if kind is BlockKind.PARAGRAPH and len(text) > left:
                spans = split_sentences(text)
                end = max(spans[0][1], *(end for _, end in spans if end <= left)) if len(spans) > 1 else len(text)
                start = self._reading.places[later].block.start
                yield self.piece(PieceKind.TEXT, later, start, start + end)
                if later == at and self._unit.end <= start + end:
                    shown = later
                break
            yield from self.complete(later)
            shown, left = later, left - len(text)
        if shown < at:
            yield from self._list() if self._unit.kind is UnitKind.ITEM else self._text()

    def _text(self) -> Iterator[Piece]:
        """The sentence with those around it, then the steps or the list that it announces."""
        unit, place = self._unit, self._unit.place
        text = self._reading.text(place)
        start, end = self._window(text, unit.start - place.block.start, unit.end - place.block.start)
        yield self.piece(PieceKind.TEXT, unit.at, place.block.start + start, place.block.start + end)
        rest = text[end:].strip()
        announced = text.rstrip().endswith(_COLON)
        if rest and not announced:
            return
        if announced and rest:
            yield self.piece(PieceKind.TEXT, unit.at, place.block.start + end, place.block.end)
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
        """The first command, list or table of the section behind a place, with at most one paragraph between, two when
        a list is asked for; of a section that begins with others, that of the first of them."""
        paragraphs: list[Piece] = []
        most = 2 if self._wants is Wants.LIST else 1
        for later in self.after(at, within=True):
            place = self._reading.places[later]
            kind = place.block.kind
            if kind is BlockKind.PARAGRAPH:
                paragraphs.append(self.piece(PieceKind.TEXT, later, place.block.start, place.block.end))
                if announced or len(paragraphs) > most or len(self._reading.text(place)) > TEXT_CHARS:
                    break
                continue
            yield from paragraphs
            if kind in _STEPS or (kind is BlockKind.TABLE and (announced or self._wants is Wants.LIST)):
                yield from self.complete(later)
            elif kind is BlockKind.DEFINITIONS and announced:
                yield self.piece(
                    PieceKind.DEFINITION, later, place.block.start, min(place.block.end, place.block.start + 700)
                )
            return
        if self._wants is not Wants.LIST:
            yield from paragraphs[:1]

    def _introduced(self) -> Iterator[Piece]:
        """Code with the paragraph before it, when that is of the same section."""
        at = self.beginning(self._unit.at)
        if at and self._reading.document[at - 1] == self._reading.document[at]:
            before = self._reading.places[at - 1]
            if before.block.kind is BlockKind.PARAGRAPH and before.path == self._unit.path:
                text = self._reading.text(before)
                start = 0 if len(text) <= TEXT_CHARS else split_sentences(text)[-1][0]
                yield self.piece(PieceKind.TEXT, at - 1, before.block.start + start, before.block.end)
        yield from self.complete(at)

    def _usage(self) -> Iterator[Piece]:
        unit = self._unit
        yield self.piece(PieceKind.USAGE, unit.at, unit.place.block.start, unit.place.block.end)

    def _table(self) -> Iterator[Piece]:
        if self._wants is Wants.LIST:
            yield from self.complete(self._unit.at)
        else:
            yield self.rows(self._unit.at, self._unit)

    def _list(self) -> Iterator[Piece]:
        """One item, or the whole list when steps or a list are asked for and it is short; with what introduces it."""
        unit, first = self._unit, self.first_part(self._unit.at)
        parts = list(self.parts(first, LIST_ITEMS + 1))
        blocks = [self._reading.places[part].block for part in parts]
        short = sum(len(block.parts) for block in blocks) <= LIST_ITEMS
        short = short and sum(block.end - block.start for block in blocks) <= LIST_CHARS
        if not short or self._wants not in (Wants.LIST, Wants.STEPS):
            yield self.piece(PieceKind.LIST, unit.at, unit.start, unit.end)
            return
        if intro := introduction(self._reading, first):
            before = self._reading.places[first - 1]
            end = before.block.end
            start = end - len(self._reading.text(before)) + self._reading.text(before).rfind(intro)
            yield self.piece(PieceKind.TEXT, first - 1, start, end)
        yield from map(self.items, parts)

    def _definitions(self) -> Piece:
        """One term with its description, or all of a short list of them when a list is asked for."""
        unit, block = self._unit, self._unit.place.block
        if self._wants is Wants.LIST and block.end - block.start <= 3 * SECTION_CHARS:
            return self.piece(PieceKind.DEFINITION, unit.at, block.start, block.end)
        return self.piece(PieceKind.DEFINITION, unit.at, unit.start, unit.end, header=unit.header)

    def _titled(self) -> Iterator[Piece]:
        """A title with the first paragraph; without it where the heading above the excerpt says it."""
        unit = self._unit
        paragraph = list(self._first_paragraph(unit.at))
        if not (paragraph and unit.path and unit.text.strip() in (self._title, *unit.path)):
            yield self.piece(PieceKind.TEXT, unit.at, unit.start, unit.end)
        yield from paragraph

    def _first_paragraph(self, at: int) -> Iterator[Piece]:
        """The first paragraph of prose behind a title."""
        for later in self.after(at, limit=8):
            place = self._reading.places[later]
            text = self._reading.text(place)
            if place.block.kind is BlockKind.PARAGRAPH and len(text) > 50 and re.match(r"[\w\"“`*(]", text):
                spans = split_sentences(text)
                end = max([spans[0][1], *(span[1] for span in spans if span[1] <= TEXT_CHARS)])
                yield self.piece(PieceKind.TEXT, later, place.block.start, place.block.start + end)
                if end == len(text) and text.endswith(_COLON):
                    yield from self._following(later, announced=True)
                return


def _is_about(choice: Choice, one: Scored) -> bool:
    """Whether the section of a unit, by its heading, is the answer: it defines, compares, or asks the question."""
    if not one.unit.path:
        return False
    asked, heading = choice.asked, one.unit.path[-1]
    match asked.wants:
        case Wants.DEFINITION | Wants.COMPARISON:
            return one.signs["leaf"] >= OF_SUBJECT or names(asked.subject, heading)
        case Wants.FACT | Wants.ANYTHING:
            return asks(heading) and not asked.amount
        case _:
            return False
