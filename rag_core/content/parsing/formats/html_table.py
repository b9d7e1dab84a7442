"""Rows and cells of HTML tables: spans are filled, tables in cells become text of the cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rag_core.content.parsing.builder import begins_with_data, row_line

# Spans repeat text, so what a hostile table may claim is bounded: none that people read is larger.
_MAX_COLUMNS: Final = 20
_MAX_ROWS: Final = 60
_MAX_WIDTH: Final = 200
_MAX_REPEATED: Final = 100


@dataclass(slots=True)
class _Row:
    cells: list[tuple[str, int, int]] = field(default_factory=list)
    """Text, columns and rows of each cell."""
    head: bool = False
    data: bool = False


class HtmlTable:
    """One table with the tables in its cells."""

    def __init__(self) -> None:
        self._open: list[_Row] = []
        self._rows: list[list[str]] = []
        self._below: dict[int, tuple[str, int]] = {}
        self._header: bool | None = None

    @property
    def in_row(self) -> bool:
        return bool(self._open)

    def open_row(self) -> None:
        self._open.append(_Row())

    def add_cell(self, tag: str, text: str, attributes: Mapping[str, str | None]) -> None:
        """Add a `td` or `th` to the row that is open."""
        if not self._open:
            return
        row = self._open[-1]
        row.head, row.data = row.head or tag == "th", row.data or tag == "td"
        columns, rows = (_span(attributes.get(name)) for name in ("colspan", "rowspan"))
        row.cells.append((text, min(columns, _MAX_COLUMNS), min(rows, _MAX_ROWS)))

    def close_row(self, rest: str) -> str:
        """End a row, with text that stands outside of its cells. Returns the row of a table within a cell, as text."""
        if not self._open:
            return ""
        row = self._open.pop()
        if rest:
            row.cells.append((rest, 1, 1))
        if self._open:
            return row_line([text for text, _, _ in row.cells])
        cells = self._filled(row)
        if any(cells):
            if self._header is None:
                # Headings beside values name their rows, not the columns.
                self._header = not (row.head and row.data) if row.head else None
            self._rows.append(cells)
        return ""

    def finish(self) -> tuple[list[str], bool]:
        """The rows as lines, and whether the first one names the columns."""
        header = not begins_with_data(self._rows) if self._header is None else self._header
        return [row_line(row) for row in self._rows], header

    def _filled(self, row: _Row) -> list[str]:
        """The cells at their columns: one over several rows again in each, one over several columns followed by empty
        ones."""
        cells: list[str] = []
        waiting = row.cells[::-1]
        while waiting or any(column >= len(cells) for column in self._below):
            text, rows = self._below.pop(len(cells), ("", 0))
            if rows:
                if rows > 1:
                    self._below[len(cells)] = (text, rows - 1)
                cells.append(text)
            elif waiting:
                own, columns, rows = waiting.pop()
                columns, rows = (columns, rows) if len(cells) < _MAX_WIDTH else (1, 1)
                for column in range(len(cells), len(cells) + columns if rows > 1 else 0):
                    self._below[column] = (own[:_MAX_REPEATED] if column == len(cells) else "", rows - 1)
                cells += [own, *[""] * (columns - 1)]
            else:
                cells.append("")
        return cells


def _span(value: str | None) -> int:
    return max(1, int(value)) if value and value.isascii() and value.isdigit() and len(value) < 6 else 1
