"""Presentations: a heading per slide, its texts, tables and described pictures, then the speaker's notes.

A slide counts as a page.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pptx
from pptx.enum.shapes import MSO_SHAPE_TYPE

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import BlockKind, PartKind
from rag_core.content.parsing.builder import Piece, TextBuilder, row_line
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.formats.html import HIDDEN_FLAG


def read(content: bytes, limits: ParseLimits) -> ParsedDocument:
    """Read all slides but hidden ones (flag `hidden_text`)."""
    presentation = pptx.Presentation(io.BytesIO(content))
    builder = TextBuilder(limits)
    count = 0
    for number, slide in enumerate(presentation.slides, 1):
        count = builder.page = number
        if slide.element.get("show") in ("0", "false"):
            builder.flags.add(HIDDEN_FLAG)
        else:
            _slide(builder, slide, number)
    properties = presentation.core_properties
    title = properties.title or ""
    metadata = {"author": properties.author or "", "subject": properties.subject or "", "slides": str(count)}
    # The library's own template carries this as its title, and so does every file made with it.
    return builder.finish(str(Kind.PPTX), title="" if title == "PowerPoint Presentation" else title, metadata=metadata)


def _slide(builder: TextBuilder, slide: Any, number: int) -> None:
    title_shape = slide.shapes.title
    title = " ".join(title_shape.text_frame.text.split()) if title_shape is not None else ""
    builder.heading(title or f"Slide {number}", 2)
    title_id = title_shape.shape_id if title_shape is not None else None
    for shape in _flat(slide.shapes):
        if shape.shape_id == title_id:
            continue
        if getattr(shape, "has_table", False):
            builder.table([row_line([cell.text for cell in row.cells]) for row in shape.table.rows])
        elif shape.shape_type == MSO_SHAPE_TYPE.PICTURE:
            builder.image(shape.element.nvPicPr.cNvPr.get("descr") or "")
        elif shape.has_text_frame:
            _text(builder, shape.text_frame)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        builder.paragraph(slide.notes_slide.notes_text_frame.text)


def _flat(shapes: Any) -> Iterator[Any]:
    """The shapes in reading order of the file, with groups (also nested ones) opened."""
    stack = [iter(shapes)]
    while stack:
        shape = next(stack[-1], None)
        if shape is None:
            stack.pop()
            continue
        inner = getattr(shape, "shapes", None)
        if inner is not None:
            stack.append(iter(inner))
        else:
            yield shape


def _text(builder: TextBuilder, frame: Any) -> None:
    """Several paragraphs in one shape are nearly always bullets."""
    lines = [(paragraph.level, paragraph.text.replace("\v", " ").strip()) for paragraph in frame.paragraphs]
    lines = [(level, line) for level, line in lines if line]
    if len(lines) > 1:
        items = [Piece(PartKind.ITEM, f"{'  ' * level}- {line}", level) for level, line in lines]
        builder.add_parts(BlockKind.LIST, items)
    elif lines:
        builder.paragraph(lines[0][1])
