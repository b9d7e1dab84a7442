"""What the pages of a document are called: a presentation has slides, a workbook sheets."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class PageKind(StrEnum):
    """What the number of a page counts; also the word before it."""

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
    """What the pages of a document of this type are."""
    return _KINDS.get(media_type, PageKind.PAGE)
