"""Lines of a PDF to paragraphs, lists, code, tables and headings."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Final

from rag_core.content.parsing.blocks import BlockKind, PartKind
from rag_core.content.parsing.builder import Piece, TextBuilder, row_line
from rag_core.content.parsing.clean import is_wide, join_lines
from rag_core.content.parsing.formats.pdf_aligned import with_aligned_tables
from rag_core.content.parsing.formats.pdf_layout import Item, PdfTable, arrange
from rag_core.content.parsing.formats.pdf_lines import Line, Page
from rag_core.content.parsing.formats.pdf_rules import Rules

# --------------------------------------------------------------------------------------------------------------------
# Which lines of a PDF are headings: by its outline where it has one, else by font size.


_NOT_WORD: Final = re.compile(r"[\W_]+")
_NUMBERING: Final = re.compile(
    r"^(?:(?:chapter|section|part|appendix)\s+)?(?:\d+|[A-Z])(?:\.\d+)*[.:]?\s+", re.IGNORECASE
)
_MIN_RATIO: Final = 1.12
_MAX_CHARS: Final = 160
_MIN_MATCHED: Final = 0.3


class Outline:
    """The bookmarks of a document: (page, level from 1, title)."""

    def __init__(self, bookmarks: list[tuple[int, int, str]]) -> None:
        self._levels: dict[int, dict[str, int]] = defaultdict(dict)
        for page, level, title in bookmarks:
            if key := _key(title):
                self._levels[page].setdefault(key, min(level, 6))
        self._count = len(bookmarks)

    def headings(self, pages: list[list[Line]]) -> dict[int, int]:
        """Heading level by `id` of a line; a heading of two lines has both."""
        found: dict[int, int] = {}
        matched = 0
        for lines in pages:
            levels = self._levels.get(lines[0].page) if lines else None
            if levels:
                matched += _match(lines, dict(levels), found)
        return found if matched >= max(1, _MIN_MATCHED * self._count) else headings_by_size(pages)


def headings_by_size(pages: list[list[Line]]) -> dict[int, int]:
    """Short lines set larger than the body are headings; the larger, the higher."""
    lines = [line for page in pages for line in page]
    weights: Counter[float] = Counter()
    for line in lines:
        weights[line.size] += len(line.text)
    if not weights:
        return {}
    body = weights.most_common(1)[0][0]
    candidates = [
        line for line in lines if line.size >= body * _MIN_RATIO and len(line.text) <= _MAX_CHARS and not line.fixed
    ]
    ranks = {size: rank for rank, size in enumerate(sorted({line.size for line in candidates}, reverse=True), 1)}
    return {id(line): min(ranks[line.size], 6) for line in candidates if any(char.isalpha() for char in line.text)}


def _match(lines: list[Line], levels: dict[str, int], found: dict[int, int]) -> int:
    """Mark the lines of one page that are titles of the outline; each title once."""
    matched = 0
    for index in range(len(lines)):
        if not levels:
            break
        for span in (1, 2):
            part = lines[index : index + span]
            level = levels.pop(_key(" ".join(each.text for each in part)), None) if len(part) == span else None
            if level is not None:
                found.update((id(each), level) for each in part)
                matched += 1
                break
    return matched


def _key(title: str) -> str:
    return _NOT_WORD.sub("", _NUMBERING.sub("", " ".join(title.split()))).casefold()[:200]


_BULLET: Final = re.compile(r"(?:[•●○▪■◦‣∙·–—*-]|\(?\d{1,3}[.)]|\([a-z]\)|[a-z]\))\s+\S|[•●○▪■]")
_SENTENCE_END: Final = (".", "!", "?", ":", ";", "。", "！", "？", "：", "；", "…", "”", "」")
_GAP_FACTOR: Final = 1.3
_FIXED_WIDTH: Final = 0.6  # of a character, in font sizes
_MAX_DEPTH: Final = 8


def add_blocks(builder: TextBuilder, pages: list[Page], outline: Outline) -> None:
    """Append the document's lines and tables as blocks, each with the page it begins on."""
    arranged = [arrange(page) for page in pages]
    headings = outline.headings([[item for item in items if isinstance(item, Line)] for items in arranged])
    writer = _Writer(builder, headings)
    for page, items in zip(pages, arranged, strict=True):
        writer.page(items, page.rules)
    writer.finish()


class _Writer:
    """Gathers lines into blocks."""

    def __init__(self, builder: TextBuilder, headings: dict[int, int]) -> None:
        self._builder = builder
        self._headings = headings
        self._group: list[Line] = []
        self._items: list[list[Line]] = []
        self._table: PdfTable | None = None
        self._pitch = 0.0

    def page(self, items: list[Item], rules: Rules) -> None:
        """Add what stands on the next page."""
        self._pitch = _pitch([item for item in items if isinstance(item, Line)]) or self._pitch
        for number, item in enumerate(with_aligned_tables(items, self._headings, rules)):
            if isinstance(item, PdfTable):
                self._end_list()
                self._add_table(item, first=number == 0)
                continue
            group = self._group
            if group and not _continues(group[-1], item, self._headings, self._pitch, first=group[0]):
                self._end_group()
            self._table = None
            self._group.append(item)

    def finish(self) -> None:
        """Write what is still open."""
        self._end_list()

    def _add_table(self, table: PdfTable, *, first: bool) -> None:
        """A table that continues on a page begins with its header there too."""
        rows = [row_line(row) for row in table.rows]
        before = self._table
        if first and before is not None and before.header and table.continues(before):
            header = row_line(before.rows[0])
            rows = rows if rows[0] == header else [header, *rows]
            table = replace(table, rows=[before.rows[0], *table.rows], header=True)
        self._builder.page = table.line.page + 1
        self._builder.table(rows, header=table.header)
        self._table = table

    def _end_group(self) -> None:
        """Write a group of lines, or keep it while it is an item of a list that may go on."""
        group, self._group = self._group, []
        if not group:
            return
        first = group[0]
        if id(first) not in self._headings and not first.fixed and _BULLET.match(first.text):
            self._items.append(group)
            return
        self._end_items()
        self._builder.page = first.page + 1
        if id(first) in self._headings:
            self._builder.heading(join_lines(line.text for line in group), self._headings[id(first)])
        elif first.fixed and len(group) > 1:
            self._builder.add(BlockKind.CODE, "\n".join(_indented(group)))
        else:
            self._builder.paragraph(join_lines(line.text for line in group))

    def _end_list(self) -> None:
        self._end_group()
        self._end_items()

    def _end_items(self) -> None:
        items, self._items = self._items, []
        if not items:
            return
        self._builder.page = items[0][0].page + 1
        lefts: list[float] = []
        pieces = []
        for group in items:
            while lefts and group[0].x < lefts[-1] - group[0].size / 2:
                lefts.pop()
            if not lefts or group[0].x > lefts[-1] + group[0].size / 2:
                lefts.append(group[0].x)
            level = min(len(lefts) - 1, _MAX_DEPTH)
            pieces.append(Piece(PartKind.ITEM, "  " * level + join_lines(line.text for line in group), level))
        self._builder.add_parts(BlockKind.LIST, pieces)


def _pitch(lines: list[Line]) -> float:
    """The usual distance of two lines of one paragraph on this page, 0 when it cannot be determined."""
    gaps = [before.end_y - line.y for before, line in pairwise(lines) if 0 < before.end_y - line.y < 4 * line.size]
    return median(gaps) if len(gaps) >= 3 else 0.0


def _continues(before: Line, line: Line, headings: dict[int, int], pitch: float, *, first: Line) -> bool:
    """Return whether a line belongs to the block of the line before it."""
    if headings.get(id(before)) != headings.get(id(line)) or before.fixed != line.fixed:
        return False
    gap = before.end_y - line.y
    if id(line) in headings:
        return before.page == line.page and 0 <= gap < 2 * line.size
    if before.page != line.page or gap < 0:
        # The next page or column continues a sentence that has not ended.
        open_sentence = not before.text.endswith(_SENTENCE_END)
        return line.fixed or (open_sentence and (line.text[0].islower() or is_wide(line.text[0])))
    if gap > _GAP_FACTOR * (pitch or 1.2 * line.size):
        return False
    if line.fixed:
        return True
    indented = line.x > before.x + 0.9 * line.size and before.x <= first.x and before.text.endswith(_SENTENCE_END)
    return not indented and not _BULLET.match(line.text) and abs(before.size - line.size) < 1.5


def _indented(group: list[Line]) -> list[str]:
    """Lines of code with the indentation they are drawn with."""
    left = min(line.x for line in group)
    return [" " * min(40, round((line.x - left) / (_FIXED_WIDTH * (line.size or 10)))) + line.text for line in group]
