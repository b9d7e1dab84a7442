"""Tables of a PDF page without rules: three rows and more whose cells stand in columns with clear gaps between."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from itertools import pairwise
from statistics import mean
from typing import Final, NamedTuple

from rag_core.content.parsing.builder import begins_with_data, is_number
from rag_core.content.parsing.clean import join_lines
from rag_core.content.parsing.formats.pdf_layout import Item, PdfTable
from rag_core.content.parsing.formats.pdf_lines import GlyphRun, Line
from rag_core.content.parsing.formats.pdf_rules import Rules

_MIN_ROWS: Final = 3
_MAX_WRAPPED: Final = 60
_ROW_GAP: Final = 3.2  # in font sizes, from one row of a table to the next
_WRAP_GAP: Final = 1.45  # the same within a cell
_OUTDENT: Final = 2.0
_CLOSER: Final = 0.85
_COLUMN_GAP: Final = 0.6
_LONG_CELL: Final = 40
"""Characters; where all columns have longer cells on average, they hold running text."""
_MARK: Final = re.compile(r"\W{1,2}|\(?(?:\d{1,3}|[A-Za-z])[.)]|\[\d{1,3}\]")
_EQUATION: Final = re.compile(r"\([\d.]{1,8}\)|\[[A-Z]\w{1,12}\]")
_CODE: Final = re.compile(r"[{}=;]|[\w)]\(|\A[#$>]|\A--?\w")
_NUMBERED: Final = re.compile(r"\A(?:\d{1,3}(?:\.\d{1,3})*+\.?|[IVX]{1,6})\s")


class _Column(NamedTuple):
    left: float
    right: float


def with_aligned_tables(items: list[Item], headings: Container[int], rules: Rules) -> Iterator[Item]:
    """The items of a page, with lines that stand in columns as tables. `headings` are the `id`s of lines."""
    at = 0
    while at < len(items):
        item = items[at]
        begins = isinstance(item, Line) and len(item.runs) > 1 and id(item) not in headings
        table, used = _table_at(items, at, headings, rules) if begins else (None, 1)
        yield from [table] if table else items[at : at + used]
        at += used


def _table_at(items: list[Item], at: int, headings: Container[int], rules: Rules) -> tuple[PdfTable | None, int]:
    """The table that begins with a line, if one does, and how many lines are done with."""
    rows: list[list[Line]] = []
    columns: list[_Column] = []
    for number in range(at, len(items)):
        item = items[number]
        if not isinstance(item, Line) or not item.runs or id(item) in headings:
            break
        before = rows[-1][-1] if rows else None
        if before is not None and not 0 <= before.y - item.y < _ROW_GAP * max(before.size, item.size):
            break
        wider = _with_runs(columns, item)
        if wider is None:
            break
        if before is not None and len(rows[-1]) < _MAX_WRAPPED and _wraps(before, item, columns):
            rows[-1].append(item)
        elif len(item.runs) > 1 and not (before is not None and _began(rows, item)):
            rows.append([item])
        elif len(item.runs) > 1:
            rows[-1].append(item)
        elif before is not None and (following := _following(items, number, columns, headings)) is not None:
            above, below = before.y - item.y, item.y - following.y
            goes_on = above < _CLOSER * below or item.text[0].islower()
            if above <= _WRAP_GAP * item.size and goes_on and len(rows[-1]) < _MAX_WRAPPED:
                rows[-1].append(item)
            else:
                rows.append([item])
        else:
            break
        columns = wider
    used = sum(map(len, rows))
    if len(rows) < _MIN_ROWS or len(columns) < 2:
        return None, 1
    if not _is_table(rows, columns):
        return None, used
    cells = [_row(row, columns) for row in rows]
    header = not begins_with_data(cells) and _stands_out(rows, cells, rules)
    return PdfTable(rows[0][0], cells, tuple(one.left for one in columns), header), used


def _following(items: list[Item], number: int, columns: list[_Column], headings: Container[int]) -> Line | None:
    """The row below a line that stands in the first column alone; `None` when the table does not go on."""
    item, following = items[number], items[number + 1] if number + 1 < len(items) else None
    if not isinstance(item, Line) or not isinstance(following, Line) or id(following) in headings:
        return None
    near = 0 < item.y - following.y < _ROW_GAP * max(item.size, following.size)
    run = item.runs[0]
    first = len(columns) > 1 and columns[0].left - _OUTDENT * item.size < run.left < columns[0].right
    fits = first and run.right < columns[1].left and _with_runs(columns, following) is not None
    return following if near and fits and len(following.runs) > 1 else None


def _began(rows: list[list[Line]], line: Line) -> bool:
    """Return whether a line ends the row that a line in the first column alone has begun, close above it."""
    first = rows[-1][0]
    if len(rows) < 2 or len(rows[-1]) > 1 or len(first.runs) > 1 or first.y - line.y >= _WRAP_GAP * line.size:
        return False
    return first.y - line.y < _CLOSER * (rows[-2][-1].y - first.y) or line.text[0].islower()


def _with_runs(columns: list[_Column], line: Line) -> list[_Column] | None:
    """The columns widened to a line's runs; `None` when two of them would become one."""
    gap = _COLUMN_GAP * (line.size or 10)
    widened = list(columns)
    for run in line.runs:
        left, right = min(run.left, run.right), max(run.left, run.right)
        meeting = [one for one in widened if one.left - gap < right and left < one.right + gap]
        if len(meeting) > 1:
            return None
        for one in meeting:
            widened.remove(one)
            left, right = min(left, one.left), max(right, one.right)
        widened.append(_Column(left, right))
    widened.sort()
    return widened if len({_column(widened, run) for run in line.runs}) == len(line.runs) else None


def _wraps(before: Line, line: Line, columns: list[_Column]) -> bool:
    """Return whether a line continues cells of the row before it: close below, and with nothing in the first column."""
    close = before.y - line.y <= _WRAP_GAP * line.size
    return close and bool(columns) and min(run.left for run in line.runs) > columns[0].right


def _column(columns: Sequence[_Column], run: GlyphRun) -> int:
    return max(sum(one.left <= min(run.left, run.right) + 0.1 for one in columns) - 1, 0)


def _row(lines: list[Line], columns: Sequence[_Column]) -> list[str]:
    cells: list[list[str]] = [[] for _ in columns]
    for line in lines:
        for run in line.runs:
            cells[_column(columns, run)].append(run.text)
    return [join_lines(cell) for cell in cells]


def _is_table(rows: list[list[Line]], columns: Sequence[_Column]) -> bool:
    """Return whether aligned lines are a table rather than a list, a listing of code or running text."""
    cells = [_row(row, columns) for row in rows]
    if _is_listing(rows, cells) or _is_contents(cells):
        return False
    filled = sum(bool(cell) for row in cells for cell in row)
    if filled < 0.6 * len(cells) * len(columns):
        return False
    return not all(mean(len(row[number]) for row in cells) > _LONG_CELL for number in range(len(columns)))


def _is_listing(rows: list[list[Line]], cells: list[list[str]]) -> bool:
    """Return whether aligned lines are the items of a list, code (perhaps with line numbers), or numbered equations."""
    if all(_MARK.fullmatch(row[0]) or not row[0] for row in cells):
        return True
    if all(_EQUATION.fullmatch(row[-1]) or not row[-1] for row in cells):
        return True
    runs = [run for row in rows for line in row for run in line.runs]
    if all(run.fixed for run in runs) and not _has_numbers(cells):
        return True
    numbers = [int(row[0]) for row in cells if row[0].isdecimal()]
    counted = len(numbers) == len(cells) and all(after - before == 1 for before, after in pairwise(numbers))
    return counted and all(run.fixed for run in runs if not run.text.isdecimal())


def _has_numbers(cells: list[list[str]]) -> bool:
    """Return whether fixed-width text is a table rather than code: names, and beside them a column of numbers."""
    if any(_CODE.search(cell) for row in cells for cell in row):
        return False
    columns = list(zip(*cells, strict=True))
    names = sum(map(_is_name, columns[0])) > 0.5 * len(cells)
    return names and any(_are_numbers(column) for column in columns[1:])


def _is_name(cell: str) -> bool:
    return any(map(str.isalpha, cell))


def _are_numbers(column: Sequence[str]) -> bool:
    filled = [cell for cell in column if cell]
    return len(filled) >= _MIN_ROWS and sum(map(is_number, filled)) > 0.6 * len(filled)


def _is_contents(cells: list[list[str]]) -> bool:
    """Return whether aligned lines are a table of contents: numbered headings, and pages that only grow."""
    pages = [row[-1] for row in cells]
    numbered = sum(bool(_NUMBERED.match(row[0])) for row in cells)
    if not all(page.isdecimal() for page in pages) or 2 * numbered < len(cells):
        return False
    return all(int(before) <= int(after) for before, after in pairwise(pages))


def _stands_out(rows: list[list[Line]], cells: list[list[str]], rules: Rules) -> bool:
    """Return whether a rule, a bold font or columns of numbers set the first row apart."""
    last, following = rows[0][-1], rows[1][0]
    if last.bold and not following.bold:
        return True
    left, right = min(run.left for run in last.runs), max(run.right for run in last.runs)
    if any(
        following.y + 0.5 * following.size < rule.at < last.y + 1 and rule.start < right and rule.end > left
        for rule in rules.horizontal
    ):
        return True
    for name, *values in zip(*cells, strict=True):
        filled = [value for value in values if value]
        numbers = sum(map(is_number, filled))
        if name and not any(map(str.isdigit, name)) and filled and numbers > 0.6 * len(filled):
            return True
    return False
