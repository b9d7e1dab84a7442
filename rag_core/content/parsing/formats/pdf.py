"""PDF: text by PDFium, structure from the outline, font sizes and line positions.

Forms, scripts, attachments and links are never opened; nothing is fetched.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import pypdf
import pypdfium2
from pypdf.errors import LimitReachedError
from pypdf.generic import DictionaryObject, IndirectObject, StreamObject
from pypdfium2 import raw as pdfium

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.builder import MAX_METADATA_CHARS, TextBuilder
from rag_core.content.parsing.clean import join_lines
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.formats.pdf_blocks import Outline, add_blocks
from rag_core.content.parsing.formats.pdf_lines import Line, Page, read_page, without_running_lines
from rag_core.errors import InvalidInput, Reason

# --------------------------------------------------------------------------------------------------------------------
# Finds PDFs whose streams inflate without end, before PDFium inflates them.


_TOTAL_FACTOR: Final = 8
# What pypdf finds odd in a file that PDFium reads is of no interest to anyone.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def require_bounded_streams(content: bytes, limits: ParseLimits) -> None:
    """Inflate page content, form XObjects and font maps one by one.

    Raises `InvalidInput` (`PDF_LIMIT`) when one of them exceeds the limit, or all together eight times as much. A file
    that pypdf cannot read passes: PDFium reads more kinds of damage, and the sandbox bounds what it may use.
    """
    total = 0
    try:
        for stream in _streams(pypdf.PdfReader(io.BytesIO(content))):
            size = len(stream.get_data())
            total += size
            if size > limits.pdf_stream_bytes or total > _TOTAL_FACTOR * limits.pdf_stream_bytes:
                raise _limit(limits)
    except LimitReachedError:
        raise _limit(limits) from None
    except (InvalidInput, MemoryError):
        raise
    except Exception:
        # pypdf documents no complete list of what it raises on damaged files; this check only ever refuses, it never
        # approves, so PDFium decides about such a file.
        return


def _streams(reader: pypdf.PdfReader) -> Iterator[StreamObject]:
    """Each stream that text extraction would inflate, once."""
    seen: set[int] = set()
    for page in reader.pages:
        contents = page.get("/Contents")
        contents = contents.get_object() if contents is not None else None
        for item in contents if isinstance(contents, list) else [contents]:
            yield from _new(item, seen)
        yield from _resources(page.get("/Resources"), seen, depth=0)


def _resources(resources: Any, seen: set[int], depth: int) -> Iterator[StreamObject]:
    resolved = resources.get_object() if resources is not None else None
    if not isinstance(resolved, DictionaryObject) or depth > 8:
        return
    for item in _values(resolved.get("/XObject")):
        for stream in _new(item, seen):
            if stream.get("/Subtype") == "/Form":
                yield stream
                yield from _resources(stream.get("/Resources"), seen, depth + 1)
    for item in _values(resolved.get("/Font")):
        font = item.get_object()
        if isinstance(font, DictionaryObject):
            yield from _new(font.raw_get("/ToUnicode") if "/ToUnicode" in font else None, seen)


def _values(mapping: Any) -> list[Any]:
    resolved = mapping.get_object() if mapping is not None else None
    return [resolved.raw_get(key) for key in resolved] if isinstance(resolved, DictionaryObject) else []


def _new(item: Any, seen: set[int]) -> Iterator[StreamObject]:
    if isinstance(item, IndirectObject):
        if item.idnum in seen:
            return
        seen.add(item.idnum)
    resolved = item.get_object() if item is not None else None
    if isinstance(resolved, StreamObject):
        yield resolved


def _limit(limits: ParseLimits) -> InvalidInput:
    return InvalidInput(
        Reason.PDF_LIMIT,
        f"the PDF inflates to more than {limits.pdf_stream_bytes // 10**6} MB on one page; export it again",
    )


_MAX_FRONT_TITLE: Final = 200
_MAX_OUTLINE: Final = 20_000
_METADATA: Final = {
    "Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created", "ModDate": "modified",
}  # fmt: skip


def read(content: bytes, limits: ParseLimits) -> ParsedDocument:
    """Read all pages. Raises `InvalidInput`: `ENCRYPTED`, `PDF_LIMIT`, `PARSE_FAILED`, `NEEDS_OCR` (a scan)."""
    with closing(open_pdf(content)) as document:
        pages = len(document)
        if pages > limits.pdf_pages:
            raise InvalidInput(
                Reason.PDF_LIMIT, f"the PDF has {pages} pages, the limit is {limits.pdf_pages}; split it"
            )
        require_bounded_streams(content, limits)
        return _read(document, limits)


def open_pdf(content: bytes) -> pypdfium2.PdfDocument:
    """Open a PDF. Raises `InvalidInput` (`ENCRYPTED`, `PARSE_FAILED`)."""
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise InvalidInput(Reason.ENCRYPTED, "the PDF is protected by a password; store it without one") from None
        raise InvalidInput(Reason.PARSE_FAILED, "the PDF is damaged and cannot be opened; export it again") from None


def _read(document: pypdfium2.PdfDocument, limits: ParseLimits) -> ParsedDocument:
    pages: list[Page] = []
    length = 0
    for number in range(len(document)):
        page = read_page(document, number)
        length += sum(len(line.text) for line in page.lines)
        if length > limits.max_text_chars:
            raise InvalidInput(
                Reason.TEXT_TOO_LARGE, f"the PDF has more than {limits.max_text_chars} characters of text; split it"
            )
        pages.append(page)
    if not length:
        raise InvalidInput(
            Reason.NEEDS_OCR,
            "the PDF has pages but no text, it looks like a scan: install OCR (docs/how-to/read-scans.md)",
        )
    builder = TextBuilder(limits)
    front = _front_title(pages[0].lines)
    # Before a sentence of two pages becomes one block: character recognition is for these and no others.
    empty = " ".join(str(number) for number, page in enumerate(pages, 1) if not page.lines)
    without_running_lines(pages)
    add_blocks(builder, pages, Outline(_bookmarks(document)))
    properties = document.get_metadata_dict(skip_empty=True)
    metadata = {name: properties[key] for key, name in _METADATA.items() if key in properties}
    metadata["pages"] = str(len(pages))
    if empty:
        metadata["pages_without_text"] = f"{empty} "[: MAX_METADATA_CHARS + 1].rpartition(" ")[0]
    return builder.finish(str(Kind.PDF), title=_title(properties.get("Title", "")) or front, metadata=metadata)


def _title(title: str) -> str:
    """Writers that have no title put a file name or their own name there."""
    lowered = title.strip().lower()
    useless = lowered in {"untitled", "unknown", "(anonymous)"} or lowered.startswith("microsoft word - ")
    return "" if useless or lowered.endswith((".doc", ".docx", ".tex", ".dvi", ".indd", ".qxd", ".ppt")) else title


def _front_title(lines: list[Line]) -> str:
    """The largest lines of the first page, when they stand out."""
    sizes = {line.size for line in lines}
    if len(sizes) < 2:
        return ""
    largest = join_lines(line.text for line in lines if line.size == max(sizes))
    return largest if len(largest) <= _MAX_FRONT_TITLE else ""


def _bookmarks(document: pypdfium2.PdfDocument) -> list[tuple[int, int, str]]:
    """(page, level from 1, title) of the outline; empty when there is none or it is damaged."""
    found = []
    try:
        for bookmark in document.get_toc():
            destination = bookmark.get_dest()
            page = destination.get_index() if destination is not None else None
            if page is not None:
                found.append((page, bookmark.level + 1, bookmark.get_title()))
            if len(found) >= _MAX_OUTLINE:
                break
    except pypdfium2.PdfiumError:
        return []
    return found
