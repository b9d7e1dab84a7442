"""Lines of PDF pages with the little geometry that structure is read from."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

import pypdfium2
from pypdfium2 import raw as pdfium

_FIXED_PITCH: Final = 1
_FIXED_FONT: Final = re.compile(rb"mono|courier|typewriter|consol|CMTT|LMTT|SFTT|-tt|menlo|fixed", re.IGNORECASE)
_SOFT_BREAK: Final = "\ufffe"
# Contents pages repeat the headings; their rows of dots drown every chunk they are in.
_DOT_LEADER: Final = re.compile(
    r"(?:(?<![.·…] )(?:[.·…] ){3,}+[.·…]?+|(?<![.·…])[.·…]{5,}+)[ ]*+(?:\d++|[ivxlc]++)?+$|(?:[.·][ ]?){12}"
)
_DIGITS: Final = re.compile(r"\d+")
_PAGE_NUMBER: Final = re.compile(
    r"\A(?:(?:[^\w#]*+#)++|\W*+(?:(?:page\s++|第\s*+)(?:#|[ivxlc]{1,7}+)|[ivxlc]{1,7}+))"
    r"(?:\s*+(?:/|of|共)\s*+#)?+(?:\s*+[页頁])?+\W*+",
    re.IGNORECASE,
)
_MIN_REPEATS: Final = 3
_MAX_EDGE_LINES: Final = 2
_EDGE_GAP: Final = 1.7  # in font sizes; lines of a paragraph are 1.0 to 1.5 apart


@dataclass(slots=True)
class Line:
    """One line. `x`, `y` is the origin of its first character in points (y grows upwards), `size` its font size.

    `end_y` differs from `y` where PDFium has joined two lines over a hyphen.
    """

    text: str
    page: int
    x: float
    y: float
    end_y: float
    size: float
    fixed: bool


def page_lines(document: pypdfium2.PdfDocument, number: int) -> list[Line]:
    """The lines of a page in reading order; none for a page that is damaged."""
    try:
        page = document[number]
        text_page = page.get_textpage()
    except pypdfium2.PdfiumError:
        return []
    try:
        lines, position = [], 0
        for text in text_page.get_text_range().split("\n"):
            stripped = text.strip()
            if stripped and not _DOT_LEADER.search(stripped):
                # PDFium counts UTF-16 units; characters beyond the BMP only shift the geometry a little.
                offset = position + text.index(stripped[0])
                lines.append(_line(text_page, offset, stripped, number))
            position += len(text) + 1
        return lines
    finally:
        text_page.close()
        page.close()


def _line(text_page: pypdfium2.PdfTextPage, offset: int, text: str, page: int) -> Line:
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, offset)
    x, y = _origin(text_page, index)
    end_y = y
    if _SOFT_BREAK in text:
        last = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, offset + len(text) - 1)
        end_y = _origin(text_page, last)[1]
    name, flags = ctypes.create_string_buffer(64), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(text_page, index, name, 64, flags)
    size = abs(pdfium.FPDFText_GetFontSize(text_page, index))
    # Many writers scale a font of size 1 by a matrix; its vertical scale makes the size that is seen.
    matrix = pdfium.FS_MATRIX()
    if pdfium.FPDFText_GetMatrix(text_page, index, matrix):
        size *= max(abs(matrix.d), abs(matrix.b)) or 1.0
    fixed = bool(flags.value & _FIXED_PITCH) or _FIXED_FONT.search(name.value) is not None
    return Line(text, page, x, y, end_y, round(size * 2) / 2, fixed)


def _origin(text_page: pypdfium2.PdfTextPage, index: int) -> tuple[float, float]:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text_page, index, x, y)
    return x.value, y.value


def without_running_lines(pages: list[list[Line]]) -> list[list[Line]]:
    """Drop page numbers, and headers and footers after their first appearance."""
    counts = Counter(_normal(line.text) for lines in pages for line in _edges(lines))
    seen: set[str] = set()
    kept = []
    for lines in pages:
        dropped: set[int] = set()
        for line in _edges(lines):
            normal = _normal(line.text)
            repeated = counts[normal] >= _MIN_REPEATS and len(pages) > _MIN_REPEATS
            if _PAGE_NUMBER.fullmatch(normal) or (repeated and normal in seen):
                dropped.add(id(line))
            elif repeated:
                seen.add(normal)
        kept.append([line for line in lines if id(line) not in dropped])
    return kept


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
