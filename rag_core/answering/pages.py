"""Names for the pages of a document: a presentation has slides, a workbook sheets."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class PageKind(StrEnum):
    """The unit that a page number counts; also the word before it."""

    PAGE = "page"
    SLIDE = "slide"
    SHEET = "sheet"


# Written out: the parsers, which name these types, need libraries that nothing else of an answer does.
_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_KINDS: Final = {
    f"{_OFFICE}presentationml.presentation": PageKind.SLIDE,
    f"{_OFFICE}spreadsheetml.sheet": PageKind.SHEET,
}


def page_kind(media_type: str) -> PageKind:
    """Return the kind of page that documents of this type have."""
    return _KINDS.get(media_type, PageKind.PAGE)
