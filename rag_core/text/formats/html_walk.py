"""Turns an HTML tree into blocks."""

from __future__ import annotations

from typing import Final

from selectolax.lexbor import LexborNode

from rag_core.models import BlockKind
from rag_core.text.builder import TextBuilder
from rag_core.text.formats.html_dom import SKIPPED, is_boilerplate, is_hidden, is_permalink
from rag_core.text.formats.tables import row_line

_BREAK: Final = "\x0b"  # a <br> inside running text; no cleaned text contains it
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_LISTS: Final = frozenset({"ul", "ol", "dl", "menu"})
_ITEMS: Final = frozenset({"li", "dt", "dd"})
_PHRASING = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark output q rp rt ruby s samp small "
    "span strike strong sub sup time tt u var wbr math mi mo mn mrow msub msup"
)
_INLINE: Final = frozenset(_PHRASING.split())


class HtmlWalk:
    """Visitor for `html_dom.walk`: text gathers until a block begins or ends."""

    def __init__(self, builder: TextBuilder, *, in_main: bool, keep_boilerplate: bool = False) -> None:
        self._builder = builder
        self._in_main = in_main
        self._keep_boilerplate = keep_boilerplate
        self._text: list[str] = []
        self._lists = 0
        self._items: list[str] = []
        self._item_open = False
        self._cells: list[list[str]] = []
        self._tables = 0
        self._rows: list[str] = []

    def enter(self, node: LexborNode) -> bool:
        """Take a node's own text or begin its block; true when its children are to be read."""
        if node.is_text_node:
            self._text.append(node.text_content or "")
            return False
        tag = node.tag or ""
        if not node.is_element_node or tag in SKIPPED or self._unwanted(tag, node):
            return False
        if tag == "br":
            self._text.append(_BREAK)
        elif tag == "pre":
            self._code(node)
            return False
        elif tag not in _INLINE:
            self._open(tag)
        return True

    def leave(self, node: LexborNode) -> None:
        """End the block of a node."""
        tag = node.tag or ""
        if tag in _INLINE or tag == "br":
            return
        if tag in _HEADINGS and not self._tables:
            self._flush_list()
            self._builder.heading(self._take().replace("\n", " "), _HEADINGS[tag])
        elif self._tables and tag in {"td", "th"}:
            self._cell()
        elif self._tables and tag == "tr":
            self._row()
        else:
            self._flush()
        self._close(tag)

    def finish(self) -> None:
        """Write what is still open."""
        self._flush()
        self._flush_list()
        self._flush_table()

    def _unwanted(self, tag: str, node: LexborNode) -> bool:
        attributes = node.attributes
        if not attributes:
            return not self._keep_boilerplate and is_boilerplate(tag, attributes, in_main=self._in_main)
        if is_hidden(attributes) or is_permalink(tag, node, attributes):
            return True
        return not self._keep_boilerplate and is_boilerplate(tag, attributes, in_main=self._in_main)

    def _open(self, tag: str) -> None:
        if self._tables and tag in {"td", "th", "tr", "tbody", "thead", "tfoot"}:
            if tag == "tr":
                self._cells.append([])
            return
        self._flush()
        if tag in _LISTS:
            self._lists += 1
        elif tag in _ITEMS:
            self._item_open = True
        elif tag == "table":
            self._flush_list()
            self._tables += 1
        elif tag in _HEADINGS:
            self._flush_list()

    def _close(self, tag: str) -> None:
        if tag in _LISTS and self._lists:
            self._lists -= 1
            if not self._lists:
                self._flush_list()
        elif tag == "table" and self._tables:
            self._tables -= 1
            if not self._tables:
                self._flush_table()

    def _take(self) -> str:
        text, self._text = "".join(self._text), []
        return "\n".join(filter(None, (" ".join(line.split()) for line in text.split(_BREAK))))

    def _flush(self) -> None:
        """Write running text where it belongs: to the table cell, the list or a paragraph."""
        if self._tables and self._cells:
            # Blocks within a cell are separated by a space.
            self._text.append(" ")
            return
        text = self._take()
        if not text:
            return
        if self._lists:
            indent = "  " * (self._lists - 1)
            self._items.append(f"{indent}- {text}" if self._item_open else f"{indent}  {text}")
            self._item_open = False
        else:
            self._builder.paragraph(text)

    def _flush_list(self) -> None:
        items, self._items = self._items, []
        if items:
            self._builder.add(BlockKind.LIST, "\n".join(items))

    def _cell(self) -> None:
        if self._cells:
            self._cells[-1].append(self._take())

    def _row(self) -> None:
        if not self._cells:
            return
        self._cell_rest()
        cells = self._cells.pop()
        if self._cells:
            # A table within a cell: its rows are text of that cell.
            self._text.append(row_line(cells) + " ")
        elif any(cells):
            self._rows.append(row_line(cells))

    def _cell_rest(self) -> None:
        rest = self._take()
        if rest:
            self._cells[-1].append(rest)

    def _flush_table(self) -> None:
        rows, self._rows = self._rows, []
        if len(rows) == 1 and " | " not in rows[0]:
            self._builder.paragraph(rows[0])  # one cell: layout, not data
        elif rows:
            self._builder.table(rows)

    def _code(self, node: LexborNode) -> None:
        if self._tables and self._cells:
            self._text.append(" ".join(node.text().split()) + " ")
            return
        self._flush()
        self._flush_list()
        self._builder.add(BlockKind.CODE, node.text())
