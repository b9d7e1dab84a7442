"""A picture of a page, and what may be asked for and what may come back: the sandbox that makes it is not trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rag_core.content.parsing.detect import Kind

MAX_PIXELS: Final = 1_800_000
"""A page of A4 at about 135 dpi."""
MAX_BYTES: Final = 2_000_000
"""A page of noise at the quality that is used has 1.5 MB."""
MAX_QUOTE_CHARS: Final = 8_000
MAX_MARKS: Final = 400
PAGED: Final = frozenset({Kind.PDF, Kind.IMAGE})
"""Kinds whose pages can be shown."""
_START: Final = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class Mark:
    """The place of cited words on a line, in shares of the picture's width and height, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def astuple(self) -> tuple[float, float, float, float]:
        return self.left, self.top, self.right, self.bottom


@dataclass(frozen=True, slots=True)
class PageImage:
    """A page as a JPEG in which the marks are drawn. `pages` is the number of pages of the document."""

    content: bytes
    width: int
    height: int
    pages: int
    marks: tuple[Mark, ...] = ()

    def header(self) -> dict[str, Any]:
        """Everything but the picture, as JSON."""
        marks = [[round(side, 5) for side in mark.astuple()] for mark in self.marks]
        return {"width": self.width, "height": self.height, "pages": self.pages, "marks": marks}


def checked_image(fields: Mapping[str, Any], content: bytes) -> PageImage:
    """The picture of `PageImage.header` and its bytes. Raises `ValueError`, `KeyError` or `TypeError` for another."""
    width, height, pages = (int(fields[name]) for name in ("width", "height", "pages"))
    marks = tuple(Mark(*map(float, sides)) for sides in fields["marks"])
    sides = [side for mark in marks for side in mark.astuple()]
    if not (0 < width * height <= MAX_PIXELS and width > 0 and 0 < pages < 10**7 and len(marks) <= MAX_MARKS):
        raise ValueError("sizes")
    if not all(math.isfinite(side) and 0 <= side <= 1 for side in sides):
        raise ValueError("marks")
    if not content.startswith(_START) or len(content) > MAX_BYTES:
        raise ValueError("content")
    return PageImage(content, width, height, pages, marks)
