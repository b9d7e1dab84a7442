"""HTML: the main text with its headings, lists, tables and code. Scripts never run, links are never followed."""

from __future__ import annotations

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import BlockKind, PartKind
from rag_core.content.parsing.builder import Piece, TextBuilder
from rag_core.content.parsing.formats.html_dom import (
    SKIPPED,
    is_boilerplate,
    is_hidden,
    is_label,
    is_permalink,
    parse_html,
    walk,
)
from rag_core.content.parsing.formats.html_table import HtmlTable

# --------------------------------------------------------------------------------------------------------------------
# Turns an HTML tree into blocks.


_BREAK: Final = "\x0b"  # a <br> inside running text; no cleaned text contains it
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
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

    def __init__(self, builder: TextBuilder, *, in_main: bool, keep_boilerplate: bool = False) -> None:
        self._builder = builder
        self._in_main = in_main
        self._keep_boilerplate = keep_boilerplate
        self._text: list[str] = []
        self._lists = 0
        self._items: list[Piece] = []
        self._counts: list[int | None] = []
        self._definitions = 0
        self._defined = ""
        self._quotes = 0
        self._item_open = False
        self._tables = 0
        self._table = HtmlTable()
        self._images: list[tuple[str, str]] = []
        self._label = ""

    def enter(self, node: LexborNode) -> bool:
        """Take a node's own text or begin its block; true when its children are to be read."""
        if node.is_text_node:
            self._text.append(node.text_content or "")
            return False
        tag = node.tag or ""
        if tag == "img" and not self._unwanted(tag, node):
            self._images.append((node.attributes.get("alt") or "", node.attributes.get("src") or ""))
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
        if tag == "p" and not self._tables and is_label(node.attributes):
            self._label = self._take()
        elif tag in _HEADINGS and not self._tables:
            self._flush_list()
            self._flush_label()
            self._builder.heading(self._take().replace("\n", " "), _HEADINGS[tag])
        elif self._tables and tag in {"td", "th"}:
            self._cell(tag, node)
        elif self._tables and tag == "tr":
            row = self._table.close_row(self._take())
            self._text.append(f"{row} " if row else "")
        else:
            self._flush()
        self._close(tag)

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
        elif tag in _HEADINGS:
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

    def _flush(self) -> None:
        """Write running text where it belongs: to the table cell, the list or a paragraph; images behind it."""
        if self._tables and self._table.in_row:
            # Blocks within a cell are separated by a space.
            self._text.append(" ")
            return
        text = self._labelled(self._take())
        if text and self._lists:
            self._items.append(self._part(text, self._lists - 1))
            self._item_open = False
        elif text:
            self._builder.add(BlockKind.QUOTE if self._quotes else BlockKind.PARAGRAPH, text)
        if self._images and not self._lists:
            images, self._images = self._images, []
            for description, source in images:
                self._builder.image(description, source)

    def _labelled(self, text: str) -> str:
        """Text behind the label of its admonition, as in "Note: it is slow"; a label alone stays for what follows."""
        if not text or not self._label:
            return text
        label, self._label = self._label.rstrip(":： "), ""
        return f"{label}: {text}"

    def _flush_label(self) -> None:
        """Write a label that no text followed."""
        if self._label:
            label, self._label = self._label, ""
            self._builder.add(BlockKind.PARAGRAPH, label)

    def _part(self, text: str, level: int) -> Piece:
        indent = "  " * level
        if self._definitions and self._defined == "dt":
            return Piece(PartKind.TERM, f"{indent}- {text}", level)
        if self._definitions and self._defined == "dd":
            return Piece(PartKind.DESCRIPTION, f"{indent}  {text}", level)
        count = self._counts[-1] if self._counts else None
        mark = f"{count}. " if count else "- "
        return Piece(PartKind.ITEM, f"{indent}{mark if self._item_open else '  '}{text}", level)

    def _flush_list(self) -> None:
        items, self._items = self._items, []
        defined = any(item.kind is PartKind.TERM for item in items)
        self._builder.add_parts(BlockKind.DEFINITIONS if defined else BlockKind.LIST, items)

    def _cell(self, tag: str, node: LexborNode) -> None:
        if self._table.in_row:
            self._table.add_cell(tag, self._take(), node.attributes)

    def _flush_table(self) -> None:
        (rows, header), self._table = self._table.finish(), HtmlTable()
        if len(rows) == 1 and " | " not in rows[0]:
            self._builder.paragraph(rows[0])  # one cell: layout, not data
        elif rows:
            self._builder.table(rows, header=header)

    def _code(self, node: LexborNode) -> None:
        if self._tables and self._table.in_row:
            self._text.append(" ".join(node.text().split()) + " ")
            return
        self._flush()
        if self._lists:  # code of an item stays in its list
            indent = "  " * self._lists
            code = "\n".join(indent + line for line in node.text().strip("\n").split("\n"))
            self._items.append(Piece(PartKind.CODE, code, self._lists))
            return
        self._flush_list()
        self._flush_label()
        self._builder.add(BlockKind.CODE, node.text(), language=_language(node))


def _language(node: LexborNode) -> str:
    """The language that classes of the element, its child or its parents declare."""
    for one in (node, node.first_child, node.parent, node.parent.parent if node.parent else None):
        classes = (one.attributes.get("class") or "") if one is not None and one.is_element_node else ""
        if (match := _LANGUAGE.search(classes)) and match[1] not in _NO_LANGUAGE:
            return match[1]
    return ""


HIDDEN_FLAG: Final = "hidden_text"
_MAIN_IDS: Final = frozenset({"main", "content", "main-content", "bodyContent"})
_MIN_MAIN_SHARE: Final = 0.25
_META: Final = frozenset({"description", "author", "keywords"})


def read(text: str, limits: ParseLimits, media_type: str) -> ParsedDocument:
    """Read a page. Raises `InvalidInput` (`NESTING_TOO_DEEP`) beyond the limit on element depth."""
    tree = parse_html(text, limits.max_nesting)
    builder = TextBuilder(limits)
    body = tree.body or tree.root
    if body is not None:
        survey = _survey(body, builder, limits)
        main = survey.main()
        _emit(builder, main or body, limits, in_main=main is not None)
        if builder.empty:
            # Every part looked like navigation: better all of it than nothing.
            _emit(builder, body, limits, in_main=False, keep_boilerplate=True)
    title = tree.css_first("head > title")
    return builder.finish(media_type, title=title.text() if title else "", metadata=_metadata(tree))


def add_html(builder: TextBuilder, fragment: str, limits: ParseLimits) -> None:
    """Append the visible text of an HTML fragment (within Markdown) to a document."""
    body = parse_html(fragment, limits.max_nesting).body
    if body is not None:
        _survey(body, builder, limits)
        _emit(builder, body, limits, in_main=True, keep_boilerplate=True)


def _emit(
    builder: TextBuilder, root: LexborNode, limits: ParseLimits, *, in_main: bool, keep_boilerplate: bool = False
) -> None:
    visitor = HtmlWalk(builder, in_main=in_main, keep_boilerplate=keep_boilerplate)
    walk(root, visitor.enter, visitor.leave, limits.max_nesting)
    visitor.finish()


def _survey(body: LexborNode, builder: TextBuilder, limits: ParseLimits) -> _Survey:
    survey = _Survey()
    walk(body, survey.enter, survey.leave, limits.max_nesting)
    if survey.hides_text:
        builder.flags.add(HIDDEN_FLAG)
    return survey


class _Survey:
    """First pass: where the main text is, and whether anything readable is hidden."""

    def __init__(self) -> None:
        self.hides_text = False
        self._chars = 0
        self._open: list[tuple[int, int, int]] = []
        self._found: list[tuple[str, int, LexborNode]] = []

    def enter(self, node: LexborNode) -> bool:
        if node.is_text_node:
            self._chars += len((node.text_content or "").strip())
            return False
        tag = node.tag or ""
        if not node.is_element_node or tag in SKIPPED:
            return False
        attributes = node.attributes
        if attributes and is_hidden(attributes):
            self.hides_text = self.hides_text or bool(node.text().strip())
            return False
        kind = _main_kind(tag, attributes)
        if kind and node.first_child is not None:
            self._open.append((node.mem_id, self._chars, len(self._found)))
            self._found.append((kind, 0, node))
        return True

    def leave(self, node: LexborNode) -> None:
        if self._open and self._open[-1][0] == node.mem_id:
            _, before, index = self._open.pop()
            kind, _, found = self._found[index]
            self._found[index] = (kind, self._chars - before, found)

    def main(self) -> LexborNode | None:
        """The element that holds the main text: marked as such, and not a mere teaser."""
        for wanted in ("main", "article", "id"):
            found = [(chars, node) for kind, chars, node in self._found if kind == wanted]
            # Several articles are a list of teasers or comments; none of them is the page.
            if len(found) == 1 and found[0][0] >= max(1, _MIN_MAIN_SHARE * self._chars):
                return found[0][1]
        return None


def _main_kind(tag: str, attributes: dict[str, str | None]) -> str:
    if tag == "main" or attributes.get("role") == "main":
        return "main"
    if tag == "article":
        return "article"
    return "id" if attributes.get("id") in _MAIN_IDS else ""


def _metadata(tree: LexborHTMLParser) -> dict[str, str]:
    found: dict[str, str] = {}
    for meta in tree.css("head > meta[name][content]"):
        name = (meta.attributes.get("name") or "").lower()
        if name in _META:
            found.setdefault(name, meta.attributes.get("content") or "")
    return found
