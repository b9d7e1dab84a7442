"""Detect the type of a document by its content. The name only distinguishes text kinds and reveals a mismatch."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import puremagic

from rag_core.content.parsing.decode import decode_sample, has_text_mark
from rag_core.errors import InvalidInput, Reason


class Kind(StrEnum):
    """The kinds of document we read; the value is the media type of the `ParsedDocument`."""

    TEXT = "text/plain"
    RST = "text/x-rst"
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    CSV = "text/csv"
    JSON = "application/json"
    JSONL = "application/jsonl"
    PACKAGE = "text/x-python-metadata"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    ARCHIVE = "application/zip"
    """A zip: its members show which office format it is. Never the kind of a `ParsedDocument`."""
    IMAGE = "image/*"
    """Any picture, for character recognition. A `ParsedDocument` has its own type (`image_type`)."""


OFFICE: Final = frozenset({Kind.DOCX, Kind.PPTX, Kind.XLSX})
_TEXT_KINDS: Final = frozenset({Kind.TEXT, Kind.RST, Kind.MARKDOWN, Kind.HTML, Kind.CSV, Kind.JSON, Kind.JSONL})

_EXTENSIONS: Final = {
    "txt": Kind.TEXT, "text": Kind.TEXT, "log": Kind.TEXT,
    "rst": Kind.RST, "rest": Kind.RST,
    "md": Kind.MARKDOWN, "markdown": Kind.MARKDOWN, "mdx": Kind.MARKDOWN,
    "html": Kind.HTML, "htm": Kind.HTML, "xhtml": Kind.HTML,
    "csv": Kind.CSV, "tsv": Kind.CSV,
    "json": Kind.JSON, "jsonl": Kind.JSONL, "ndjson": Kind.JSONL,
    "pdf": Kind.PDF, "docx": Kind.DOCX, "pptx": Kind.PPTX, "xlsx": Kind.XLSX,
    "png": Kind.IMAGE, "jpg": Kind.IMAGE, "jpeg": Kind.IMAGE, "gif": Kind.IMAGE, "webp": Kind.IMAGE, "tiff": Kind.IMAGE,
    "bmp": Kind.IMAGE,
}  # fmt: skip
_MEDIA_TYPES: Final = {
    **{str(kind): kind for kind in _TEXT_KINDS},
    "text/prs.fallenstein.rst": Kind.RST,
    "text/x-markdown": Kind.MARKDOWN,
    "application/xhtml+xml": Kind.HTML,
    "text/tab-separated-values": Kind.CSV,
    "application/x-ndjson": Kind.JSONL,
    "application/jsonlines": Kind.JSONL,
}
# Prefixes that no text file has. What is not here and still looks binary is named by puremagic.
_SIGNATURES: Final = (
    (b"PK\x03\x04", Kind.ARCHIVE),
    (b"PK\x05\x06", Kind.ARCHIVE),
)
_IMAGES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"), (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"), (re.compile(rb"II\*\x00|MM\x00\*"), "image/tiff"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"), (re.compile(rb"BM.{4}\x00{4}", re.DOTALL), "image/bmp"),
)  # fmt: skip
_FOREIGN: Final = (
    (b"\x7fELF", "an executable"), (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"), (b"\x28\xb5\x2f\xfd", "a zstd archive"), (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"), (b"SQLite format 3\x00", "a SQLite database"),
    (b"PAR1", "a Parquet file"), (b"\xca\xfe\xba\xbe", "compiled code"),
)  # fmt: skip
_OLD_OFFICE: Final = frozenset({"", "doc", "dot", "xls", "xlt", "ppt", "pps", "pot"})
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PREAMBLE: Final = r"\A\s*(?:<\?xml[^>]{0,200}\?>\s*|<!--(?:(?!-->).){0,2000}-->\s*){0,4}"
_HTML_START: Final = re.compile(_PREAMBLE + r"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE | re.DOTALL)
_SVG_START: Final = re.compile(_PREAMBLE + r"(?:<!doctype\s+svg[^>]{0,500}>\s*)?<svg[\s>]", re.IGNORECASE | re.DOTALL)
_PACKAGE_START: Final = re.compile(r"Metadata-Version: ?\d")
# Bytes that text does not contain: C0 controls without tab, line ends, form feed and escape.
_CONTROL_BYTES: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\r\x0b\x0c\x1b")


def detect(content: bytes, *, name: str, media_type: str | None = None) -> Kind:
    """The kind of a document from its first bytes.

    Raises `InvalidInput`: `EMPTY_DOCUMENT` without bytes, `TYPE_MISMATCH` when the name promises a supported kind the
    content is not, `ENCRYPTED` for password-protected office files, `OFFICE_FORMAT_OLD` for those of before 2007,
    `ARCHIVE_UNSUPPORTED` for archives but zip, `TYPE_UNSUPPORTED` for anything else that we do not read.
    """
    if not content:
        raise InvalidInput(Reason.EMPTY_DOCUMENT, "the document is empty")
    promised = _EXTENSIONS.get(extension(name))
    kind = _binary_kind(content, promised, name)
    if kind is not None:
        if kind is not Kind.ARCHIVE:
            require_match(promised, kind)
        elif promised is not None and promised not in OFFICE:
            raise _mismatch(promised, "a zip archive")
        return kind
    return _text_kind(decode_sample(content), promised, media_type)


def promised_kind(name: str) -> Kind | None:
    """The kind the extension of a name promises; `None` when it promises nothing we know."""
    return _EXTENSIONS.get(extension(name))


def require_match(promised: Kind | None, actual: Kind) -> None:
    """Raise `InvalidInput` (`TYPE_MISMATCH`) when the name promised another kind."""
    if promised is not None and promised is not actual:
        raise _mismatch(promised, _label(actual))


def image_type(content: bytes) -> str:
    """The media type of a picture from its first bytes; empty for anything else."""
    return next((media_type for start, media_type in _IMAGES if start.match(content)), "")


def has_pages(content: bytes) -> bool:
    """Return whether content is a PDF or a picture, whose pages can be shown."""
    return b"%PDF-" in content[:1024] or bool(image_type(content))


def extension(name: str) -> str:
    """Lower-case extension of the last segment of a path or URL, without query and fragment."""
    segment = re.split(r"[/\\]", name.split("#")[0].split("?")[0])[-1]
    stem, dot, suffix = segment.rpartition(".")
    return suffix.lower() if dot and stem else ""


def _binary_kind(content: bytes, promised: Kind | None, name: str) -> Kind | None:
    """The kind of binary content, `None` for text."""
    if b"%PDF-" in content[:1024] and (content.startswith(b"%PDF-") or promised is Kind.PDF or _looks_binary(content)):
        return Kind.PDF
    for prefix, kind in _SIGNATURES:
        if content.startswith(prefix):
            return kind
    if image_type(content):
        return Kind.IMAGE
    if content.startswith(_OLE):
        raise _compound_file(content, promised, name)
    label = next((label for prefix, label in _FOREIGN if content.startswith(prefix)), None)
    if label is None and _looks_binary(content):
        label = _puremagic_label(content)
    if label is None:
        return None
    if promised is not None:
        raise _mismatch(promised, label)
    if label.endswith("archive"):
        raise InvalidInput(Reason.ARCHIVE_UNSUPPORTED, f"the document is {label}, which is not unpacked")
    raise InvalidInput(Reason.TYPE_UNSUPPORTED, f"the document is {label}, which is not read")


def _text_kind(sample: str, promised: Kind | None, media_type: str | None) -> Kind:
    if promised is not None and promised not in _TEXT_KINDS:
        raise _mismatch(promised, "text")
    if _PACKAGE_START.match(sample):
        return Kind.PACKAGE
    if _HTML_START.match(sample):
        require_match(promised, Kind.HTML)
        return Kind.HTML
    if _SVG_START.match(sample):
        raise InvalidInput(Reason.TYPE_UNSUPPORTED, "the document is an SVG image, which is not read or rendered")
    if promised is not None:
        return promised
    return _MEDIA_TYPES.get((media_type or "").split(";")[0].strip().lower(), Kind.TEXT)


def _looks_binary(content: bytes) -> bool:
    head = content[:65536]
    if has_text_mark(head):
        return False
    return (len(head) - len(head.translate(None, _CONTROL_BYTES))) * 20 > len(head)


def _compound_file(content: bytes, promised: Kind | None, name: str) -> InvalidInput:
    """Office wraps an encrypted docx, pptx or xlsx into the container of its old formats."""
    if "EncryptedPackage".encode("utf-16-le") in content:
        return InvalidInput(Reason.ENCRYPTED, "the document is protected by a password; store it without one")
    if promised is not None:
        return _mismatch(promised, "an old binary office file")
    if extension(name) not in _OLD_OFFICE:
        return InvalidInput(Reason.TYPE_UNSUPPORTED, "the document is a compound file of a program, which is not read")
    return InvalidInput(Reason.OFFICE_FORMAT_OLD, "old binary office files are not read; save it as docx, pptx or xlsx")


def _puremagic_label(content: bytes) -> str:
    try:
        mime = puremagic.from_string(content[:8192], mime=True)
    except (puremagic.PureError, ValueError):
        mime = ""
    return f"binary data ({mime})" if mime else "binary data"


def _label(kind: Kind) -> str:
    return {Kind.ARCHIVE: "a zip archive", Kind.IMAGE: "an image", Kind.TEXT: "text"}.get(kind, kind.name)


def _mismatch(promised: Kind, actual: str) -> InvalidInput:
    return InvalidInput(
        Reason.TYPE_MISMATCH,
        f"the name promises {_label(promised)} but the content is {actual}; rename or replace the document",
    )
