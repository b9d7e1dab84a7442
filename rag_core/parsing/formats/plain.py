"""Plain text, source code, licences and reStructuredText.

Beside underlined headings: literal blocks behind `::` or a code directive, shell and Python sessions, lists by item,
and terms with an indented description.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rag_core.parsing.base import ParsedDocument, ParseLimits
from rag_core.parsing.blocks import BlockKind, PartKind
from rag_core.parsing.builder import Piece, TextBuilder
from rag_core.parsing.clean import clean

_GAP: Final = re.compile(r"\n[ \t]*+\n(?:[ \t]*+\n)*+")
_RULE: Final = re.compile(r"([=\-~^\"'#*+`:._])\1{2,}")
_LIST: Final = re.compile(r"\A[ \t]*(?:[-*+•·]|\d{1,3}[.)、])[ \t]+\S")
_MAX_HEADING_LINE: Final = 120
_DIRECTIVE: Final = re.compile(
    r"\.\. (?:code-block|code|sourcecode|prompt)::[ \t]*(\S*)[^\n]*(?:\n[ \t]+:[^\n]*)*(?:\n|\Z)"
)
_OTHER_DIRECTIVE: Final = re.compile(r"\A\s*+\.\. ")
_SESSION: Final = re.compile(r"\A[ \t]*+(?:\$ |>>> |# apt|% )\S")
_ITEM: Final = re.compile(r"\A[ \t]*+(?:[-*+•·]|\d{1,3}[.)、])[ \t]++\S")
_INDENTED: Final = re.compile(r"\A(?:[ \t]++\S[^\n]*+(?:\n|\Z))++\Z")
_TERM: Final = re.compile(r"(?P<term>\S[^\n]{0,100}[^\n.:!?,;])\n(?P<text>[ \t]{2,}\S.*)\Z", re.DOTALL)


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Split text at empty lines. White space within a paragraph stays as it is."""
    builder = TextBuilder(limits)
    add_plain(builder, text)
    return builder.finish(media_type)


def add_plain(builder: TextBuilder, text: str) -> None:
    """Append plain text to a document."""
    styles: list[str] = []
    literal = ""
    # Line ends must be known before paragraphs can be separated; the builder cleans the rest.
    for paragraph in _paragraphs(clean_line_ends(text)):
        literal = _add(builder, paragraph, styles, literal)


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


def _add(builder: TextBuilder, paragraph: str, styles: list[str], literal: str) -> str:
    """Add one paragraph; returns the language of literal text that may follow (`text` when none is declared)."""
    if literal and _INDENTED.match(paragraph):
        builder.add(BlockKind.CODE, paragraph, language="" if literal == "text" else literal)
        return literal
    if match := _DIRECTIVE.match(paragraph):
        rest = paragraph[match.end() :]
        if rest.strip():
            builder.add(BlockKind.CODE, rest, language=match[1])
        return match[1] or "text"
    paragraph = paragraph.strip("\n")
    heading = _underlined(paragraph.split("\n", 3))
    if heading is not None and not _SESSION.match(heading[0]) and not heading[0].rstrip().endswith("$"):
        title, style, used = heading
        if style not in styles:
            styles.append(style)
        builder.heading(title, styles.index(style) + 1)
        paragraph = "\n".join(paragraph.split("\n")[used:])
    _body(builder, paragraph)
    return "text" if paragraph.rstrip().endswith("::") else ""


def _body(builder: TextBuilder, paragraph: str) -> None:
    if _SESSION.match(paragraph):
        builder.add(BlockKind.CODE, paragraph)
    elif _LIST.match(paragraph):
        builder.add_parts(BlockKind.LIST, list(_items(paragraph)))
    elif (match := _TERM.match(paragraph)) and _INDENTED.match(match["text"]) and not _OTHER_DIRECTIVE.match(paragraph):
        pieces = [Piece(PartKind.TERM, match["term"]), Piece(PartKind.DESCRIPTION, match["text"])]
        builder.add_parts(BlockKind.DEFINITIONS, pieces)
    else:
        builder.paragraph(paragraph)


def _items(paragraph: str) -> Iterator[Piece]:
    """Items with their continuation lines."""
    lines: list[str] = []
    for line in paragraph.split("\n"):
        if _ITEM.match(line) and lines:
            yield Piece(PartKind.ITEM, "\n".join(lines), _depth(lines[0]))
            lines = []
        lines.append(line)
    if lines:
        yield Piece(PartKind.ITEM, "\n".join(lines), _depth(lines[0]))


def _depth(line: str) -> int:
    return (len(line) - len(line.lstrip())) // 2


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
