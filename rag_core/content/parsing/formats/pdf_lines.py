"""Lines of PDF pages with the little geometry that structure is read from."""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import pypdfium2
from pypdfium2 import raw as pdfium

from rag_core.content.parsing.formats.pdf_glyphs import (
    BULLET,
    bullets,
    first_mark,
    mark_split_ligatures,
    without_marks,
)
from rag_core.content.parsing.formats.pdf_rules import UPRIGHT, Rules, Turn, page_rules

_FIXED_PITCH: Final = 1
_FIXED_FONT: Final = re.compile(rb"mono|courier|typewriter|consol|CMTT|LMTT|SFTT|-tt|menlo|fixed", re.IGNORECASE)
_BOLD_FONT: Final = re.compile(rb"bold|black|heavy|demi|CMBX|SFBX|LMB|ecbx", re.IGNORECASE)
_SOFT_BREAK: Final = "\ufffe"
# Contents pages repeat the headings; their rows of dots drown every chunk they are in.
_DOT_LEADER: Final = re.compile(
    r"(?:(?<![.·…] )(?:[.·…] ){3,}+[.·…]?+|(?<![.·…])[.·…]{5,}+)[ ]*+(?:\d++|[ivxlc]++)?$|(?:[.·][ ]?){12}"
)
_DIGITS: Final = re.compile(r"\d+")
_PAGE_NUMBER: Final = re.compile(
    r"\A(?:(?:[^\w#]*+#)++|\W*+(?:(?:page\s++|第\s*+)(?:#|[ivxlc]{1,7}+)|[ivxlc]{1,7}+))"
    r"(?:\s*+(?:/|of|共)\s*+#)?(?:\s*+[页頁])?+\W*+",
    re.IGNORECASE,
)
_SPACES: Final = re.compile(r" ++")
_WIDE_GAP: Final = 1.2  # in font sizes; between words of justified text it stays below
_NUMBERS: Final = re.compile(r"[^\w]*+")
_SAMPLED_LINES: Final = 100
_MIN_REPEATS: Final = 3
_MAX_EDGE_LINES: Final = 2
_EDGE_GAP: Final = 1.7  # in font sizes; lines of a paragraph are 1.0 to 1.5 apart


@dataclass(frozen=True, slots=True)
class GlyphRun:
    """A part of a line that a wide gap or a vertical rule sets apart, from `left` to `right` in points.

    `fixed` is known where a line has several runs.
    """

    text: str
    left: float
    right: float
    fixed: bool = False


@dataclass(slots=True)
class Line:
    """One line. `x`, `y` is the origin of its first character in points (y grows upwards), `size` its font size.

    `end_y` differs from `y` where PDFium has joined two lines over a hyphen. `runs` are in the order of the text.
    """

    text: str
    page: int
    x: float
    y: float
    end_y: float
    size: float
    fixed: bool
    bold: bool = False
    runs: tuple[GlyphRun, ...] = ()


@dataclass(slots=True)
class Page:
    """The lines of a page as the file orders them, and its rules."""

    lines: list[Line]
    rules: Rules


def read_page(document: pypdfium2.PdfDocument, number: int) -> Page:
    """One page, counted from 0; a damaged one is empty."""
    try:
        page = document[number]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        return Page([], Rules())
    try:
        found, position = [], 0
        for text in text_page.get_text_range().split("\n"):
            stripped = text.strip()
            if stripped and not _DOT_LEADER.search(stripped):
                # PDFium counts UTF-16 units; characters beyond the BMP only shift the geometry a little.
                found.append((position + text.index(stripped[0]), stripped))
            position += len(text) + 1
        turn = _turn(text_page, [offset for offset, _ in found])
        rules = page_rules(page, turn)
        lines, marks = [], []
        for offset, text in found:
            line = _line(text_page, offset, text, number, turn)
            first = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, offset)
            line.text = mark_split_ligatures(text, line.size, partial(_start, text_page, first, turn))
            marks.append(first_mark(text, partial(_font_at, text_page, first)))
            line.runs = _runs(text_page, offset, line, rules, turn)
            lines.append(line)
        for line, is_bullet in zip(lines, bullets(marks), strict=True):
            _show(line, is_bullet=is_bullet)
        return Page(lines, rules)
    finally:
        text_page.close()
        page.close()


def _turn(text_page: pypdfium2.PdfTextPage, offsets: list[int]) -> Turn:
    """Return the turn for a page whose lines, most of them, are set upwards or downwards."""
    sampled = offsets[:: max(1, len(offsets) // _SAMPLED_LINES)]
    indices = [pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, offset) for offset in sampled]
    quarters = Counter(round(pdfium.FPDFText_GetCharAngle(text_page, index) / (math.pi / 2)) % 4 for index in indices)
    quarter = quarters.most_common(1)[0][0] if quarters else 0
    return {1: Turn(0, -1), 2: Turn(-1, 0), 3: Turn(0, 1)}.get(quarter, UPRIGHT)


def _line(text_page: pypdfium2.PdfTextPage, offset: int, text: str, page: int, turn: Turn) -> Line:
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, offset)
    x, y = turn(*_origin(text_page, index))
    end_y = y
    if _SOFT_BREAK in text:
        last = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, offset + len(text) - 1)
        end_y = turn(*_origin(text_page, last))[1]
    size = abs(pdfium.FPDFText_GetFontSize(text_page, index))
    # Many writers scale a font of size 1 by a matrix; its vertical scale makes the size that is seen.
    matrix = pdfium.FS_MATRIX()
    if pdfium.FPDFText_GetMatrix(text_page, index, matrix):
        size *= max(abs(matrix.d), abs(matrix.b)) or 1.0
    fixed, bold = _font(text_page, index)
    return Line(text, page, x, y, end_y, round(size * 2) / 2, fixed, bold)


def _start(text_page: pypdfium2.PdfTextPage, first: int, turn: Turn, at: int) -> float:
    return turn(*_origin(text_page, first + at))[0]


def _font_at(text_page: pypdfium2.PdfTextPage, first: int, at: int) -> bytes:
    return _font_name(text_page, first + at)[0]


def _show(line: Line, *, is_bullet: bool) -> None:
    """Give a line and its runs the characters that are seen."""
    runs = [replace(run, text=without_marks(run.text)) for run in line.runs]
    line.text = without_marks(line.text)
    if is_bullet:
        line.text = BULLET + line.text[1:]
        runs[0] = replace(runs[0], text=BULLET + runs[0].text[1:])
    line.runs = tuple(runs)


def _font(text_page: pypdfium2.PdfTextPage, index: int) -> tuple[bool, bool]:
    """Return whether the font of a character is of fixed width, and whether it is bold."""
    name, flags = _font_name(text_page, index)
    fixed = bool(flags & _FIXED_PITCH) or _FIXED_FONT.search(name) is not None
    return fixed, _BOLD_FONT.search(name) is not None


def _font_name(text_page: pypdfium2.PdfTextPage, index: int) -> tuple[bytes, int]:
    name, flags = ctypes.create_string_buffer(64), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(text_page, index, name, 64, flags)
    return name.value, flags.value


def _runs(text_page: pypdfium2.PdfTextPage, offset: int, line: Line, rules: Rules, turn: Turn) -> tuple[GlyphRun, ...]:
    """The runs of a line. Only the characters beside spaces are looked at: between others there is no wide gap."""
    first = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, offset)
    left, right = _sides(text_page, first, turn)
    runs, start = [], 0
    for space in _SPACES.finditer(line.text):
        before, after = (_sides(text_page, first + at, turn) for at in (space.start() - 1, space.end()))
        gap = after[0] - before[1]
        if gap > _WIDE_GAP * (line.size or 10) or (gap > 0 and rules.between(before[1], after[0], line.y)):
            runs.append(GlyphRun(line.text[start : space.start()], left, before[1], _font(text_page, first + start)[0]))
            start, left = space.end(), after[0]
        right = after[1]
    right = max(right, _sides(text_page, first + len(line.text) - 1, turn)[1])
    fixed = _font(text_page, first + start)[0] if runs else line.fixed
    return (*runs, GlyphRun(line.text[start:], left, right, fixed))


def _sides(text_page: pypdfium2.PdfTextPage, index: int, turn: Turn) -> tuple[float, float]:
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    pdfium.FPDFText_GetCharBox(text_page, index, left, right, bottom, top)
    sides = turn(left.value, bottom.value)[0], turn(right.value, top.value)[0]
    return min(sides), max(sides)


def _origin(text_page: pypdfium2.PdfTextPage, index: int) -> tuple[float, float]:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text_page, index, x, y)
    return x.value, y.value


def without_running_lines(pages: list[Page]) -> None:
    """Drop page numbers, and headers and footers after their first appearance."""
    counts = Counter(_normal(line.text) for page in pages for line in _edges(page.lines))
    seen: set[str] = set()
    for page in pages:
        dropped: set[int] = set()
        for line in _edges(page.lines):
            normal = _normal(line.text)
            if len(line.runs) > 1 and _NUMBERS.fullmatch(normal):
                continue  # the first or last row of a table
            repeated = counts[normal] >= _MIN_REPEATS and len(pages) > _MIN_REPEATS
            if _PAGE_NUMBER.fullmatch(normal) or (repeated and normal in seen):
                dropped.add(id(line))
            elif repeated:
                seen.add(normal)
        page.lines = [line for line in page.lines if id(line) not in dropped]


def _edges(lines: list[Line]) -> list[Line]:
    """Up to two lines at the top and at the bottom of a page that stand apart from the rest."""
    return [*_apart(lines), *_apart(lines[::-1])] if len(lines) > 1 else []


def _apart(lines: list[Line]) -> list[Line]:
    for count in range(1, min(_MAX_EDGE_LINES, len(lines) - 1) + 1):
        if abs(lines[count - 1].y - lines[count].y) > _EDGE_GAP * lines[count].size:
            return lines[:count]
    return []


def _normal(text: str) -> str:
    return _DIGITS.sub("#", " ".join(text.split()).lower())
