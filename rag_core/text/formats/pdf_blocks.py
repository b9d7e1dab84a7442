"""Lines of a PDF to paragraphs, lists, code and headings."""

from __future__ import annotations

import re
from itertools import pairwise
from statistics import median
from typing import Final

from rag_core.models import BlockKind
from rag_core.text.builder import TextBuilder
from rag_core.text.formats.pdf_headings import Outline
from rag_core.text.formats.pdf_lines import Line
from rag_core.text.lines import is_wide, join_lines

_BULLET: Final = re.compile(r"(?:[•●○▪■◦‣∙·–—*-]|\(?\d{1,3}[.)]|\([a-z]\)|[a-z]\))\s+\S|[•●○▪■]")
_SENTENCE_END: Final = (".", "!", "?", ":", ";", "。", "！", "？", "：", "；", "…", "”", "」")
_GAP_FACTOR: Final = 1.3
_FIXED_WIDTH: Final = 0.6  # of a character, in font sizes


def add_blocks(builder: TextBuilder, pages: list[list[Line]], outline: Outline) -> None:
    """Append the document's lines as blocks."""
    headings = outline.headings(pages)
    group: list[Line] = []
    pitch = 0.0
    for lines in pages:
        pitch = _pitch(lines) or pitch
        for line in lines:
            if group and not _continues(group[-1], line, headings, pitch, first=group[0]):
                _write(builder, group, headings)
                group = []
            group.append(line)
    if group:
        _write(builder, group, headings)


def _pitch(lines: list[Line]) -> float:
    """The usual distance of two lines of one paragraph on this page, 0 when it cannot be told."""
    gaps = [before.end_y - line.y for before, line in pairwise(lines) if 0 < before.end_y - line.y < 4 * line.size]
    return median(gaps) if len(gaps) >= 3 else 0.0


def _continues(before: Line, line: Line, headings: dict[int, int], pitch: float, *, first: Line) -> bool:
    """Whether a line belongs to the block of the line before it."""
    if headings.get(id(before)) != headings.get(id(line)) or before.fixed != line.fixed:
        return False
    gap = before.end_y - line.y
    if id(line) in headings:
        return before.page == line.page and 0 <= gap < 2 * line.size
    if before.page != line.page or gap < 0:
        # The next page or column goes on with a sentence that has not ended.
        open_sentence = not before.text.endswith(_SENTENCE_END)
        return line.fixed or (open_sentence and (line.text[0].islower() or is_wide(line.text[0])))
    if gap > _GAP_FACTOR * (pitch or 1.2 * line.size):
        return False
    if line.fixed:
        return True
    indented = line.x > before.x + 0.9 * line.size and before.x <= first.x and before.text.endswith(_SENTENCE_END)
    return not indented and not _BULLET.match(line.text) and abs(before.size - line.size) < 1.5


def _write(builder: TextBuilder, group: list[Line], headings: dict[int, int]) -> None:
    first = group[0]
    if id(first) in headings:
        builder.heading(join_lines(line.text for line in group), headings[id(first)])
    elif first.fixed and len(group) > 1:
        builder.add(BlockKind.CODE, "\n".join(_indented(group)))
    else:
        kind = BlockKind.LIST if _BULLET.match(first.text) else BlockKind.PARAGRAPH
        builder.add(kind, join_lines(line.text for line in group))


def _indented(group: list[Line]) -> list[str]:
    """Lines of code with the indentation they are drawn with."""
    left = min(line.x for line in group)
    return [" " * min(40, round((line.x - left) / (_FIXED_WIDTH * (line.size or 10)))) + line.text for line in group]
