"""Office Open XML packages: no document type declarations, and which of the three formats it is."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
from typing import Final

import defusedxml.ElementTree
from defusedxml.common import DTDForbidden, EntitiesForbidden, ExternalReferenceForbidden

from rag_core.errors import InvalidInput, Reason
from rag_core.text.archive import read_member
from rag_core.text.detect import Kind

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
    """Which office format a checked archive is; `Kind.ARCHIVE` when none.

    Every XML part is looked at before anything else. Raises `InvalidInput` (`XML_DTD_FORBIDDEN`, `PARSE_FAILED`).
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
