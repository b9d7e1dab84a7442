"""Bytes to a `ParsedDocument`, in this process. `Parser` decides whether that is the sandbox or the caller's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Final

from rag_core.content.parsing.archive import identify, open_archive
from rag_core.content.parsing.base import ParsedDocument, ParseLimits
from rag_core.content.parsing.builder import MAX_TITLE_CHARS
from rag_core.content.parsing.clean import INJECTION_FLAG, looks_like_injection, one_line, require_readable
from rag_core.content.parsing.decode import decode
from rag_core.content.parsing.detect import OFFICE, Kind, detect, promised_kind, require_match
from rag_core.errors import InvalidInput, RagError, Reason

PARSER_VERSION: Final = 16
"""Raise it with every change that makes the same bytes give another document; a golden test notices when it is due."""

# --------------------------------------------------------------------------------------------------------------------
# A cheap language guess for the two languages the platform is tuned for. Dependable rather than broad.


_SAMPLE_CHARS: Final = 20_000
_HAN: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA_HANGUL: Final = re.compile("[\u3040-\u30ff\uac00-\ud7af]")
_LATIN: Final = re.compile("[A-Za-z\u00c0-\u024f]")
_OTHER_SCRIPTS: Final = re.compile("[\u0370-\u1fff]")
_WORD: Final = re.compile("[a-z]+")
# Function words that no other large language written in Latin script shares.
_ENGLISH: Final = frozenset(
    "the of and to is that for with this are be you not from have it by at which can will if your has when".split()  # noqa: SIM905
)
_MIN_WORDS: Final = 4


def guess_language(text: str) -> str:
    """`zh`, `en`, or empty when the text is too short, mixed or in another language."""
    sample = _sample(text)
    han = len(_HAN.findall(sample))
    latin = len(_LATIN.findall(sample))
    other = len(_OTHER_SCRIPTS.findall(sample))
    kana_hangul = len(_KANA_HANGUL.findall(sample))
    # A Han character carries as much as three to four Latin letters, and Chinese technical prose is full of Latin
    # commands and names: hence the low share it needs.
    if han * 8 >= latin and han >= 2 and kana_hangul * 10 <= han and other <= han:
        return "zh"
    if latin > 4 * (han + other + kana_hangul) and _looks_english(sample):
        return "en"
    return ""


def _sample(text: str) -> str:
    if len(text) <= _SAMPLE_CHARS:
        return text
    middle = len(text) // 2
    half = _SAMPLE_CHARS // 2
    return text[:half] + " " + text[middle : middle + half]


def _looks_english(sample: str) -> bool:
    words = _WORD.findall(sample.lower())
    if len(words) < _MIN_WORDS:
        return False
    return sum(word in _ENGLISH for word in words) >= max(1, len(words) * 0.07)


_SITE_INDEX: Final = re.compile(r"(?:offline-)?(?:search[-_]?index|search-data|lunr-index)[-.][\w.-]*+")
"""Names that Sphinx, MkDocs, mdBook, Docusaurus, Docsy and Jekyll's themes give to a site's own search index."""
_SCRIPTS: Final = (".js", ".mjs", ".css")
_MINIFIED_LINE: Final = 5_000
"""Characters of a line that nobody wrote by hand."""

_TextReader = Callable[[str, ParseLimits, str], ParsedDocument]
_BinaryReader = Callable[[bytes, ParseLimits], ParsedDocument]
# Modules are named, not imported: each brings a library, and most processes meet few formats.
_READERS: Final = {
    Kind.TEXT: ("plain", "read"),
    Kind.RST: ("rst", "read"),
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
    return screen(document, name)


def _read(kind: Kind, content: bytes, name: str, media_type: str | None, limits: ParseLimits) -> ParsedDocument:
    if kind is Kind.ARCHIVE:
        kind = _office_kind(content, name, limits)
    module, function = _READERS[kind]
    reader = getattr(import_module(f"rag_core.content.parsing.formats.{module}"), function)
    if kind in _BINARY:
        binary: _BinaryReader = reader
        return binary(content, limits)
    textual: _TextReader = reader
    text = decode(content, media_type)
    if _is_for_programs(text, name):
        raise InvalidInput(
            Reason.TYPE_UNSUPPORTED, "the document is for programs: a site's search index or a minified script"
        )
    if len(text) > 2 * limits.max_text_chars:
        # Markup can be half of a document, not more: do not even build its tree.
        raise InvalidInput(
            Reason.TEXT_TOO_LARGE, f"the document is longer than {2 * limits.max_text_chars} characters; split it"
        )
    return textual(text, limits, str(kind))


def _is_for_programs(text: str, name: str) -> bool:
    last = name.partition("?")[0].rpartition("/")[2].lower()
    if last.endswith((".js", ".json")) and _SITE_INDEX.fullmatch(last):
        return True
    return last.endswith(_SCRIPTS) and any(len(line) > _MINIFIED_LINE for line in text.splitlines())


def _office_kind(content: bytes, name: str, limits: ParseLimits) -> Kind:
    promised = promised_kind(name)
    try:
        with open_archive(content, limits) as archive:
            kind = identify(archive)
    except InvalidInput as error:
        if promised is None and error.reason in _OF_ANY_ZIP:
            raise _zip_archive() from error
        raise
    if kind is Kind.ARCHIVE and promised is None:
        raise _zip_archive()
    require_match(promised, kind)
    return kind


_OF_ANY_ZIP = (Reason.PARSE_FAILED, Reason.ENCRYPTED)
"""Damage or a password matter only in what would be read without them."""


def _zip_archive() -> InvalidInput:
    return InvalidInput(Reason.ARCHIVE_UNSUPPORTED, "the document is a zip archive, which is not unpacked")


def screen(document: ParsedDocument, name: str) -> ParsedDocument:
    """Refuse what no one can read, mark instructions to a model, fill in title and language."""
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
