"""Word documents. Headers, footers, comments, deleted and hidden text are not read; pictures by their description."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, Final

import docx
from docx.oxml.ns import qn

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import BlockKind, PartKind
from rag_core.content.parsing.builder import Piece, TextBuilder, row_line
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.formats.html import HIDDEN_FLAG

_P, _TBL, _SDT, _SDT_CONTENT = qn("w:p"), qn("w:tbl"), qn("w:sdt"), qn("w:sdtContent")
_DRAWN: Final = qn("wp:docPr")  # a picture or drawing with its alternative text
_ROW, _CELL = qn("w:tr"), qn("w:tc")
_RUN, _TEXT, _VANISH, _VAL = qn("w:r"), qn("w:t"), qn("w:vanish"), qn("w:val")
_BREAKS: Final = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
# Deleted text, text boxes (whose fallback repeats them), field codes and drawings.
_SKIPPED: Final = frozenset(map(qn, ("w:del", "w:moveFrom", "w:instrText", "w:drawing", "w:pict", "w:object")))
_HEADING: Final = re.compile(r"heading ([1-9])", re.IGNORECASE)
_CODE: Final = re.compile(r"code|preformatted|source|macro text", re.IGNORECASE)
_OFF: Final = frozenset({"0", "false", "off"})


def read(content: bytes, limits: ParseLimits) -> ParsedDocument:
    """Read the body in order: headings by style or outline level, lists, tables, code styles."""
    document = docx.Document(io.BytesIO(content))
    builder = TextBuilder(limits)
    _Body(builder, document).write(document.element.body)
    properties = document.core_properties
    metadata = {
        "author": properties.author or "",
        "subject": properties.subject or "",
        "keywords": properties.keywords or "",
        "modified": properties.modified.isoformat() if properties.modified else "",
    }
    return builder.finish(str(Kind.DOCX), title=properties.title or "", metadata=metadata)


class _Body:
    def __init__(self, builder: TextBuilder, document: Any) -> None:
        self._builder = builder
        # Looked up once: python-docx walks all styles for each paragraph otherwise.
        self._styles = {style.style_id: style for style in document.styles}
        self._levels = {style_id: _style_level(style) for style_id, style in self._styles.items()}
        self._items: list[Piece] = []
        self._code: list[str] = []

    def write(self, body: Any) -> None:
        for element in _blocks(body):
            if element.tag == _TBL:
                self._flush()
                self._table(element)
            else:
                self._paragraph(element)
        self._flush()

    def _paragraph(self, element: Any) -> None:
        text = self._text(element)
        style_id = element.style or ""
        style = self._styles.get(style_id)
        name = (style.name or "") if style is not None else ""
        level = self._levels.get(style_id, 0) or _outline_level(element)
        if not text.strip():
            self._flush()
        elif level:
            self._flush()
            self._builder.heading(text, level)
        elif _CODE.search(name):
            self._flush(keep_code=True)
            self._code.append(text)
        elif name.lower().startswith("list") or _is_list(element):
            self._flush(keep_items=True)
            level = _list_level(element)
            self._items.append(Piece(PartKind.ITEM, f"{'  ' * level}- {text.strip()}", level))
        else:
            self._flush()
            self._builder.paragraph(text)
        for described in element.iter(_DRAWN):
            self._flush()
            self._builder.image(described.get("descr") or "")

    def _table(self, table: Any) -> None:
        rows = []
        for row in table.iterchildren(_ROW):
            cells = [" ".join(self._text(p) for p in cell.iter(_P)) for cell in row.iterchildren(_CELL)]
            if any(cell.strip() for cell in cells):
                rows.append(row_line(cells))
        self._builder.table(rows)

    def _flush(self, *, keep_items: bool = False, keep_code: bool = False) -> None:
        if self._items and not keep_items:
            self._builder.add_parts(BlockKind.LIST, self._items)
            self._items = []
        if self._code and not keep_code:
            self._builder.add(BlockKind.CODE, "\n".join(self._code))
            self._code = []

    def _text(self, paragraph: Any) -> str:
        """The visible text of a paragraph, with insertions and links and without deletions."""
        parts: list[str] = []
        for run in _runs(paragraph):
            text = "".join(
                child.text or "" if child.tag == _TEXT else _BREAKS.get(child.tag, "") for child in run.iterchildren()
            )
            if text and _is_hidden(run):
                self._builder.flags.add(HIDDEN_FLAG)
            else:
                parts.append(text)
        return "".join(parts)


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, looking into content controls (nested ones too)."""
    stack = [iter(parent)]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag in (_P, _TBL):
            yield element
        elif element.tag in (_SDT, _SDT_CONTENT):
            stack.append(iter(element))


def _runs(paragraph: Any) -> Iterator[Any]:
    stack = [iter(paragraph)]
    while stack:
        element = next(stack[-1], None)
        if element is None:
            stack.pop()
        elif element.tag == _RUN:
            yield element
        elif element.tag not in _SKIPPED:
            stack.append(iter(element))


def _style_level(style: Any) -> int:
    """1..6 for heading styles, also localised ones, whose English name Word keeps; a style may inherit its role."""
    for _ in range(10):
        if style is None:
            return 0
        name = style.name or ""
        if name == "Title":
            return 1
        if match := _HEADING.match(name):
            return min(int(match.group(1)), 6)
        style = getattr(style, "base_style", None)
    return 0


def _outline_level(paragraph: Any) -> int:
    found = paragraph.find(f"{qn('w:pPr')}/{qn('w:outlineLvl')}")
    value = found.get(_VAL, "") if found is not None else ""
    return min(int(value) + 1, 6) if value.isdigit() and int(value) < 9 else 0


def _is_list(paragraph: Any) -> bool:
    return paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}") is not None


def _list_level(paragraph: Any) -> int:
    found = paragraph.find(f"{qn('w:pPr')}/{qn('w:numPr')}/{qn('w:ilvl')}")
    value = found.get(_VAL, "") if found is not None else ""
    return min(int(value), 8) if value.isdigit() else 0


def _is_hidden(run: Any) -> bool:
    vanish = run.find(f"{qn('w:rPr')}/{_VANISH}")
    return vanish is not None and vanish.get(_VAL, "true").lower() not in _OFF
