"""Plain text, source code and licences, and the prose of reStructuredText.

Beside underlined headings: literal blocks behind `::` or a code directive, shell and Python sessions, lists by item,
options as manual pages list them, and terms with an indented description.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import BlockKind, PartKind
from rag_core.content.parsing.builder import Piece, TextBuilder
from rag_core.content.parsing.clean import clean
from rag_core.content.parsing.formats import man_page
from rag_core.content.parsing.links import NamedTarget

_GAP: Final = re.compile(r"\n[ \t]*+\n(?:[ \t]*+\n)*+")
_RULE: Final = re.compile(r"([=\-~^\"'#*+`:._])\1{2,}")
_MAX_HEADING_LINE: Final = 120
_DIRECTIVE: Final = re.compile(
    r"\.\. (?:code-block|code|sourcecode|prompt)::[ \t]*(\S*+)[^\n]*+(?:\n[ \t]+:[^\n]*+)*(?:\n|\Z)"
)
_OTHER_DIRECTIVE: Final = re.compile(r"\A\s*+\.\. ")
_SESSION: Final = re.compile(r"\A[ \t]*+(?:\$ |>>> |# apt|% )\S")
_ITEM: Final = re.compile(r"\A[ \t]*+(?:[-*+•·]|\d{1,3}[.)、])[ \t]++\S")
_INDENTED: Final = re.compile(r"\A(?:[ \t]++\S[^\n]*+\n?+)++\Z")
_OPTION: Final = re.compile(r"\A[ \t]*+(?:--?[\w?]|/[A-Z?]\b)[^\n]{0,80}?(?:[ ]{2}|\t|\Z)")
_SECTION: Final = re.compile(r"\A([A-Z][A-Z0-9 ,/&-]{2,60}+)\n(?=[ ]{5}|\t)")
_TERM_END: Final = re.compile(r"[.:!?,;]\Z")
_NO_TERM: Final = re.compile(r"[{}();=|]")
_MAX_TERM_CHARS: Final = 100
_MAX_TERM_WORDS: Final = 4
_MAX_PARAGRAPHS: Final = 500


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Split text at empty lines. White space within a paragraph stays as it is; a manual page has its own reader."""
    if man_page.is_man_page(text):
        return man_page.read(clean_line_ends(text), limits, media_type)
    builder = TextBuilder(limits)
    add_plain(builder, text)
    return builder.finish(media_type)


def add_plain(builder: TextBuilder, text: str) -> None:
    """Append plain text to a document."""
    writer = PlainWriter(builder)
    # Line ends must be known before paragraphs can be separated; the builder cleans the rest.
    writer.write(clean_line_ends(text))
    writer.finish()


def clean_line_ends(text: str) -> str:
    """CR LF and CR to LF; texts without CR, nearly all of them, are returned as they are."""
    return text if "\r" not in text else text.replace("\r\n", "\n").replace("\r", "\n")


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs with the indentation of their first lines kept."""
    position = 0
    for gap in _GAP.finditer(text):
        yield text[position : gap.start()]
        position = gap.end()
    yield text[position:]


class PlainWriter:
    """Adds paragraphs, as what they and those before them make of them."""

    def __init__(self, builder: TextBuilder) -> None:
        self._builder = builder
        self._styles: list[str] = []
        self._literal = ""
        """The language of literal text that may follow, `text` when none is declared."""
        self._definition: list[Piece] = []
        self._indent = 0

    def write(self, text: str) -> None:
        """Add the paragraphs of a text whose line ends are LF."""
        for paragraph in filter(str.strip, _paragraphs(text)):
            self._add(paragraph.strip("\n"))

    def is_literal(self, text: str) -> bool:
        """Return whether a text, added next, would be literal: it is indented behind `::` or a code directive."""
        return bool(self._literal) and text[:1] in (" ", "\t")

    def _add(self, paragraph: str) -> None:
        if self._describes(paragraph):
            self._definition.append(Piece(PartKind.DESCRIPTION, _dedented(paragraph, self._indent)))
            return
        self.finish()
        self._begin(paragraph)

    def _begin(self, paragraph: str) -> None:
        """Add a paragraph that is no description of what stands before it."""
        if self._literal and _INDENTED.match(paragraph):
            self._builder.add(BlockKind.CODE, paragraph, language="" if self._literal == "text" else self._literal)
            return
        if match := _DIRECTIVE.match(paragraph):
            rest = paragraph[match.end() :]
            if rest.strip():
                self._builder.add(BlockKind.CODE, rest, language=match[1])
            self._literal = match[1] or "text"
            return
        paragraph = self._below_heading(paragraph)
        if section := _SECTION.match(paragraph):  # as manual pages have them
            self._builder.heading(section[1], 1)
            paragraph = paragraph[section.end() :]
        self._body(paragraph)
        self._literal = "text" if paragraph.rstrip().endswith("::") else ""

    def finish(self) -> None:
        """Write the definition that is still open."""
        pieces, self._definition = self._definition, []
        self._add_parts(BlockKind.DEFINITIONS, pieces)

    def _shown(self, text: str) -> tuple[str, list[NamedTarget]]:
        """The text that a reader sees, and its links: all of it, where there are no marks."""
        return text, []

    def _add_parts(self, kind: BlockKind, pieces: Iterable[Piece]) -> None:
        shown = [(piece, *self._shown(piece.text)) for piece in pieces]
        self._builder.add_parts(kind, [replace(piece, text=text, links=tuple(links)) for piece, text, links in shown])

    def _describes(self, paragraph: str) -> bool:
        """Return whether a paragraph continues the description of the term before it: all of it is further right."""
        if not 0 < len(self._definition) < _MAX_PARAGRAPHS or not _INDENTED.match(paragraph):
            return False
        return all(_indent(line) > self._indent for line in paragraph.split("\n") if line.strip())

    def _below_heading(self, paragraph: str) -> str:
        heading = _underlined(paragraph.split("\n", 3))
        if heading is None or _SESSION.match(heading[0]) or heading[0].rstrip().endswith("$"):
            return paragraph
        title, style, used = heading
        if style not in self._styles:
            self._styles.append(style)
        self._builder.heading(self._shown(title)[0], self._styles.index(style) + 1)
        return "\n".join(paragraph.split("\n")[used:])

    def _body(self, paragraph: str) -> None:
        if _SESSION.match(paragraph):
            self._builder.add(BlockKind.CODE, paragraph)
        elif _ITEM.match(paragraph):
            self._add_parts(BlockKind.LIST, _items(paragraph, _ITEM))
        elif definition := _definition(paragraph):
            self._definition, self._indent = definition, _indent(paragraph)
        elif _is_options(paragraph):
            self._add_parts(BlockKind.LIST, _items(paragraph, _OPTION))
        else:
            self._builder.paragraph(*self._shown(paragraph))


def _definition(paragraph: str) -> list[Piece]:
    """Terms, each with its description indented below it; nothing when the paragraph is something else."""
    if _OTHER_DIRECTIVE.match(paragraph):
        return []
    lines = paragraph.split("\n")
    indent = _indent(lines[0])
    depth = 1 if len(lines) > 1 and lines[1].startswith("\t") else 2
    entries: list[tuple[str, list[str]]] = []
    for line in lines:
        if entries and _indent(line) >= indent + depth:
            entries[-1][1].append(line)
        elif _indent(line) == indent and (not entries or entries[-1][1]):
            entries.append((line, []))
        else:
            return []
    if not entries[-1][1] or not all(_is_term(term.strip(), indent, len(entries)) for term, _ in entries):
        return []
    return [
        piece
        for term, text in entries
        for piece in (
            Piece(PartKind.TERM, term.strip()),
            Piece(PartKind.DESCRIPTION, _dedented("\n".join(text), indent)),
        )
    ]


def _is_term(term: str, indent: int, count: int) -> bool:
    """Return whether a line may be a term. Indented, or one of several, it could be code or a quotation."""
    if not 2 <= len(term) <= _MAX_TERM_CHARS or _TERM_END.search(term):
        return False
    if indent == 0 and count == 1:
        return True
    return bool(_OPTION.match(term)) or (len(term.split()) <= _MAX_TERM_WORDS and not _NO_TERM.search(term))


def _is_options(paragraph: str) -> bool:
    """Return whether a paragraph lists options, each on a line with what it does, which may go on below."""
    lines = paragraph.split("\n")
    if not _OPTION.match(lines[0]) or len(lines[0].split()) < 2:
        return False
    return len(lines) > 1 and all(_OPTION.match(line) or _indent(line) > _indent(lines[0]) for line in lines)


def _dedented(text: str, indent: int) -> str:
    """Lines without the indentation of the term they belong to."""
    return "\n".join(line[indent:] for line in text.split("\n"))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _items(paragraph: str, begins: re.Pattern[str]) -> Iterator[Piece]:
    """Items with their continuation lines."""
    lines: list[str] = []
    for line in paragraph.split("\n"):
        if begins.match(line) and lines:
            yield Piece(PartKind.ITEM, "\n".join(lines), _depth(lines[0]))
            lines = []
        lines.append(line)
    if lines:
        yield Piece(PartKind.ITEM, "\n".join(lines), _depth(lines[0]))


def _depth(line: str) -> int:
    return _indent(line) // 2


def _underlined(lines: list[str]) -> tuple[str, str, int] | None:
    """(title, style, lines used) when the lines begin with an underlined, perhaps also overlined, title."""
    if len(lines) >= 3 and _is_rule(lines[0]) and _is_rule(lines[2]) and _fits(lines[1], lines[2]):
        return lines[1].strip(), lines[2][0] + "over", 3
    if len(lines) >= 2 and not _is_rule(lines[0]) and _is_rule(lines[1]) and _fits(lines[0], lines[1]):
        return lines[0].strip(), lines[1][0], 2
    return None


def _is_rule(line: str) -> bool:
    return _RULE.fullmatch(line.rstrip()) is not None


def _fits(title: str, rule: str) -> bool:
    """Underlines are as long as their title; a rule of the page's width is a separator or a table border."""
    width = len(clean(title).strip())
    return 0 < width <= _MAX_HEADING_LINE and width - 2 <= len(rule.rstrip()) <= max(2 * width, width + 4)
