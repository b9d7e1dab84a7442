"""Lines of a PDF to paragraphs, lists, code and headings."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise
from statistics import median
from typing import Final

from rag_core.parsing.blocks import BlockKind
from rag_core.parsing.builder import TextBuilder
from rag_core.parsing.clean import is_wide, join_lines
from rag_core.parsing.formats.pdf_lines import Line

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
    """The usual distance of two lines of one paragraph on this page, 0 when it cannot be determined."""
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
        # The next page or column continues a sentence that has not ended.
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
