"""The parser the pipeline uses: text in this process, everything with a grammar or a binary format in the sandbox."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rag_core.ids import fingerprint
from rag_core.parsing.base import ParsedDocument, ParseLimits, Parser
from rag_core.parsing.builder import MAX_TITLE_CHARS, clean_metadata
from rag_core.parsing.clean import one_line
from rag_core.parsing.detect import Kind, detect
from rag_core.parsing.parse import PARSER_VERSION, parse
from rag_core.parsing.sandbox.pool import SandboxPool

if TYPE_CHECKING:
    from rag_core.settings import Settings
    from rag_core.sources import FetchedItem


class SandboxedParser:
    """Plain text is split by us in linear time and stays here; all else runs a grammar over hostile input."""

    def __init__(self, limits: ParseLimits, sandbox: SandboxPool) -> None:
        self._limits = limits
        self._sandbox = sandbox
        self._fingerprint = fingerprint("parser", PARSER_VERSION, *limits.astuple())

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def parse(self, raw: FetchedItem) -> ParsedDocument:
        kind = detect(raw.content, name=raw.item.locator, media_type=raw.media_type)
        read = parse if kind is Kind.TEXT else self._sandbox.parse
        document = read(raw.content, name=raw.item.locator, media_type=raw.media_type, limits=self._limits)
        # What the source says about its item is better founded than what we found in it.
        return replace(
            document,
            title=one_line(raw.title or "", MAX_TITLE_CHARS) or document.title,
            metadata={**document.metadata, **clean_metadata(raw.metadata)},
        )

    def close(self) -> None:
        self._sandbox.close()


def open_parser(settings: Settings) -> Parser:
    """The parser as configured. Starts no process until the first document needs one."""
    sandbox = SandboxPool(
        workers=settings.parser_workers,
        memory_mb=settings.parser_memory_mb,
        timeout_seconds=settings.parser_timeout_seconds,
    )
    return SandboxedParser(ParseLimits.from_settings(settings), sandbox)
