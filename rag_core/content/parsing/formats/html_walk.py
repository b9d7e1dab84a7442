"""Turn an HTML tree into blocks: headings, paragraphs, lists, tables and code."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from selectolax.lexbor import LexborNode

from rag_core.content.parsing.blocks import BlockKind, PartKind
from rag_core.content.parsing.builder import Piece, TextBuilder
from rag_core.content.parsing.clean import is_wide
from rag_core.content.parsing.formats.html_dom import (
    HEADINGS,
    SKIPPED,
    Callouts,
    is_boilerplate,
    is_hidden,
    is_layout,
    is_permalink,
)
from rag_core.content.parsing.formats.html_table import HtmlTable
from rag_core.content.parsing.links import NamedTarget, nothing_but_links

_BREAK: Final = "\x0b"  # a <br> inside running text; no cleaned text contains it
_LISTS: Final = frozenset({"ul", "ol", "dl", "menu"})
_ITEMS: Final = frozenset({"li", "dt", "dd"})
_PHRASING = (
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark output q rp rt ruby s samp small "
    "span strike strong sub sup time tt u var wbr math mi mo mn mrow msub msup"
)
_INLINE: Final = frozenset(_PHRASING.split())
_LANGUAGE: Final = re.compile(r"(?:^|\s)(?:language|lang|highlight|brush:?)-?([a-z0-9+#]{1,20})(?:\s|$)")
_NO_LANGUAGE: Final = frozenset({"default", "text", "none"})


class HtmlWalk:
    """Visitor for `html_dom.walk`: text gathers until a block begins or ends."""

    def __init__(
        self, builder: TextBuilder, *, in_main: bool, keep_boilerplate: bool = False, headed: bool = False
    ) -> None:
        """`headed`: a heading will come, and links that stand alone before it lead to other pages."""
        self._builder = builder
        self._in_main = in_main
        self._keep_boilerplate = keep_boilerplate
        self._text: list[str] = []
        self._links: list[NamedTarget] = []
        self._link_begins = 0
        self._lists = 0
        self._items: list[Piece] = []
        self._term = self._continued = ""
        self._counts: list[int | None] = []
        self._definitions = 0
        self._defined = ""
        self._quotes = 0
        self._item_open = False
        self._tables = 0
        self._table = HtmlTable()
        self._images: list[tuple[str, str]] = []
        self._label = ""
        self._callout = 0
        self._callouts = Callouts()
        self._above = headed
        self._layouts: set[int] = set()

    def enter(self, node: LexborNode) -> bool:
        """Take a node's own text or begin its block; true when its children are to be read."""
        if node.is_text_node:
            self._text.append(node.text_content or "")
            return False
        tag = node.tag or ""
        if tag == "img" and not self._unwanted(tag, node) and not (self._above and _is_linked(node)):
            self._images.append((node.attributes.get("alt") or "", node.attributes.get("src") or ""))
        if not node.is_element_node or tag in SKIPPED or self._unwanted(tag, node):
            return False
        if tag == "br":
            self._text.append(_BREAK)
        elif tag == "a":
            self._link_begins = len(self._text)
        elif tag == "pre":
            self._code(node)
            return False
        elif tag == "table" and not self._tables and is_layout(node):
            self._flush()
            self._layouts.add(node.mem_id)
        elif tag not in _INLINE:
            self._open(tag)
        return True

    def leave(self, node: LexborNode) -> None:
        """End the block of a node."""
        tag = node.tag or ""
        if tag == "a" and (target := node.attributes.get("href")):
            self._links.append(("".join(self._text[self._link_begins :]), target))
        if tag in _INLINE or tag == "br":
            return
        if not self._tables and (callout := self._callouts.titled_by(tag, node)) is not None:
            self._label, self._callout = self._take().replace("\n", " "), callout.mem_id
        elif tag in HEADINGS and not self._tables:
            self._flush_list()
            self._flush_label()
            self._links.clear()
            self._above = False
            self._builder.heading(self._take().replace("\n", " "), HEADINGS[tag])
        elif self._tables and tag in {"td", "th"}:
            self._cell(tag, node)
        elif self._tables and tag == "tr":
            row = self._table.close_row(self._take())
            self._text.append(f"{row} " if row else "")
        else:
            self._flush()
        if node.mem_id not in self._layouts:
            self._close(tag)
        if node.mem_id == self._callout:
            self._flush_label()

    def finish(self) -> None:
        """Write what is still open."""
        self._flush()
        self._flush_list()
        self._flush_label()
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
                self._table.open_row()
            return
        self._flush()
        if tag in _LISTS:
            self._lists += 1
            self._counts.append(0 if tag == "ol" else None)
            self._definitions += tag == "dl"
        elif tag in _ITEMS:
            self._open_item(tag)
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "table":
            self._flush_list()
            self._flush_label()
            self._tables += 1
        elif tag in HEADINGS:
            self._flush_list()

    def _open_item(self, tag: str) -> None:
        self._item_open = True
        if tag != "li":
            self._defined = tag
        elif self._counts and (count := self._counts[-1]) is not None:
            self._counts[-1] = count + 1

    def _close(self, tag: str) -> None:
        if tag in _LISTS and self._lists:
            self._lists -= 1
            self._counts.pop()
            self._definitions -= tag == "dl"
            if not self._lists:
                self._flush_list()
        elif tag == "blockquote":
            self._quotes -= 1
        elif tag == "table" and self._tables:
            self._tables -= 1
            if not self._tables:
                self._flush_table()

    def _take(self) -> str:
        text, self._text = "".join(self._text), []
        return "\n".join(filter(None, (" ".join(line.split()) for line in text.split(_BREAK))))

    def _take_links(self) -> tuple[NamedTarget, ...]:
        links, self._links = tuple(self._links), []
        return links

    def _flush(self) -> None:
        """Write running text where it belongs: to the table cell, the list or a paragraph; images behind it."""
        if self._tables and self._table.in_row:
            # Blocks within a cell are separated by a space.
            self._text.append(" ")
            return
        text = self._labelled(self._take())
        if text and self._lists:
            self._items.append(replace(self._part(text, self._lists - 1), links=self._take_links()))
            self._item_open = False
        elif text:
            links = self._take_links()
            if not (self._above and nothing_but_links(text, links)):
                self._builder.add(BlockKind.QUOTE if self._quotes else BlockKind.PARAGRAPH, text, links=links)
        if self._images and not self._lists:
            images, self._images = self._images, []
            for description, source in images:
                self._builder.image(description, source)

    def _labelled(self, text: str) -> str:
        """Text behind the label of its admonition, as in "Note: it is slow"; a label alone stays for what follows."""
        if not text or not self._label:
            return text
        label, self._label = self._label.rstrip(":： "), ""
        return f"{label}：{text}" if is_wide(label[-1:]) else f"{label}: {text}"

    def _flush_label(self) -> None:
        """Write a label that no text followed."""
        if self._label:
            label, self._label = self._label, ""
            self._builder.add(BlockKind.PARAGRAPH, label)

    def _part(self, text: str, level: int) -> Piece:
        indent = "  " * level
        if self._definitions and self._defined == "dt":
            self._term = text
            return Piece(PartKind.TERM, f"{indent}- {text}", level)
        if self._definitions and self._defined == "dd":
            return Piece(PartKind.DESCRIPTION, f"{indent}  {text}", level)
        count = self._counts[-1] if self._counts else None
        mark = f"{count}. " if count else "- "
        return Piece(PartKind.ITEM, f"{indent}{mark if self._item_open else '  '}{text}", level)

    def _flush_list(self) -> None:
        items, self._items = self._items, []
        if self._above and all(nothing_but_links(item.text, item.links) for item in items):
            return
        # What is described further behind code has its term as header.
        described = bool(items) and items[0].kind is PartKind.DESCRIPTION
        defined = described or any(item.kind is PartKind.TERM for item in items)
        kind = BlockKind.DEFINITIONS if defined else BlockKind.LIST
        self._builder.add_parts(kind, items, header=self._continued if described else "")

    def _cell(self, tag: str, node: LexborNode) -> None:
        if self._table.in_row:
            self._table.add_cell(tag, self._take(), node.attributes)

    def _flush_table(self) -> None:
        (rows, header), self._table = self._table.finish(), HtmlTable()
        links = self._take_links()
        if len(rows) == 1 and " | " not in rows[0]:
            self._builder.paragraph(rows[0], links)  # one cell: layout, not data
        elif rows:
            self._builder.table(rows, header=header, links=links)

    def _code(self, node: LexborNode) -> None:
        if self._tables and self._table.in_row:
            self._text.append(" ".join(node.text().split()) + " ")
            return
        self._flush()
        if self._lists and not self._definitions:  # code of an item stays in its list
            indent = "  " * self._lists
            code = "\n".join(indent + line for line in node.text().strip("\n").split("\n"))
            self._items.append(Piece(PartKind.CODE, code, self._lists))
            return
        self._flush_list()
        self._flush_label()
        self._continued = self._term
        self._builder.add(BlockKind.CODE, node.text(), language=_language(node))


def _is_linked(image: LexborNode) -> bool:
    return image.parent is not None and image.parent.tag == "a"


def _language(node: LexborNode) -> str:
    """The language that classes of the element, its child or its parents declare."""
    for one in (node, node.first_child, node.parent, node.parent.parent if node.parent else None):
        classes = (one.attributes.get("class") or "") if one is not None and one.is_element_node else ""
        if (match := _LANGUAGE.search(classes)) and match[1] not in _NO_LANGUAGE:
            return match[1]
    return ""
