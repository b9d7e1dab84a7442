"""PDF: text by PDFium, structure from the outline, font sizes and line positions.

Forms, scripts, attachments and links are never opened; nothing is fetched.
"""

from __future__ import annotations

from typing import Final

import pypdfium2
from pypdfium2 import raw as pdfium

from rag_core.errors import InvalidInput, Reason
from rag_core.models import ParsedDocument
from rag_core.text.base import ParseLimits
from rag_core.text.builder import TextBuilder
from rag_core.text.detect import Kind
from rag_core.text.formats.pdf_blocks import add_blocks
from rag_core.text.formats.pdf_guard import require_bounded_streams
from rag_core.text.formats.pdf_headings import Outline
from rag_core.text.formats.pdf_lines import Line, page_lines, without_running_lines
from rag_core.text.lines import join_lines

_MAX_FRONT_TITLE: Final = 200
_MAX_OUTLINE: Final = 20_000
_METADATA: Final = {"Author": "author", "Subject": "subject", "Keywords": "keywords"}


def read(content: bytes, limits: ParseLimits) -> ParsedDocument:
    """Read all pages. Raises `InvalidInput`: `ENCRYPTED`, `PDF_LIMIT`, `PARSE_FAILED`, `EMPTY_DOCUMENT` (a scan)."""
    document = _open(content)
    try:
        pages = len(document)
        if pages > limits.pdf_pages:
            raise InvalidInput(
                Reason.PDF_LIMIT, f"the PDF has {pages} pages, the limit is {limits.pdf_pages}; split it"
            )
        require_bounded_streams(content, limits)
        return _read(document, limits)
    finally:
        document.close()


def _open(content: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise InvalidInput(Reason.ENCRYPTED, "the PDF is protected by a password; store it without one") from None
        raise InvalidInput(Reason.PARSE_FAILED, "the PDF is damaged and cannot be opened; export it again") from None


def _read(document: pypdfium2.PdfDocument, limits: ParseLimits) -> ParsedDocument:
    pages: list[list[Line]] = []
    length = 0
    for number in range(len(document)):
        lines = page_lines(document, number)
        length += sum(len(line.text) for line in lines)
        if length > limits.max_text_chars:
            raise InvalidInput(
                Reason.TEXT_TOO_LARGE, f"the PDF has more than {limits.max_text_chars} characters of text; split it"
            )
        pages.append(lines)
    if not length:
        raise InvalidInput(
            Reason.EMPTY_DOCUMENT, "the PDF has no text, it may be a scan; run character recognition on it first"
        )
    builder = TextBuilder(limits)
    add_blocks(builder, without_running_lines(pages), Outline(_bookmarks(document)))
    properties = document.get_metadata_dict(skip_empty=True)
    metadata = {name: properties[key] for key, name in _METADATA.items() if key in properties}
    metadata["pages"] = str(len(pages))
    return builder.finish(
        str(Kind.PDF), title=_title(properties.get("Title", "")) or _front_title(pages[0]), metadata=metadata
    )


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
