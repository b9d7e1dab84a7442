"""Which lines of a PDF are headings: by its outline where it has one, else by font size."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Final

from rag_core.text.formats.pdf_lines import Line

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
