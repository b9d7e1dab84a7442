"""Workbooks: a heading per sheet and a table per region between empty rows. Formulas show their last value.

A sheet counts as a page.
"""

from __future__ import annotations

import datetime
import io
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import openpyxl

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.builder import TextBuilder, begins_with_data, row_line
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.formats.html import HIDDEN_FLAG

_MIDNIGHT: Final = datetime.time(0)


def read(content: bytes, limits: ParseLimits) -> ParsedDocument:
    """Read all visible sheets in order; hidden ones set the flag `hidden_text`."""
    with warnings.catch_warnings():
        # openpyxl warns of every feature it would lose on saving; nothing is saved here.
        warnings.simplefilter("ignore")
        with closing(openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)) as workbook:
            builder = TextBuilder(limits)
            for number, sheet in enumerate(workbook.worksheets, 1):
                builder.page = number
                if sheet.sheet_state == "visible":
                    _sheet(builder, sheet)
                else:
                    builder.flags.add(HIDDEN_FLAG)
            properties = workbook.properties
            metadata = {"author": properties.creator or "", "sheets": str(len(workbook.worksheets))}
            return builder.finish(str(Kind.XLSX), title=properties.title or "", metadata=metadata)


def _sheet(builder: TextBuilder, sheet: Any) -> None:
    # The size a file claims is often wrong, and rows would be padded to it.
    sheet.reset_dimensions()
    regions = list(_regions(sheet.iter_rows(values_only=True)))
    if regions:
        builder.heading(sheet.title, 1)
    for rows in regions:
        builder.table([row_line(row) for row in rows], header=not begins_with_data(rows))


def _regions(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[list[str]]]:
    """Runs of rows that are not empty, without the columns left of the table."""
    region: list[tuple[Any, ...]] = []
    for row in rows:
        if any(value is not None for value in row):
            region.append(row)
        elif region:
            yield _cells(region)
            region = []
    if region:
        yield _cells(region)


def _cells(region: list[tuple[Any, ...]]) -> list[list[str]]:
    left = min(next(index for index, value in enumerate(row) if value is not None) for row in region)
    return [[_cell(value) for value in row[left:]] for row in region]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        # 15 digits are what a spreadsheet keeps and shows: 0.1 + 0.2 is 0.3 there.
        return format(value, ".15g")
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == _MIDNIGHT else value.isoformat(" ", "seconds")
    return str(value)
