"""Finds PDFs whose streams inflate without end, before PDFium inflates them."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any, Final

import pypdf
from pypdf.errors import LimitReachedError
from pypdf.generic import DictionaryObject, IndirectObject, StreamObject

from rag_core.errors import InvalidInput, Reason
from rag_core.text.base import ParseLimits

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
