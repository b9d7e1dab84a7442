"""One page to a picture with the cited words marked, in the sandbox."""

from __future__ import annotations

import ctypes
import importlib.util
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing
from difflib import Match, SequenceMatcher
from itertools import pairwise
from typing import Any, Final, NamedTuple

import pypdfium2
from PIL import Image, ImageChops, ImageDraw
from pypdfium2 import raw as pdfium

from rag_core.content.parsing.base import ParseLimits
from rag_core.content.parsing.detect import Kind
from rag_core.content.parsing.formats.image import count_frames, read_frame
from rag_core.content.parsing.pages.values import MAX_BYTES, MAX_MARKS, MAX_PIXELS, PAGED, Mark, PageImage
from rag_core.errors import InvalidInput, RagError, Reason

_WORD: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff]|[^\\W_\u3400-\u9fff\uf900-\ufaff]+")
_LEAST: Final = 3
"""Words in a row that are the quote and no accident, unless the quote has fewer."""
_GAP: Final = 2
"""Words between two parts of the quote that belong to it: one that is hyphenated, or read in another way."""
_MOST_WORDS: Final = 20_000


class Word(NamedTuple):
    """A word, or a character of a script without spaces; `text[start:end]` of the text it was found in."""

    key: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """The words of a text in its order, the first 20,000."""
    found = []
    for match in _WORD.finditer(text):
        found.append(Word(unicodedata.normalize("NFKC", match[0]).casefold(), *match.span()))
        if len(found) == _MOST_WORDS:
            break
    return found


def find_quote(page: Sequence[Word], quote: Sequence[Word]) -> list[tuple[int, int]]:
    """Spans of `page` (positions of words, end exclusive) that hold the quote or parts of it."""
    matcher = SequenceMatcher(None, [word.key for word in page], [word.key for word in quote], autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    near = [_are_near(before, after) for before, after in pairwise(blocks)]
    groups: list[list[Match]] = []
    for number, block in enumerate(blocks):
        if number and near[number - 1]:
            groups[-1].append(block)
        else:
            groups.append([block])
    least = min(_LEAST, len(quote))
    return [(group[0].a, group[-1].a + group[-1].size) for group in groups
            if max(block.size for block in group) >= least]  # fmt: skip


def _are_near(before: Match, after: Match) -> bool:
    return after.a - before.a - before.size <= _GAP and after.b - before.b - before.size <= _GAP


_DPI: Final = 150
_POINTS: Final = 72
_QUALITIES: Final = (85, 60, 30)
_MARKER: Final = (255, 226, 102)
_MARGIN: Final = 0.12
"""Share of a line's height that is marked around its words."""
_MOST_CHARS: Final = 100_000


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float


def page_image(content: bytes, kind: Kind, page: int, quote: str, limits: ParseLimits) -> PageImage:
    """The page, counted from 1, as a picture.

    Raises `InvalidInput`: `PAGES_UNSUPPORTED`, `PAGE_NOT_FOUND`, `ENCRYPTED`, `PDF_LIMIT`, `IMAGE_BOMB`,
    `PARSE_FAILED`.
    """
    if kind not in PAGED:
        raise InvalidInput(Reason.PAGES_UNSUPPORTED, "documents of this format have no pages that can be shown")
    draw = _of_pdf if kind is Kind.PDF else _of_picture
    try:
        image, boxes, pages = draw(content, page, quote, limits)
    except (RagError, MemoryError, ImportError):
        raise
    except Exception as error:  # as in `parse`: no library of a format documents all that it raises on damaged files
        raise InvalidInput(
            Reason.PARSE_FAILED, f"this page is damaged and cannot be drawn ({type(error).__name__}); save it again"
        ) from error
    marks = list(_marks(boxes, image.size))[:MAX_MARKS]
    return PageImage(_jpeg(_marked(image, marks)), image.width, image.height, pages, tuple(marks))


def _of_pdf(content: bytes, number: int, quote: str, limits: ParseLimits) -> tuple[Image.Image, list[Box], int]:
    from rag_core.content.parsing.formats.pdf import open_pdf, require_bounded_streams

    with closing(open_pdf(content)) as document:
        pages = _require_page(number, len(document))
        require_bounded_streams(content, limits)
        page = document[number - 1]
        width, height = page.get_size()
        scale = min(_DPI / _POINTS, (MAX_PIXELS / max(width * height, 1)) ** 0.5)
        image = _smaller(page.render(scale=scale).to_pil().convert("RGB"))
        boxes = _boxes_of_text(page, image.size, quote)
        return image, boxes if boxes is not None else _boxes_of_scan(image, quote), pages


def _of_picture(content: bytes, number: int, quote: str, limits: ParseLimits) -> tuple[Image.Image, list[Box], int]:
    pages = _require_page(number, count_frames(content, limits))
    frame = read_frame(content, number, limits)
    if frame is None:
        raise _no_page(pages)
    image = _smaller(frame.convert("RGB"))
    return image, _boxes_of_scan(image, quote), pages


def _require_page(number: int, pages: int) -> int:
    if number > pages:
        raise _no_page(pages)
    return pages


def _no_page(pages: int) -> InvalidInput:
    return InvalidInput(Reason.PAGE_NOT_FOUND, f"page: the document has {pages}")


def _smaller(image: Image.Image) -> Image.Image:
    pixels = image.width * image.height
    if pixels <= MAX_PIXELS:
        return image
    scale = (MAX_PIXELS / pixels) ** 0.5
    return image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))


# --------------------------------------------------------------------------------------------------------------------
# Places of words.


def _boxes_of_text(page: pypdfium2.PdfPage, size: tuple[int, int], quote: str) -> list[Box] | None:
    """The cited words of a text layer; `None` where a page has none."""
    with closing(page.get_textpage()) as text_page:
        count = min(text_page.count_chars(), _MOST_CHARS)
        text = "".join(chr(pdfium.FPDFText_GetUnicode(text_page, at) or 32) for at in range(count))
        words = words_of(text)
        if not words:
            return None
        found = [word for start, end in find_quote(words, words_of(quote)) for word in words[start:end]]
        chars = [at for word in found for at in range(word.start, word.end)]
        return [box for at in chars if (box := _char_box(page, text_page, at, size))]


def _char_box(page: pypdfium2.PdfPage, text_page: pypdfium2.PdfTextPage, at: int, size: tuple[int, int]) -> Box | None:
    """A character as it is drawn: PDFium knows of the page's rotation and of its crop box."""
    rectangle = pdfium.FS_RECTF()
    if not pdfium.FPDFText_GetLooseCharBox(text_page, at, rectangle):
        return None
    corners = [_pixel(page, size, x, y) for x in (rectangle.left, rectangle.right)
               for y in (rectangle.top, rectangle.bottom)]  # fmt: skip
    xs, ys = zip(*corners, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _pixel(page: pypdfium2.PdfPage, size: tuple[int, int], x: float, y: float) -> tuple[int, int]:
    left, top = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, left, top)
    return left.value, top.value


def _boxes_of_scan(image: Image.Image, quote: str) -> list[Box]:
    """The cited words of a picture of text, where character recognition is installed."""
    if not quote or importlib.util.find_spec("rapidocr") is None:
        return []
    from rag_core.content.parsing.ocr.engine import recognize_lines

    text, places = "", []
    for box, line in recognize_lines(image):
        places.append((len(text), len(text) + len(line), box))
        text += line + "\n"
    words = words_of(text)
    spans = [(words[start].start, words[end - 1].end) for start, end in find_quote(words, words_of(quote))]
    return [part for span in spans for part in _parts_of_lines(places, *span)]


def _parts_of_lines(places: Sequence[tuple[int, int, Any]], start: int, end: int) -> Iterator[Box]:
    """The part of each line that a span of the text covers, by its share of the characters."""
    for first, last, corners in places:
        begin, stop = max(start, first), min(end, last)
        if begin < stop:
            (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
            step = (right - left) / (last - first)
            yield Box(left + step * (begin - first), top, left + step * (stop - first), bottom)


# --------------------------------------------------------------------------------------------------------------------
# The marker pen.


def _marks(boxes: Sequence[Box], size: tuple[int, int]) -> Iterator[Mark]:
    """A mark for each run of boxes that stand on one line, within the picture."""
    width, height = size
    for box in _lines(boxes):
        margin = _MARGIN * (box.bottom - box.top)
        sides = [(box.left - margin) / width, (box.top - margin) / height,
                 (box.right + margin) / width, (box.bottom + margin) / height]  # fmt: skip
        left, top, right, bottom = (min(max(float(side), 0.0), 1.0) for side in sides)
        if left < right and top < bottom:
            yield Mark(left, top, right, bottom)


def _lines(boxes: Sequence[Box]) -> Iterator[Box]:
    across = _runs_across(boxes)
    line: Box | None = None
    for box in boxes:
        if line is not None and _follows(line, box, across=across):
            line = Box(min(line.left, box.left), min(line.top, box.top),
                       max(line.right, box.right), max(line.bottom, box.bottom))  # fmt: skip
            continue
        if line is not None:
            yield line
        line = box
    if line is not None:
        yield line


def _runs_across(boxes: Sequence[Box]) -> bool:
    """Return whether characters stand beside each other rather than above, as on a page that is turned."""
    steps = [(abs(box.left - before.left), abs(box.top - before.top)) for before, box in pairwise(boxes)]
    return 2 * sum(dx >= dy for dx, dy in steps) >= len(steps)


def _follows(line: Box, box: Box, *, across: bool) -> bool:
    """Return whether a box stands on the same line, a space away at most."""
    if not across:
        line, box = (Box(each.top, each.left, each.bottom, each.right) for each in (line, box))
    height = max(box.bottom - box.top, 1)
    common = min(line.bottom, box.bottom) - max(line.top, box.top)
    gap = max(box.left - line.right, line.left - box.right)
    return common > 0.5 * height and gap < 1.5 * height


def _marked(image: Image.Image, marks: Sequence[Mark]) -> Image.Image:
    """The picture under a marker pen: what is dark remains readable."""
    if not marks:
        return image
    pen = Image.new("RGB", image.size, (255, 255, 255))
    draw = ImageDraw.Draw(pen)
    for mark in marks:
        left, top, right, bottom = mark.astuple()
        draw.rectangle(
            (left * image.width, top * image.height, right * image.width, bottom * image.height), fill=_MARKER
        )
    return ImageChops.multiply(image, pen)


def _jpeg(image: Image.Image) -> bytes:
    content = b""
    for quality in _QUALITIES:
        out = io.BytesIO()
        image.save(out, "JPEG", quality=quality, optimize=False)
        content = out.getvalue()
        if len(content) <= MAX_BYTES:
            break
    return content
