"""reStructuredText: plain text whose tables docutils reads.

Grid and simple tables, and the directives `table`, `list-table` and `csv-table`. docutils is given one table at a
time, never a document: its other directives would read files, and prose is split as in plain text anyhow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import dedent
from typing import Final

from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.parsers.rst import Parser
from docutils.utils import new_document

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.builder import TextBuilder
from rag_core.content.parsing.formats.html_table import HtmlTable
from rag_core.content.parsing.formats.plain import clean_line_ends
from rag_core.content.parsing.formats.rst_text import RstWriter, named_targets
from rag_core.content.parsing.links import NamedTarget

_GRID_BORDER: Final = re.compile(r"\A[ \t]*+\+(?:[-=]++\+)++[ \t]*+\Z")
_GRID_LINE: Final = re.compile(r"\A[ \t]*+[+|]")
_SIMPLE_BORDER: Final = re.compile(r"\A[ \t]*+=++(?:[ ]++=++)++[ \t]*+\Z")
_DIRECTIVE: Final = re.compile(r"\A[ \t]*+\.\. (?:table|list-table|csv-table)::")
_ROLE: Final = re.compile(r":[\w:.+-]{1,60}:`~?([^`<]{1,200})(?:<[^`>]{0,200}>)?`")
_FIRST: Final = re.compile(r"\A[ \t]*+(?:[+=]|\.\. [tlc])")
"""The beginning of a line that may begin a table: the patterns above need not be tried on any other."""
_MAX_CHARS: Final = 20_000
"""A longer table stays text: docutils reads it in more than linear time."""
_MAX_LINES: Final = 4_000


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Read a document."""
    builder = TextBuilder(limits)
    add_rst(builder, text)
    return builder.finish(media_type)


def add_rst(builder: TextBuilder, text: str) -> None:
    """Append reStructuredText to a document."""
    source = clean_line_ends(text)
    targets = named_targets(source)
    writer = RstWriter(builder, targets)
    lines = source.split("\n")
    written = 0
    for start, end in _tables(lines):
        writer.write("\n".join(lines[written:start]))
        written = end
        source = "\n".join(lines[start:end])
        # Indented behind `::` it is an example of a table.
        tables = [] if writer.is_literal(source) else list(_read_tables(source, targets))
        if not tables:
            writer.write(source)
        for table in tables:
            writer.finish()
            builder.paragraph(table.title)
            builder.table(table.rows, header=table.header, links=table.links)
    writer.write("\n".join(lines[written:]))
    writer.finish()


# --------------------------------------------------------------------------------------------------------------------
# Where tables are.


def _tables(lines: list[str]) -> Iterator[tuple[int, int]]:
    """The lines `[start, end)` of what looks like a table, in order."""
    at = 0
    while at < len(lines):
        end = _table_end(lines, at) if _FIRST.match(lines[at]) else None
        if end is not None:
            yield at, end
        at = at + 1 if end is None else end


def _table_end(lines: list[str], at: int) -> int | None:
    line = lines[at]
    if _GRID_BORDER.match(line):
        end = at + 1
        while end < len(lines) and _GRID_LINE.match(lines[end]):
            end += 1
        return end if end - at > 2 else None
    if _SIMPLE_BORDER.match(line):
        return _simple_end(lines, at)
    return _directive_end(lines, at) if _DIRECTIVE.match(line) else None


def _simple_end(lines: list[str], at: int) -> int | None:
    """Behind the second border below the first one, or the only one, which nothing follows."""
    borders = 0
    for end in range(at + 1, min(len(lines), at + _MAX_LINES)):
        if _SIMPLE_BORDER.match(lines[end]):
            borders += 1
            if borders == 2 or end + 1 == len(lines) or not lines[end + 1].strip():
                return end + 1
    return None


def _directive_end(lines: list[str], at: int) -> int:
    """Behind the last line that is indented more than the directive."""
    indent, end = _indent(lines[at]), at + 1
    for later in range(at + 1, len(lines)):
        if lines[later].strip():
            if _indent(lines[later]) <= indent:
                break
            end = later + 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# --------------------------------------------------------------------------------------------------------------------
# What is in them.


@dataclass(frozen=True, slots=True)
class _Table:
    rows: list[str]
    header: bool
    links: list[NamedTarget]
    title: str = ""


def _read_tables(source: str, targets: Mapping[str, str]) -> Iterator[_Table]:
    """The tables of a piece of source; none when docutils finds fault with it."""
    if len(source) > _MAX_CHARS or source.count("\n") > _MAX_LINES:
        return
    settings = get_default_settings(Parser)
    # It neither opens a file or an address that the text names, nor writes what it dislikes to standard error.
    settings.file_insertion_enabled, settings.raw_enabled = False, False
    settings.report_level, settings.halt_level, settings.warning_stream = 5, 5, False
    document = new_document("", settings)
    Parser().parse(dedent(source), document)
    for child in document.children:
        if isinstance(child, nodes.table):
            yield _table(child, targets)


def _table(node: nodes.table, targets: Mapping[str, str]) -> _Table:
    rows = HtmlTable()
    header = False
    for row in node.findall(nodes.row):
        if _nested(row, node):
            continue
        rows.open_row()
        head = isinstance(row.parent, nodes.thead)
        header = header or head
        for entry in row.children:
            more = entry.attributes if isinstance(entry, nodes.entry) else {}
            spans = {"colspan": str(more.get("morecols", 0) + 1), "rowspan": str(more.get("morerows", 0) + 1)}
            rows.add_cell("th" if head else "td", _text(entry), spans)
        rows.close_row("")
    title = next((_text(child) for child in node.children if isinstance(child, nodes.title)), "")
    references = node.findall(nodes.reference)
    links = [(one.astext(), one.get("refuri") or targets.get(one.get("refname", ""), "")) for one in references]
    return _Table(rows.finish()[0], header, links, title)


def _nested(row: nodes.row, table: nodes.table) -> bool:
    """Return whether a row is of a table within a cell, which is text of that cell."""
    parent = row.parent
    while not isinstance(parent, nodes.table):
        parent = parent.parent
    return parent is not table


def _text(node: nodes.Node) -> str:
    """The text of a node without what docutils says about it; roles that it does not know become their text."""
    if isinstance(node, nodes.system_message):
        return ""
    if isinstance(node, nodes.problematic):
        return _ROLE.sub(lambda match: match[1].strip(), node.astext())
    if isinstance(node, nodes.Text):
        return node.astext()
    parts = [_text(child) for child in node.children]
    inline = isinstance(node, nodes.TextElement)
    return ("" if inline else " ").join(parts)
