"""The lines of a PDF page in reading order: one column of the page after the other, ruled tables as rows of cells."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import mean, median
from typing import Final, NamedTuple

from rag_core.content.parsing.builder import begins_with_data, is_number
from rag_core.content.parsing.clean import join_lines
from rag_core.content.parsing.formats.pdf_lines import GlyphRun, Line, Page
from rag_core.content.parsing.formats.pdf_rules import Grid

_PROSE_CHARS: Final = 25
_MIN_COLUMN_LINES: Final = 6


@dataclass(slots=True)
class PdfTable:
    """Rows of cells. `line` is the first line of it, `lefts` is where its columns begin, in points."""

    line: Line
    rows: list[list[str]]
    lefts: tuple[float, ...]
    header: bool

    def continues(self, before: PdfTable) -> bool:
        """Return whether this is the rest of a table that began on a page before."""
        return len(self.lefts) == len(before.lefts) and all(
            abs(one - other) < 4 for one, other in zip(self.lefts, before.lefts, strict=True)
        )


Item = Line | PdfTable


def arrange(page: Page) -> list[Item]:
    """The text of a page in reading order, with the tables that rules enclose."""
    return _in_columns(list(_ruled(page)))


# --------------------------------------------------------------------------------------------------------------------
# Tables with rules.


class _Taken(NamedTuple):
    """A run within a cell of a grid."""

    row: int
    column: int
    y: float
    run: GlyphRun


def _ruled(page: Page) -> Iterator[Item]:
    """The lines, with what each grid encloses as a table in the place of its first line."""
    lines: list[Item] = list(page.lines)
    for grid in page.rules.grids():
        lines = list(_enclosed(lines, grid))
    yield from lines


def _enclosed(items: list[Item], grid: Grid) -> Iterator[Item]:
    taken: list[_Taken] = []
    first: Line | None = None
    kept: list[Item] = []
    at = 0
    for item in items:
        inside = _inside(item, grid) if isinstance(item, Line) else []
        if not inside or not isinstance(item, Line):
            kept.append(item)
            continue
        if first is None:
            first, at = item, len(kept)
        taken += inside
        enclosed = {one.run for one in inside}
        outside = tuple(run for run in item.runs if run not in enclosed)
        if outside:
            kept.append(replace(item, text=" ".join(run.text for run in outside), x=outside[0].left, runs=outside))
    rows = _cells(taken, grid)
    filled = [number for number in range(len(grid.columns) - 1) if any(row[number] for row in rows)]
    # Borders that are drawn twice, and shades, enclose columns in which nothing stands.
    rows = _unwrapped([[row[number] for number in filled] for row in rows])
    if first is None or len(rows) < 2 or len(filled) < 2 or _is_chart(rows) or _holds_columns(taken, grid):
        yield from items
        return
    lefts = tuple(grid.columns[number] for number in filled)
    kept.insert(at, PdfTable(first, rows, lefts, not begins_with_data(rows)))
    yield from kept


def _holds_columns(taken: Sequence[_Taken], grid: Grid) -> bool:
    """Return whether rules enclose and part columns of prose rather than the cells of a table."""
    columns: dict[int, list[str]] = {}
    for one in taken:
        columns.setdefault(one.column, []).append(one.run.text)
    return len(grid.rows) <= 3 and all(
        len(texts) >= _MIN_COLUMN_LINES and mean(map(len, texts)) >= _PROSE_CHARS for texts in columns.values()
    )


def _is_chart(rows: list[list[str]]) -> bool:
    """Return whether a grid holds the scattered numbers of a chart."""
    cells = [cell for row in rows for cell in row if cell]
    return all(map(is_number, cells)) and len(cells) < 0.6 * len(rows) * len(rows[0])


def _inside(line: Line, grid: Grid) -> list[_Taken]:
    y = line.y + 0.3 * line.size
    if not grid.rows[-1] < y < grid.rows[0]:
        return []
    row = sum(border > y for border in grid.rows) - 1
    found = []
    for run in line.runs:
        # The beginning decides: a run that is cut off from the next by no gap may stand over its own border.
        x = min(run.left + 2, (run.left + run.right) / 2)
        if grid.columns[0] - 1 < x < grid.columns[-1]:
            column = max(sum(border < x for border in grid.columns) - 1, 0)
            found.append(_Taken(row, column, line.y, run))
    return found


def _cells(taken: Sequence[_Taken], grid: Grid) -> list[list[str]]:
    """The rows; one for each line of the first column where no rules part the rows below the header."""
    width = len(grid.columns) - 1
    found: dict[tuple[int, int], list[_Taken]] = {}
    for one in taken:
        found.setdefault((one.row, one.column), []).append(one)
    rows: list[list[str]] = []
    for row in range(len(grid.rows) - 1):
        cells = [found.get((row, column), []) for column in range(width)]
        rows += _unruled_rows(cells) if len(grid.rows) <= 3 or _has_rows(cells) else [[_text(cell) for cell in cells]]
    return [row for row in rows if any(row)]


def _has_rows(cells: list[list[_Taken]]) -> bool:
    """Return whether a row of the grid holds several of the table: numbers beside each line of its first cell."""
    first = next((cell for cell in cells if cell), [])
    depths = {round(one.y) for one in first}
    return len(depths) > 1 and any(
        len(cell) > 1 and len(cell) == len(depths) and all(is_number(one.run.text) for one in cell)
        for cell in cells
        if cell is not first
    )


def _unwrapped(rows: list[list[str]]) -> list[list[str]]:
    """Rows of which each line stood between rules of its own, or shades, as one."""
    joined: list[list[str]] = []
    cells = [cell for row in rows for cell in row if cell]
    # Where names are not capitalized, a small letter begins a cell like any other.
    capitalized = sum(map(_is_inside_sentence, cells)) < 0.3 * len(cells)
    for row in rows:
        if joined and capitalized and _goes_on(joined[-1], row):
            joined[-1] = [join_lines(pair) for pair in zip(joined[-1], row, strict=True)]
        else:
            joined.append(row)
    return joined


def _goes_on(before: list[str], row: list[str]) -> bool:
    """Return whether a row continues the cells above: those that it shares with them begin within a sentence."""
    shared = [cell for above, cell in zip(before, row, strict=True) if above and cell]
    alone = sum(map(bool, before)) == 1 and bool(before[0])
    others = alone or all(above for above, cell in zip(before, row, strict=True) if cell)
    return bool(shared) and others and all(map(_is_inside_sentence, shared))


def _is_inside_sentence(cell: str) -> bool:
    return cell[0].islower() or cell[0] == "("


def _unruled_rows(cells: list[list[_Taken]]) -> list[list[str]]:
    """A row for each line of the first column, with what follows it; the first has what is above it too."""
    depths = sorted({-round(one.y) for one in next((cell for cell in cells if cell), [])})[1:]
    rows: list[list[list[_Taken]]] = [[[] for _ in cells] for _ in range(len(depths) + 1)]
    for column, cell in enumerate(cells):
        for one in cell:
            rows[bisect_right(depths, 1 - one.y)][column].append(one)
    return [[_text(cell) for cell in row] for row in rows]


def _text(cell: Sequence[_Taken]) -> str:
    return join_lines(one.run.text for one in sorted(cell, key=lambda one: (-round(one.y), one.run.left)))


# --------------------------------------------------------------------------------------------------------------------
# Pages of two columns.


def _in_columns(items: list[Item]) -> list[Item]:
    """The lines of the left column before those of the right one, between the lines that go over both.

    Most files hold their columns one after the other, and are left as they are.
    """
    gutter = _gutter([item for item in items if isinstance(item, Line)])
    if gutter is None:
        return items
    ordered: list[Item] = []
    left: list[Item] = []
    right: list[Item] = []
    for item in items:
        parts = _parted(item, gutter) if isinstance(item, Line) else None
        if parts is None:
            ordered += [*left, *right, item]
            left, right = [], []
            continue
        left += parts[0]
        right += parts[1]
    return [*ordered, *left, *right]


def _gutter(lines: Sequence[Line]) -> float | None:
    """The middle of the gap between two columns of prose whose lines are mixed; `None` where there are none."""
    gaps = [(before.right, after.left) for line in lines for before, after in pairwise(line.runs)]
    # Lines of the two columns that do not share a base line are apart already.
    gaps += [
        (min(one, other, key=_left).runs[-1].right, max(one, other, key=_left).runs[0].left)
        for one, other in pairwise(lines)
        if one.runs and other.runs and abs(one.y - other.y) < one.size
    ]
    gaps = [gap for gap in gaps if gap[1] - gap[0] > 4]
    if len(gaps) < _MIN_COLUMN_LINES:
        return None
    places = [median(end for _, end in gaps) - 2, median(start for start, _ in gaps) + 2]
    for place in places:
        parts = [parted for line in lines if (parted := _parted(line, place)) is not None]
        left, right = ([part for pair in parts for part in pair[side]] for side in (0, 1))
        crossing = len(lines) - len(parts)
        both = sum(start < place < end for start, end in gaps)
        if both < _MIN_COLUMN_LINES or crossing > len(parts) // 2:
            continue
        if all(map(_is_prose, (left, right))) and _alike(_width(left), _width(right)) and _alike(len(left), len(right)):
            return place
    return None


def _is_prose(lines: Sequence[Line]) -> bool:
    """Return whether lines fill their column as running text does; cells, code and notes in margins do not."""
    if len(lines) < _MIN_COLUMN_LINES or mean(len(line.text) for line in lines) < _PROSE_CHARS:
        return False
    prose = [line for line in lines if len(line.runs) == 1 and not line.fixed]
    letters = sum(char.isalpha() for line in prose for char in line.text)
    return (
        len(prose) > 0.8 * len(lines)
        and letters > 0.6 * sum(len(line.text) for line in prose)
        and median(line.runs[-1].right - line.runs[0].left for line in prose) > 0.7 * _width(prose)
    )


def _width(lines: Sequence[Line]) -> float:
    return max(line.runs[-1].right for line in lines) - min(line.runs[0].left for line in lines)


def _alike(one: float, other: float) -> bool:
    return min(one, other) > 0.4 * max(one, other)


def _left(line: Line) -> float:
    return line.runs[0].left


def _parted(line: Line, gutter: float) -> tuple[list[Line], list[Line]] | None:
    """Return the parts of a line left and right of a gutter; `None` for a line that goes over it."""
    if any(run.left < gutter < run.right for run in line.runs):
        return None
    left = tuple(run for run in line.runs if run.right <= gutter)
    right = tuple(run for run in line.runs if run.left >= gutter)
    if not left or not right:
        return ([line], []) if left else ([], [line])
    parts = [
        replace(line, text=" ".join(run.text for run in side), x=side[0].left, runs=side) for side in (left, right)
    ]
    return [parts[0]], [parts[1]]
