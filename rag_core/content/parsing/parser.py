"""The parser the pipeline uses: text in this process, everything with a grammar or a binary format in the sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rag_core.content.parsing.base import ParsedDocument, ParseLimits, Parser
from rag_core.content.parsing.builder import MAX_TITLE_CHARS, clean_metadata
from rag_core.content.parsing.clean import one_line
from rag_core.content.parsing.detect import Kind, detect
from rag_core.content.parsing.ocr.reader import OcrReader, open_ocr
from rag_core.content.parsing.pages.values import PageImage
from rag_core.content.parsing.parse import PARSER_VERSION, parse, screen
from rag_core.content.parsing.sandbox.pool import SandboxPool
from rag_core.errors import InvalidInput
from rag_core.ids import fingerprint

if TYPE_CHECKING:
    from rag_core.content.sources import FetchedItem
    from rag_core.settings import Settings


class SandboxedParser:
    """Plain text is split by us in linear time and stays here; all else runs a grammar over hostile input."""

    def __init__(self, limits: ParseLimits, sandbox: SandboxPool, ocr: OcrReader | None = None) -> None:
        self._limits = limits
        self._sandbox = sandbox
        self._ocr = ocr
        recognition = [ocr.fingerprint] if ocr is not None else []
        self._fingerprint = fingerprint("parser", PARSER_VERSION, *limits.astuple(), *recognition)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def parse(self, raw: FetchedItem) -> ParsedDocument:
        kind = detect(raw.content, name=raw.item.locator, media_type=raw.media_type)
        document = self._read(raw, kind)
        # What the source says about its item is better founded than what we found in it.
        return replace(
            document,
            title=one_line(raw.title or "", MAX_TITLE_CHARS) or document.title,
            metadata={**document.metadata, **clean_metadata(raw.metadata)},
        )

    def close(self) -> None:
        self._sandbox.close()
        if self._ocr is not None:
            self._ocr.close()

    def _read(self, raw: FetchedItem, kind: Kind) -> ParsedDocument:
        read = parse if kind is Kind.TEXT else self._sandbox.parse
        name = raw.item.locator
        if self._ocr is None or not self._ocr.can_read(kind):
            return read(raw.content, name=name, media_type=raw.media_type, limits=self._limits)
        found: ParsedDocument | InvalidInput
        try:
            found = read(raw.content, name=name, media_type=raw.media_type, limits=self._limits)
        except InvalidInput as refused:
            found = refused
        document = self._ocr.complete(raw.content, kind, name, self._limits, found)
        return document if document is found else screen(document, name)


class Pages:
    """Draws pages of documents in a sandbox."""

    def __init__(self, limits: ParseLimits, sandbox: SandboxPool) -> None:
        self._limits, self._sandbox = limits, sandbox

    def draw(self, content: bytes, *, kind: Kind, page: int, quote: str) -> PageImage:
        """One page as a picture, counted from 1, with the quote marked.

        Raises `InvalidInput`: `PAGE_NOT_FOUND`, and the reason why the document cannot be read.
        """
        return self._sandbox.draw(content, kind=kind, page=page, quote=quote, limits=self._limits)

    def close(self) -> None:
        """End the sandbox process. Idempotent."""
        self._sandbox.close()


def open_pages(settings: Settings) -> Pages:
    """Pages as configured: a scan is recognized again, to find the cited words on it."""
    pool = SandboxPool(
        workers=1,
        memory_mb=max(settings.parser_memory_mb, settings.ocr_memory_mb),
        timeout_seconds=min(settings.parser_timeout_seconds, settings.source_operation_seconds),
    )
    return Pages(ParseLimits.from_settings(settings), pool)


def open_parser(settings: Settings, *, defers_ocr: bool = False) -> Parser:
    """The parser as configured. Starts no process until the first document needs one.

    With `defers_ocr` a document with pictures of text ends with `PARSER_TIMEOUT`, as one that takes too long.
    """
    sandbox = SandboxPool(
        workers=settings.parser_workers,
        memory_mb=settings.parser_memory_mb,
        timeout_seconds=settings.parser_timeout_seconds,
    )
    return SandboxedParser(ParseLimits.from_settings(settings), sandbox, open_ocr(settings, defers=defers_ocr))
