"""ZIP containers: limits of what is unpacked, and which Office format one holds."""

from __future__ import annotations

import io
import re
import stat
import xml.etree.ElementTree as ET
import zipfile
import zlib
from dataclasses import dataclass
from typing import Final

import defusedxml.ElementTree
from defusedxml.common import DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden

from rag_core.content.parsing.base import ParseLimits
from rag_core.content.parsing.detect import Kind
from rag_core.errors import InvalidInput, Reason

# --------------------------------------------------------------------------------------------------------------------
# Checks on zip archives before any of their members is parsed. Nothing is ever extracted to disk.


_RATIO_FLOOR: Final = 1024 * 1024
_CENTRAL_RECORD: Final = b"PK\x01\x02"
_LOCAL_RECORD: Final = b"PK\x03\x04"
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
_ENCRYPTED_BIT: Final = 0x1


def open_archive(content: bytes, limits: ParseLimits) -> zipfile.ZipFile:
    """Open a zip after checking it and every zip inside it.

    Raises `InvalidInput`: `ARCHIVE_BOMB`, `ARCHIVE_PATH`, `ENCRYPTED`, or `PARSE_FAILED` for a damaged archive.
    """
    archive = _open(content, limits)
    _check(archive, _Budget(limits), depth=1)
    return archive


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo | str, size: int = -1) -> bytes:
    """Bytes of a member (at most `size`); never more than its directory entry declared. Raises `PARSE_FAILED`."""
    try:
        with archive.open(info) as member:
            return member.read(size)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, KeyError) as error:
        raise _damaged() from error


@dataclass(slots=True)
class _Budget:
    """The remaining limits, over the archive and all archives in it."""

    limits: ParseLimits
    entries: int = 0
    size: int = 0

    def take(self, info: zipfile.ZipInfo) -> None:
        self.entries += 1
        self.size += info.file_size
        if self.entries > self.limits.archive_entries:
            raise _bomb(f"more than {self.limits.archive_entries} members")
        if self.size > self.limits.archive_bytes:
            raise _bomb(f"more than {self.limits.archive_bytes // 2**20} MiB inflated")
        self.ratio(info.file_size, info.compress_size)

    def ratio(self, inflated: int, stored: int) -> None:
        # Small, dull XML compresses better than 1:100 and does no harm.
        if inflated > _RATIO_FLOOR and inflated > self.limits.archive_ratio * max(stored, 1):
            raise _bomb(f"a compression ratio above {self.limits.archive_ratio}")


def _open(content: bytes, limits: ParseLimits) -> zipfile.ZipFile:
    # Reading a directory of a million entries already costs seconds and gigabytes, so count records before.
    if content.count(_CENTRAL_RECORD) > limits.archive_entries:
        raise _bomb(f"more than {limits.archive_entries} members")
    try:
        return zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise _damaged() from error


def _check(archive: zipfile.ZipFile, budget: _Budget, depth: int) -> None:
    if depth > budget.limits.archive_depth:
        raise _bomb(f"archives nested deeper than {budget.limits.archive_depth}")
    infos = archive.infolist()
    names: set[str] = set()
    for info in infos:
        budget.take(info)
        _check_path(info, names)
    budget.ratio(sum(info.file_size for info in infos), sum(info.compress_size for info in infos))
    if any(info.flag_bits & _ENCRYPTED_BIT for info in infos):
        raise InvalidInput(Reason.ENCRYPTED, "the archive is protected by a password; store it without one")
    for info in infos:
        if read_member(archive, info, 4) == _LOCAL_RECORD:
            with _open(read_member(archive, info), budget.limits) as inner:
                _check(inner, budget, depth + 1)


def _check_path(info: zipfile.ZipInfo, names: set[str]) -> None:
    # `orig_filename` still has the NUL and the backslashes that zipfile hides from `filename`.
    name = info.orig_filename.replace("\\", "/")
    segments = name.split("/")
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    if is_link or ".." in segments or name.startswith("/") or _DRIVE.match(name) or "\x00" in name:
        raise InvalidInput(
            Reason.ARCHIVE_PATH, "the archive has a member that points outside of it; rebuild the archive"
        )
    if name in names:
        raise InvalidInput(Reason.ARCHIVE_PATH, "the archive has two members of the same name; rebuild the archive")
    names.add(name)


def _bomb(what: str) -> InvalidInput:
    return InvalidInput(Reason.ARCHIVE_BOMB, f"the archive has {what}; it is not opened")


def _damaged() -> InvalidInput:
    return InvalidInput(Reason.PARSE_FAILED, "the archive is damaged or uses an unknown compression; save it again")


# --------------------------------------------------------------------------------------------------------------------
# Office Open XML packages: no document type declarations, and which of the three formats it is.


_PROLOG_BYTES: Final = 1024 * 1024
_XML_SUFFIXES: Final = (".xml", ".rels", ".vml", ".xhtml")
_XML_STARTS: Final = tuple("<".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
_MARKS: Final = b"\xef\xbb\xbf\xff\xfe \t\r\n\x00"
_MAIN_PARTS: Final = {
    "wordprocessingml.document.main+xml": Kind.DOCX,
    "presentationml.presentation.main+xml": Kind.PPTX,
    "presentationml.slideshow.main+xml": Kind.PPTX,
    "spreadsheetml.sheet.main+xml": Kind.XLSX,
}
_CONTENT_TYPES: Final = "[Content_Types].xml"


def identify(archive: zipfile.ZipFile) -> Kind:
    """Return the office format of a checked archive; `Kind.ARCHIVE` when it is none.

    Every XML part is checked before anything else. Raises `InvalidInput` (`XML_DTD_FORBIDDEN`, `PARSE_FAILED`).
    """
    for info in archive.infolist():
        _forbid_dtd(archive, info)
    if _CONTENT_TYPES not in archive.namelist():
        return Kind.ARCHIVE
    root = _root(read_member(archive, _CONTENT_TYPES))
    for override in root:
        content_type = override.get("ContentType", "")
        for suffix, kind in _MAIN_PARTS.items():
            if content_type.endswith(suffix):
                return kind
    return Kind.ARCHIVE


def _forbid_dtd(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    named_xml = info.filename.lower().endswith(_XML_SUFFIXES)
    head = read_member(archive, info, 64)
    if not named_xml and not head.lstrip(_MARKS).startswith(_XML_STARTS):
        return
    # A declaration stands before the root element, so reading up to its start tag is enough and stays cheap.
    prolog = read_member(archive, info, _PROLOG_BYTES)
    try:
        for _ in defusedxml.ElementTree.iterparse(io.BytesIO(prolog), events=("start",), forbid_dtd=True):
            return
    except (DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden) as error:
        raise InvalidInput(
            Reason.XML_DTD_FORBIDDEN, "the document has a part with a document type declaration; save it again"
        ) from error
    except (ET.ParseError, ValueError, LookupError) as error:
        if named_xml:
            raise InvalidInput(Reason.PARSE_FAILED, "the document has a damaged XML part; save it again") from error


def _root(content: bytes) -> ET.Element:
    try:
        return defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise InvalidInput(Reason.PARSE_FAILED, "the list of parts is damaged; save the document again") from error
