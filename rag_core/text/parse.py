"""Bytes to a `ParsedDocument`, in this process. `Parser` decides whether that is the sandbox or the caller's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Final

from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.models import ParsedDocument
from rag_core.text.archive import open_archive
from rag_core.text.base import ParseLimits
from rag_core.text.builder import MAX_TITLE_CHARS
from rag_core.text.clean import one_line
from rag_core.text.decode import decode
from rag_core.text.detect import OFFICE, Kind, detect, promised_kind, require_match
from rag_core.text.language import guess_language
from rag_core.text.ooxml import identify
from rag_core.text.screening import INJECTION_FLAG, looks_like_injection, require_readable

_TextReader = Callable[[str, ParseLimits, str], ParsedDocument]
_BinaryReader = Callable[[bytes, ParseLimits], ParsedDocument]
# Modules are named, not imported: each brings a library, and most processes meet few formats.
_READERS: Final = {
    Kind.TEXT: ("plain", "read"),
    Kind.MARKDOWN: ("markdown", "read"),
    Kind.HTML: ("html", "read"),
    Kind.CSV: ("delimited", "read"),
    Kind.JSON: ("json_text", "read"),
    Kind.JSONL: ("json_text", "read_lines"),
    Kind.PACKAGE: ("package_metadata", "read"),
    Kind.PDF: ("pdf", "read"),
    Kind.DOCX: ("docx", "read"),
    Kind.PPTX: ("pptx", "read"),
    Kind.XLSX: ("xlsx", "read"),
    Kind.IMAGE: ("image", "refuse"),
}
_BINARY: Final = OFFICE | {Kind.PDF, Kind.IMAGE}


def parse(content: bytes, *, name: str, media_type: str | None, limits: ParseLimits) -> ParsedDocument:
    """Detect, decode, read and screen one document. `name` is a path or URL; only its last segment matters.

    Raises `InvalidInput` with the reason the document cannot be used; nothing else, except `MemoryError` and, when
    there is not even memory for the format's library, `ImportError`.
    """
    kind = detect(content, name=name, media_type=media_type)
    try:
        document = _read(kind, content, name, media_type, limits)
    except (RagError, MemoryError, ImportError):
        raise
    except RecursionError:
        raise InvalidInput(Reason.NESTING_TOO_DEEP, "the document is nested too deeply; simplify it") from None
    except Exception as error:
        # The one place where any exception of a format library becomes ours: none of them documents its errors
        # completely, and a damaged file must cost one document, not the run. The class says what broke.
        raise InvalidInput(
            Reason.PARSE_FAILED, f"the document is damaged and cannot be read ({type(error).__name__}); save it again"
        ) from error
    return _screen(document, name)


def _read(kind: Kind, content: bytes, name: str, media_type: str | None, limits: ParseLimits) -> ParsedDocument:
    if kind is Kind.ARCHIVE:
        kind = _office_kind(content, name, limits)
    module, function = _READERS[kind]
    reader = getattr(import_module(f"rag_core.text.formats.{module}"), function)
    if kind in _BINARY:
        binary: _BinaryReader = reader
        return binary(content, limits)
    textual: _TextReader = reader
    text = decode(content, media_type)
    if len(text) > 2 * limits.max_text_chars:
        # Markup can be half of a document, not more: do not even build its tree.
        raise InvalidInput(
            Reason.TEXT_TOO_LARGE, f"the document is longer than {2 * limits.max_text_chars} characters; split it"
        )
    return textual(text, limits, str(kind))


def _office_kind(content: bytes, name: str, limits: ParseLimits) -> Kind:
    with open_archive(content, limits) as archive:
        kind = identify(archive)
    promised = promised_kind(name)
    if kind is Kind.ARCHIVE and promised is None:
        raise InvalidInput(Reason.TYPE_UNSUPPORTED, "zip archives are not read; provide the documents in it one by one")
    require_match(promised, kind)
    return kind


def _screen(document: ParsedDocument, name: str) -> ParsedDocument:
    require_readable(document.text)
    flags = document.flags | {INJECTION_FLAG} if looks_like_injection(document.text) else document.flags
    return replace(
        document,
        title=document.title or one_line(_base_name(name), MAX_TITLE_CHARS),
        language=guess_language(document.text),
        flags=frozenset(flags),
    )


def _base_name(name: str) -> str:
    return name.split("#")[0].split("?")[0].replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
