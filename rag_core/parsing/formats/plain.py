"""Plain text, source code, licences and reStructuredText: paragraphs, and headings that are underlined."""

from __future__ import annotations

import re
from typing import Final

from rag_core.parsing.base import BlockKind, ParsedDocument, ParseLimits
from rag_core.parsing.builder import TextBuilder
from rag_core.parsing.clean import clean

_GAP: Final = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_RULE: Final = re.compile(r"([=\-~^\"'#*+`:._])\1{2,}")
_LIST: Final = re.compile(r"\A[ \t]*(?:[-*+•·]|\d{1,3}[.)、])[ \t]+\S")
_MAX_HEADING_LINE: Final = 120


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Split text at empty lines. White space within a paragraph stays as it is."""
    builder = TextBuilder(limits)
    add_plain(builder, text)
    return builder.finish(media_type)


def add_plain(builder: TextBuilder, text: str) -> None:
    """Append plain text to a document."""
    styles: list[str] = []
    # Line ends must be known before paragraphs can be separated; the builder cleans the rest.
    normalised = clean_line_ends(text)
    for paragraph in _GAP.split(normalised):
        _add_paragraph(builder, paragraph, styles)


def clean_line_ends(text: str) -> str:
    """CR LF and CR to LF; texts without CR, nearly all of them, are returned as they are."""
    return text if "\r" not in text else text.replace("\r\n", "\n").replace("\r", "\n")


def _add_paragraph(builder: TextBuilder, paragraph: str, styles: list[str]) -> None:
    lines = paragraph.split("\n", 3)
    heading = _underlined(lines)
    if heading is None:
        builder.add(BlockKind.LIST if _LIST.match(paragraph) else BlockKind.PARAGRAPH, paragraph.strip("\n"))
        return
    title, style, used = heading
    if style not in styles:
        styles.append(style)
    builder.heading(title, styles.index(style) + 1)
    rest = "\n".join(lines[used:])
    if rest.strip():
        builder.paragraph(rest)


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
