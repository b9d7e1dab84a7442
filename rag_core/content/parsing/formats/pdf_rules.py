"""The horizontal and vertical rules that are drawn on a PDF page: borders of tables and of their cells."""

from __future__ import annotations

import ctypes
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import median_low
from typing import Final, NamedTuple

import pypdfium2
from pypdfium2 import raw as pdfium

# A drawing of thousands of strokes is no table; reading stops there.
_MAX_OBJECTS: Final = 20_000
_MAX_STROKES: Final = 8_000
_MAX_RULES: Final = 400
_MIN_LENGTH: Final = 4.0
_SLANT: Final = 1.0
_SAME: Final = 2.5
"""Points within which two strokes are one rule, and within which rules meet."""


class Rule(NamedTuple):
    """A rule at `at` (y of a horizontal one, x of a vertical one), from `start` to `end`."""

    at: float
    start: float
    end: float


class Grid(NamedTuple):
    """Rules that meet: the borders of columns from left to right, and of rows from the top down."""

    columns: tuple[float, ...]
    rows: tuple[float, ...]


class Turn(NamedTuple):
    """A quarter turn of a page whose text is set upwards or downwards, after which its lines go to the right."""

    along_x: int = 1
    along_y: int = 0

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return x * self.along_x + y * self.along_y, y * self.along_x - x * self.along_y


UPRIGHT: Final = Turn()


@dataclass(slots=True)
class Rules:
    """The rules of one page, in the order of `at`."""

    horizontal: list[Rule] = field(default_factory=list)
    vertical: list[Rule] = field(default_factory=list)

    def between(self, left: float, right: float, y: float) -> bool:
        """Return whether a vertical rule stands between two places of a line."""
        first = bisect_right(self.vertical, left - 1, key=lambda rule: rule.at)
        last = bisect_left(self.vertical, right + 1, key=lambda rule: rule.at)
        return any(rule.start <= y <= rule.end for rule in self.vertical[first:last])

    def grids(self) -> list[Grid]:
        """The grids of at least two columns."""
        return [grid for grid in map(_grid, _connected(self.horizontal, self.vertical)) if grid is not None]


def page_rules(page: pypdfium2.PdfPage, turn: Turn = UPRIGHT) -> Rules:
    """The rules of a page, none when it is a drawing."""
    horizontal: list[Rule] = []
    vertical: list[Rule] = []
    for count, (x, y, to_x, to_y) in enumerate(_strokes(page)):
        if count >= _MAX_STROKES:
            return Rules()
        (x, y), (to_x, to_y) = turn(x, y), turn(to_x, to_y)
        if abs(y - to_y) <= _SLANT and abs(x - to_x) >= _MIN_LENGTH:
            horizontal.append(Rule((y + to_y) / 2, min(x, to_x), max(x, to_x)))
        elif abs(x - to_x) <= _SLANT and abs(y - to_y) >= _MIN_LENGTH:
            vertical.append(Rule((x + to_x) / 2, min(y, to_y), max(y, to_y)))
    rules = Rules(_merged(horizontal), _merged(vertical))
    return rules if len(rules.horizontal) + len(rules.vertical) <= _MAX_RULES else Rules()


def _strokes(page: pypdfium2.PdfPage) -> Iterator[tuple[float, float, float, float]]:
    """The straight parts of all paths, in the coordinates of the page."""
    for number in range(min(pdfium.FPDFPage_CountObjects(page), _MAX_OBJECTS)):
        item = pdfium.FPDFPage_GetObject(page, number)
        if pdfium.FPDFPageObj_GetType(item) == pdfium.FPDF_PAGEOBJ_PATH:
            yield from _path(item)


def _path(item: object) -> Iterator[tuple[float, float, float, float]]:
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(item, matrix):
        return
    x, y = ctypes.c_float(), ctypes.c_float()
    first = last = (0.0, 0.0)
    for number in range(min(pdfium.FPDFPath_CountSegments(item), _MAX_STROKES)):
        segment = pdfium.FPDFPath_GetPathSegment(item, number)
        if not pdfium.FPDFPathSegment_GetPoint(segment, x, y):
            return
        point = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            first = point
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            yield (*last, *point)
        if pdfium.FPDFPathSegment_GetClose(segment):
            yield (*point, *first)
        last = point


def _merged(rules: list[Rule]) -> list[Rule]:
    """Rules made of the strokes that continue or cover each other: cells are often drawn one by one."""
    merged: list[Rule] = []
    level: list[Rule] = []
    for rule in sorted(rules):
        if level and rule.at - level[0].at > _SAME:
            merged += _joined(level)
            level = []
        level.append(rule)
    return [*merged, *_joined(level)] if level else merged


def _joined(level: Sequence[Rule]) -> list[Rule]:
    joined: list[Rule] = []
    for rule in sorted(level, key=lambda each: each.start):
        if joined and rule.start <= joined[-1].end + _SAME:
            joined[-1] = joined[-1]._replace(end=max(joined[-1].end, rule.end))
        else:
            joined.append(rule._replace(at=level[0].at))
    return joined


def _connected(horizontal: Sequence[Rule], vertical: Sequence[Rule]) -> list[tuple[list[Rule], list[Rule]]]:
    """Rules grouped by whether they meet, at once or by way of others."""
    parents = list(range(len(horizontal) + len(vertical)))

    def root(one: int) -> int:
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    for row, across in enumerate(horizontal):
        for column, down in enumerate(vertical, len(horizontal)):
            if (
                across.start - _SAME <= down.at <= across.end + _SAME
                and down.start - _SAME <= across.at <= down.end + _SAME
            ):
                parents[root(row)] = root(column)
    every = [*horizontal, *vertical]
    grouped = groupby(sorted(range(len(every)), key=root), key=root)
    return [
        (
            [every[one] for one in members if one < len(horizontal)],
            [every[one] for one in members if one >= len(horizontal)],
        )
        for members in (list(group) for _, group in grouped)
    ]


def _grid(rules: tuple[list[Rule], list[Rule]]) -> Grid | None:
    horizontal, vertical = rules
    if not (horizontal and vertical):
        return None
    # Rules go on to the edge of a table whose sides are not drawn.
    columns = _distinct([*(rule.at for rule in vertical), *_ends(horizontal)])
    rows = _distinct([*(rule.at for rule in horizontal), *_ends(vertical)])[::-1]
    return Grid(tuple(columns), tuple(rows)) if len(columns) > 2 and len(rows) > 1 else None


def _ends(rules: Sequence[Rule]) -> list[float]:
    """Return the ends (first, last) that most rules, two at least, share."""
    ends = []
    for places in ([rule.start for rule in rules], [rule.end for rule in rules]):
        place = median_low(places)
        reaching = sum(abs(one - place) <= _SAME for one in places)
        ends += [place] if reaching >= 2 and 2 * reaching >= len(places) else []
    return ends


def _distinct(places: Sequence[float]) -> list[float]:
    found: list[float] = []
    for place in sorted(places):
        if not found or place - found[-1] > _SAME:
            found.append(place)
    return found
