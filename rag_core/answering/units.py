"""What an answer can quote: a sentence, an item, a row, a command with its introduction, a definition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rag_core.answering.evidence import asks
from rag_core.answering.passages import Path, Place, Reading
from rag_core.answering.sentences import split_sentences
from rag_core.content.parsing import Block, BlockKind, Part, PartKind

MAX_UNIT_CHARS: Final = 1500
BOX: Final = re.compile("[\u2500-\u257f]")
_DIRECTIVE: Final = re.compile(r"\A\s*+(?:\.\. |:\w++:|(?:\|\s*+)?image::|\[!\[)")
_DIAGRAMS: Final = frozenset({"mermaid", "dot", "plantuml", "graphviz", "ditaa"})
_NUMBERED: Final = re.compile(r"\b\d+\.\d+\.\s+[^\W\d]")
CONTENTS: Final = 3
"""Numbered titles that make a row, an item or a definition a table of contents."""
_BEHIND: Final = re.compile(r"(?<=[?？])[\s*_`]+|(?<=\s)\|\s|\n")
_PAGE: Final = re.compile(r"\.(?:md|html?|rst|txt|pdf)\b")
_WORD: Final = re.compile("[^\\W\\d_\u3400-\u9fff]{2,}|[\u3400-\u9fff]{2}")
SAYING: Final = 3
"""Words behind a question from which they are an answer, not a name of a page."""
_CJK: Final = re.compile("[\u3400-\u9fff]")


class UnitKind(StrEnum):
    """What a unit is, which decides what questions it suits and how it is shown."""

    SENTENCE = "sentence"
    LEAD = "lead"
    TITLE = "title"
    ITEM = "item"
    ROW = "row"
    CODE = "code"
    USAGE = "usage"
    DEFINITION = "definition"


_LISTED: Final = frozenset({UnitKind.ROW, UnitKind.ITEM, UnitKind.DEFINITION})


@dataclass(frozen=True, slots=True)
class Unit:
    """`text` is `start:end` of the document of `place.passage`; `header` the header row of a table's row or the terms
    of a description that was cut, `intro` the sentence that introduces code. `at` is the position of the place in its
    reading."""

    kind: UnitKind
    at: int
    place: Place
    start: int
    end: int
    text: str
    header: str = ""
    intro: str = ""

    @property
    def path(self) -> Path:
        return self.place.path

    @property
    def words(self) -> str:
        """What is compared with the question."""
        return "\n".join(filter(None, (self.intro, self.header, self.text)))


def units(reading: Reading, question: str) -> Iterator[Unit]:
    """The units of all passages, without those that ask themselves."""
    for at, place in enumerate(reading.places):
        for unit in _of(reading, at, place):
            if len(unit.text) <= 3 or not any(map(str.isalnum, unit.text)) or _DIRECTIVE.match(unit.text):
                continue
            if unit.kind in _LISTED and len(_NUMBERED.findall(unit.text)) >= CONTENTS:
                continue
            if not _is_question(question, unit):
                yield unit


def _is_question(question: str, unit: Unit) -> bool:
    """Whether a unit asks rather than says. A row, an item or a term that asks may say the answer behind that; a list
    of questions with where each is answered is worth showing, but not for its own sake."""
    if unit.kind in (UnitKind.CODE, UnitKind.USAGE):
        return _echo(question) in _echo(unit.text)
    if len(unit.text) > 400 or not asks(question, unit.text):
        return False
    if unit.kind not in _LISTED:
        return True
    _, *behind = _BEHIND.split(unit.text, maxsplit=1)
    said = " ".join(word for word in "".join(behind).split() if "/" not in word and not _PAGE.search(word))
    return not any(map(str.isdigit, said)) and len(_WORD.findall(said)) < SAYING


def _echo(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _of(reading: Reading, at: int, place: Place) -> Iterator[Unit]:
    block = place.block
    match block.kind:
        case BlockKind.HEADING:
            yield from _title(reading, at, place)
        case BlockKind.PARAGRAPH | BlockKind.QUOTE:
            yield from _sentences(reading, at, place)
        case BlockKind.LIST:
            yield from _items(reading, at, place)
        case BlockKind.TABLE:
            yield from _rows(reading, at, place)
        case BlockKind.DEFINITIONS:
            yield from _definitions(reading, at, place)
        case BlockKind.CODE:
            text = reading.text(place)
            if block.language in _DIAGRAMS:
                return
            if BOX.match(text.lstrip()):
                return  # the rest of a help text that was cut: options without the command
            kind = UnitKind.USAGE if BOX.search(text) or text.startswith("Usage:") else UnitKind.CODE
            yield Unit(kind, at, place, block.start, block.end, text[:MAX_UNIT_CHARS], intro=introduction(reading, at))


def _title(reading: Reading, at: int, place: Place) -> Iterator[Unit]:
    """A document's title that says something: `name: what it is`."""
    text = reading.text(place)
    first = reading.passages[place.passage].ordinal == 0 and _before(reading, at) is None
    if first and re.search(r"(?::|\s[-–—])\s+\S+(?:\s+\S+){2,}", text):
        yield Unit(UnitKind.TITLE, at, place, place.block.start, place.block.end, text)


def _sentences(reading: Reading, at: int, place: Place) -> Iterator[Unit]:
    text, origin = reading.text(place), place.block.start
    lead = leads(reading, at)
    for number, (start, end) in enumerate(split_sentences(text)):
        kind = UnitKind.LEAD if lead and number == 0 else UnitKind.SENTENCE
        yield Unit(kind, at, place, origin + start, origin + end, text[start:end])


def leads(reading: Reading, at: int) -> bool:
    """Whether a block is the first one under its heading."""
    before = _before(reading, at)
    return before is None or before.block.kind is BlockKind.HEADING


def _before(reading: Reading, at: int) -> Place | None:
    if at == 0 or reading.document[at - 1] != reading.document[at]:
        return None
    return reading.places[at - 1]


def introduction(reading: Reading, at: int) -> str:
    """The last sentence before a block, when it stands in the same section."""
    before = _before(reading, at)
    if before is None or before.block.kind is not BlockKind.PARAGRAPH or before.path != reading.places[at].path:
        return ""
    text = reading.text(before)
    spans = split_sentences(text)
    return text[slice(*spans[-1])] if spans else ""


def _parts(place: Place) -> tuple[Part, ...]:
    """The parts of a block; of one without, its lines would be guesses, so it is one part."""
    block: Block = place.block
    return block.parts or (Part(PartKind.ITEM, block.start, block.end),)


def _items(reading: Reading, at: int, place: Place) -> Iterator[Unit]:
    """Each item with what is indented below it."""
    parts = _parts(place)
    passage = reading.passages[place.passage]
    for number, part in enumerate(parts):
        if part.kind is PartKind.CODE or (number and not _marked(passage.slice(part.start, part.end))):
            continue
        end = part.end
        for later in parts[number + 1 :]:
            text = passage.slice(later.start, later.end)
            if later.kind is PartKind.ITEM and (_marked(text) or later.level < part.level):
                break
            end = later.end
        text = passage.slice(part.start, end)[:MAX_UNIT_CHARS]
        yield Unit(UnitKind.ITEM, at, place, part.start, part.start + len(text), text, intro=introduction(reading, at))


def _marked(text: str) -> bool:
    return re.match(r"\A\s*+(?:[-*+•·]|\d{1,3}[.)、])\s", text) is not None


def _rows(reading: Reading, at: int, place: Place) -> Iterator[Unit]:
    passage = reading.passages[place.passage]
    header = table_header(reading, at)
    for part in _parts(place):
        if part.kind is not PartKind.HEADER:
            text = passage.slice(part.start, part.end)
            yield Unit(UnitKind.ROW, at, place, part.start, part.end, text, header=header)


def table_header(reading: Reading, at: int) -> str:
    """The header row of a table, looked for in the passages before when the table was cut."""
    while True:
        place = reading.places[at]
        if place.block.kind is not BlockKind.TABLE:
            return ""
        if place.block.header:
            return place.block.header
        for part in place.block.parts:
            if part.kind is PartKind.HEADER:
                return reading.passages[place.passage].slice(part.start, part.end)
        if _before(reading, at) is None:
            return ""
        at -= 1


def _definitions(reading: Reading, at: int, place: Place) -> Iterator[Unit]:
    """A term, or several, with the descriptions that follow. Terms alone, as in a table of contents, say nothing."""
    passage = reading.passages[place.passage]
    start: int | None = None
    end, described = 0, False
    for part in _parts(place):
        if part.kind is PartKind.TERM and (described or start is None):
            if start is not None:
                yield _definition(at, place, passage.slice(start, end), start)
            start, described = part.start, False
        described = described or part.kind is not PartKind.TERM
        start = part.start if start is None else start
        end = part.end
    if start is not None and described:
        yield _definition(at, place, passage.slice(start, end), start)


def _definition(at: int, place: Place, text: str, start: int) -> Unit:
    """A definition; of one that was cut, the terms are its header."""
    text = text[:MAX_UNIT_CHARS]
    header = place.block.header if start == place.block.start else ""
    return Unit(UnitKind.DEFINITION, at, place, start, start + len(text), text, header=header)


def is_chinese(text: str) -> bool:
    """Whether a text has Chinese characters."""
    return _CJK.search(text) is not None
