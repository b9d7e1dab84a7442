"""The protocol between pool and worker: a JSON header and a byte payload, each with its length.

The worker may have been taken over by the document it reads, so nothing that comes back is trusted: no pickle, lengths
are capped before memory is reserved, and every field is checked on the way to a `ParsedDocument`.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, Final

from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.blocks import MAX_LANGUAGE_CHARS, Block, BlockKind, from_rows, to_rows
from rag_core.content.parsing.builder import (
    MAX_HEADING_CHARS,
    MAX_METADATA_ENTRIES,
    MAX_TITLE_CHARS,
    clean_metadata,
)
from rag_core.content.parsing.clean import clean, one_line
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.links import MAX_LINKS, MAX_TARGET_CHARS, Link, links_from_rows, links_to_rows
from rag_core.content.parsing.pages.values import PageImage, checked_image
from rag_core.errors import InvalidInput, Reason

PREFIX: Final = struct.Struct(">II")
"""Lengths of header and payload, both in bytes."""
EXIT_OUT_OF_MEMORY: Final = 77
"""Exit status of a worker that ran out of memory and could not say so."""
_MAX_MESSAGE_CHARS: Final = 500
_MAX_FLAGS: Final = 32
# Only what a parser may say about a document; a worker cannot claim a failure of the database.
_REASONS: Final = frozenset(
    {
        Reason.EMPTY_DOCUMENT, Reason.NO_TEXT, Reason.NEEDS_OCR,
        Reason.TYPE_UNSUPPORTED, Reason.TYPE_MISMATCH, Reason.ENCODING_UNKNOWN, Reason.ENCRYPTED,
        Reason.PARSE_FAILED, Reason.PARSER_OOM, Reason.PDF_LIMIT, Reason.XML_DTD_FORBIDDEN, Reason.ARCHIVE_BOMB,
        Reason.ARCHIVE_PATH, Reason.ARCHIVE_UNSUPPORTED, Reason.OFFICE_FORMAT_OLD, Reason.IMAGE_BOMB,
        Reason.NESTING_TOO_DEEP, Reason.TEXT_TOO_LARGE, Reason.TOO_MANY_CHUNKS,
        Reason.PAGES_UNSUPPORTED, Reason.PAGE_NOT_FOUND,
    }
)  # fmt: skip


class FrameError(Exception):
    """The other side broke the protocol."""


@dataclass(frozen=True, slots=True)
class Request:
    """One document to parse. `seconds` bounds the processor time of the worker."""

    content: bytes
    name: str
    media_type: str | None
    limits: ParseLimits
    seconds: float
    page: int = 0
    """A page to recognize in place of parsing; see `rag_core.content.parsing.ocr`."""
    kind: str = ""
    language: str = ""
    quote: str | None = None
    """Words to mark on a picture of the page, which is what is asked for then; see `rag_core.content.parsing.pages`."""


def encode_request(request: Request) -> bytes:
    """One frame for the worker."""
    header = {
        "name": request.name,
        "media_type": request.media_type,
        "limits": request.limits.astuple(),
        "seconds": request.seconds,
        "page": request.page,
        "kind": request.kind,
        "language": request.language,
        "quote": request.quote,
    }
    return _frame(header, request.content)


def decode_request(header: bytes, payload: bytes) -> Request:
    """The request of a frame; its sender is trusted."""
    fields = json.loads(header)
    limits = ParseLimits(*fields["limits"])
    said = (fields["page"], fields["kind"], fields["language"], fields["quote"])
    return Request(payload, fields["name"], fields["media_type"], limits, fields["seconds"], *said)


def encode_document(document: ParsedDocument) -> bytes:
    """One frame for the pool: the document, its text as the payload."""
    header = {
        "media_type": document.media_type,
        "title": document.title,
        "language": document.language,
        "blocks": to_rows(document.blocks),
        "links": links_to_rows(document.links),
        "metadata": dict(document.metadata),
        "flags": sorted(document.flags),
    }
    return _frame(header, document.text.encode("utf-8"))


def encode_image(image: PageImage) -> bytes:
    """One frame for the pool: a picture of a page."""
    return _frame(image.header(), image.content)


def encode_refusal(reason: Reason, message: str) -> bytes:
    """One frame for the pool: why the document cannot be used."""
    return _frame({"reason": reason, "message": message}, b"")


def max_response_bytes(limits: ParseLimits) -> int:
    """Largest response a well-behaved worker sends: text in UTF-8, eighty bytes a block or part, links, the rest."""
    return 4 * limits.max_text_chars + 160 * limits.max_blocks + MAX_LINKS * (12 * MAX_TARGET_CHARS + 40) + 1_000_000


def decode_response(header: bytes, payload: bytes, limits: ParseLimits) -> ParsedDocument:
    """The document, checked. Raises the `InvalidInput` the worker reports, or `FrameError`."""
    try:
        fields = json.loads(header)
        if "reason" in fields:
            raise _refusal(fields)
        return _document(fields, payload.decode("utf-8"), limits)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FrameError from error


def decode_image(header: bytes, payload: bytes) -> PageImage:
    """The picture of a page, checked. Raises as `decode_response`."""
    try:
        fields = json.loads(header)
        if "reason" in fields:
            raise _refusal(fields)
        return checked_image(fields, payload)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise FrameError from error


def _frame(header: dict[str, Any], payload: bytes) -> bytes:
    encoded = json.dumps(header, separators=(",", ":")).encode("ascii")
    return PREFIX.pack(len(encoded), len(payload)) + encoded + payload


def _refusal(fields: dict[str, Any]) -> InvalidInput:
    reason = Reason(fields["reason"])
    if reason not in _REASONS:
        raise FrameError
    return InvalidInput(reason, one_line(str(fields["message"]), _MAX_MESSAGE_CHARS))


def _document(fields: dict[str, Any], text: str, limits: ParseLimits) -> ParsedDocument:
    metadata, flags = fields["metadata"], fields["flags"]
    blocks, links = from_rows(fields["blocks"]), links_from_rows(fields.get("links", ()))
    if len(text) > limits.max_text_chars or len(blocks) > limits.max_blocks or clean(text) != text:
        raise FrameError
    if len(metadata) > MAX_METADATA_ENTRIES or len(flags) > _MAX_FLAGS:
        raise FrameError
    _require_order(blocks, len(text), limits)
    _require_links_in_order(links, len(text))
    return ParsedDocument(
        text=text,
        media_type=str(Kind(fields["media_type"])),
        title=one_line(str(fields["title"]), MAX_TITLE_CHARS),
        language=one_line(str(fields["language"]), 8),
        blocks=blocks,
        metadata=clean_metadata({str(key): str(value) for key, value in metadata.items()}),
        flags=frozenset(one_line(str(flag), 40) for flag in flags),
        links=links,
    )


def _require_links_in_order(links: tuple[Link, ...], length: int) -> None:
    ends = [0, *(end for link in links for end in (link.start, link.end)), length]
    if len(links) > MAX_LINKS or ends != sorted(ends):
        raise FrameError


def _require_order(blocks: tuple[Block, ...], length: int, limits: ParseLimits) -> None:
    """Blocks follow each other within the text, and carry nothing that only a chunker knows."""
    position = 0
    for block in blocks:
        if not position <= block.start < block.end <= length or block.path:
            raise FrameError
        if one_line(block.language, MAX_LANGUAGE_CHARS) != block.language:
            raise FrameError
        # The term of a description that continues behind code.
        if block.header and block.kind is not BlockKind.DEFINITIONS:
            raise FrameError
        if one_line(block.header, MAX_HEADING_CHARS) != block.header:
            raise FrameError
        position = block.end
    if sum(len(block.parts) for block in blocks) > limits.max_blocks:
        raise FrameError


def encode_ready() -> bytes:
    """Sent once by a worker that is confined and waits for documents."""
    return PREFIX.pack(0, 0)
