"""CSV and TSV as one table. Rows that cannot be read are set aside by line number; the others are kept."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from typing import Final

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.builder import TextBuilder, begins_with_data, row_line
from rag_core.content.parsing.formats.plain import clean_line_ends
from rag_core.errors import InvalidInput, Reason

ROWS_SKIPPED_FLAG: Final = "rows_skipped"
MAX_CELL_CHARS: Final = 1_000_000
_MAX_REPORTED: Final = 20
_MAX_BROKEN: Final = 1000
_DELIMITERS: Final = "\t,;|"


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Rows become lines of `cell | cell`, the first row being the header unless it is like the others.

    Formulas stay the text they are.
    """
    # `newline=""` semantics: the csv module wants line ends kept, but a lone CR is one too.
    lines = clean_line_ends(text.lstrip("\ufeff")).splitlines(keepends=True) if text else []
    delimiter = _delimiter(lines)
    problems = RowProblems()
    rows = [(line, row) for line, row in _records(lines, delimiter, problems) if any(cell.strip() for cell in row)]
    width = _usual_width(rows)
    builder = TextBuilder(limits)
    kept: list[list[str]] = []
    for line, row in rows:
        if width is not None and len(row) != width:
            problems.add(line, f"{len(row)} cells, expected {width}")
        else:
            kept.append(row)
    builder.table([row_line(row) for row in kept], header=not begins_with_data(kept))
    if problems.count:
        builder.flags.add(ROWS_SKIPPED_FLAG)
    metadata = {"rows": str(len(kept)), **problems.metadata()}
    return builder.finish(media_type, metadata=metadata)


class RowProblems:
    """Rows that were set aside: how many, and the first of them with their line numbers."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""
        self._shown: list[str] = []

    def add(self, line: int, what: str) -> None:
        self.count += 1
        self.first = self.first or f"line {line}: {what}"
        if len(self._shown) < _MAX_REPORTED:
            self._shown.append(f"line {line}: {what}")

    def metadata(self) -> dict[str, str]:
        return {"rows_skipped": str(self.count), "rows_skipped_detail": "; ".join(self._shown)} if self.count else {}


def _records(lines: list[str], delimiter: str, problems: RowProblems) -> Iterator[tuple[int, list[str]]]:
    """(line number from 1, cells) of each record.

    After a record that cannot be read, reading continues with the line after its first, so that one open quote
    does not swallow the file.
    """
    csv.field_size_limit(MAX_CELL_CHARS)
    position = broken = 0
    while position < len(lines):
        reader = csv.reader(_bounded(lines, position), delimiter=delimiter, strict=True)
        start = position
        try:
            for row in reader:
                yield start + 1, row
                start = position + reader.line_num
            return
        except csv.Error as error:
            broken += 1
            if broken > _MAX_BROKEN:
                raise InvalidInput(
                    Reason.PARSE_FAILED, f"more than {_MAX_BROKEN} rows are not CSV, the last at line {start + 1}"
                ) from None
            problems.add(start + 1, str(error))
            position = start + 1


def _bounded(lines: list[str], position: int) -> Iterator[str]:
    """The lines from a position on. A generator: slices of the list would make repeated restarts quadratic."""
    for index in range(position, len(lines)):
        yield lines[index]


def _delimiter(lines: list[str]) -> str:
    """The delimiter that splits the first lines most evenly; a comma when none does."""
    sample = [line for line in (line[:10_000] for line in lines[:50]) if line.strip()][:20]

    def score(delimiter: str) -> tuple[int, int]:
        counts = Counter(line.count(delimiter) for line in sample)
        counts.pop(0, None)
        if not counts:
            return (0, 0)
        per_line, share = counts.most_common(1)[0]
        return (share, per_line)

    best = max(_DELIMITERS, key=score, default=",")
    return best if score(best) > (0, 0) else ","


def _usual_width(rows: list[tuple[int, list[str]]]) -> int | None:
    """Cells per row, when at least half of the rows agree; otherwise the file is no table and all rows are kept."""
    if not rows:
        return None
    width, share = Counter(len(row) for _, row in rows).most_common(1)[0]
    return width if share * 2 >= len(rows) else None
