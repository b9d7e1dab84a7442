"""Pages as pictures: where the cited words are marked, what is bounded, and what a page cannot be drawn of."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pypdf
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from rag_core.content.parsing import Kind, PageImage, Pages, checked_image, open_pages
from rag_core.content.parsing.pages.image import find_quote, words_of
from rag_core.errors import InvalidInput, Reason
from rag_core.settings import Settings
from tests.unit.rag_core.content.parsing import builders
from tests.unit.rag_core.content.parsing.test_ocr import pdf, picture, png

SIZE = (600, 800)
LINES = (
    "The platform keeps every document.", "Deletions are held when more than a fifth",
    "of a source is gone, until an opera-", "tor approves them.", "Nothing else is held.",
)  # fmt: skip
QUOTE = "Deletions are held when more than a fifth of a source is gone, until an operator approves them."


def page_of(*lines: str) -> bytes:
    """A page with lines 40 points apart, the first 100 points below its upper edge."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=SIZE)
    canvas.setFont("Helvetica", 20)
    for number, line in enumerate(lines):
        canvas.drawString(60, SIZE[1] - 100 - 40 * number, line)
    canvas.showPage()
    canvas.drawString(60, 700, "The second page.")
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def turned(content: bytes, degrees: int) -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(content))
    for page in writer.pages:
        page.rotate(degrees)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    with closing(open_pages(Settings(_env_file=None))) as made:
        yield made


def draw(pages: Pages, content: bytes, quote: str = "", page: int = 1, kind: Kind = Kind.PDF) -> PageImage:
    return pages.draw(content, kind=kind, page=page, quote=quote)


def test_the_cited_words_are_marked_line_by_line_over_hyphens_and_nothing_else(pages: Pages) -> None:
    image = draw(pages, page_of(*LINES), QUOTE)
    assert (image.pages, len(image.marks)) == (2, 3)
    middles = [(mark.top + mark.bottom) / 2 * SIZE[1] for mark in image.marks]
    assert middles == pytest.approx([100 + 40 * number - 5 for number in (1, 2, 3)], abs=6)
    assert all(mark.left == pytest.approx(60 / SIZE[0], abs=0.02) for mark in image.marks)
    shown = Image.open(io.BytesIO(image.content)).convert("RGB")
    assert shown.size == (image.width, image.height)
    blue = [shown.getpixel((int(0.5 * (m.left + m.right) * shown.width), int((m.top + 0.002) * shown.height)))[2]
            for m in image.marks]  # fmt: skip
    assert max(blue) < 160, "marked: yellow"
    assert shown.getpixel((5, 5)) == pytest.approx((255, 255, 255), abs=3)


@pytest.mark.parametrize(
    ("degrees", "middle"), [(90, (1 - 95 / 800, 0.36)), (180, (1 - 0.36, 1 - 95 / 800)), (270, (95 / 800, 1 - 0.36))]
)
def test_a_page_that_is_turned_is_marked_where_its_words_are_seen(
    pages: Pages, degrees: int, middle: tuple[float, float]
) -> None:
    [mark] = draw(pages, turned(page_of(*LINES), degrees), LINES[0]).marks
    assert ((mark.left + mark.right) / 2, (mark.top + mark.bottom) / 2) == pytest.approx(middle, abs=0.02)


def test_a_page_shows_what_a_span_has_on_it_and_a_page_without_it_has_no_mark(pages: Pages) -> None:
    content = page_of(*LINES)
    across = draw(pages, content, f"{LINES[4]} The second page. And more of it elsewhere.", page=2)
    assert len(across.marks) == 1
    assert draw(pages, content, QUOTE, page=2).marks == ()
    assert draw(pages, content).marks == ()


def test_a_picture_is_never_larger_than_its_bounds(pages: Pages) -> None:
    noise = Image.effect_noise((5000, 4000), 120)
    image = draw(pages, png(noise), kind=Kind.IMAGE)
    assert image.width * image.height <= 1_800_000
    assert len(image.content) <= 2_000_000
    wide = io.BytesIO()
    canvas = Canvas(wide, pagesize=(14_000, 14_000))
    canvas.drawString(60, 60, "A poster.")
    canvas.save()
    assert draw(pages, wide.getvalue()).width <= 1342


@pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="needs rapidocr")
def test_on_a_scan_the_recognized_words_are_marked(pages: Pages) -> None:
    image = draw(pages, pdf(picture("Pump seven needs oil.")), "Pump seven needs oil.")
    [mark] = image.marks
    assert mark.left < 0.1
    assert 0.3 < (mark.top + mark.bottom) / 2 < 0.6


@pytest.mark.parametrize(
    ("content", "kind", "page", "reason"),
    [
        (lambda: page_of("One."), Kind.PDF, 3, Reason.PAGE_NOT_FOUND),
        (lambda: png(picture("One.")), Kind.IMAGE, 2, Reason.PAGE_NOT_FOUND),
        (lambda: b"# no pages", Kind.MARKDOWN, 1, Reason.PAGES_UNSUPPORTED),
        (lambda: b"%PDF-1.7 but no more", Kind.PDF, 1, Reason.PARSE_FAILED),
        (lambda: b"\x89PNG\r\n\x1a\n cut", Kind.IMAGE, 1, Reason.TYPE_UNSUPPORTED),
        (lambda: builders.png(65_000, 65_000), Kind.IMAGE, 1, Reason.IMAGE_BOMB),
        (lambda: builders.pdf(user_password="secret"), Kind.PDF, 1, Reason.ENCRYPTED),
        (lambda: builders.pdf_of(builders.inflating(100)), Kind.PDF, 1, Reason.PDF_LIMIT),
    ],
    ids=["beyond the last", "one picture", "no pages", "damaged", "cut", "bomb", "password", "inflating"],
)
def test_what_cannot_be_drawn_is_refused_by_its_reason(
    pages: Pages, content: Callable[[], bytes], kind: Kind, page: int, reason: Reason
) -> None:
    with pytest.raises(InvalidInput) as refused:
        draw(pages, content(), "x", page, kind)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "wrong",
    [{"marks": [[0, 0, 2, 1]]}, {"marks": [[float("nan")] * 4]}, {"width": -5, "height": -5}, {"width": 10**6},
     {"pages": 0}, {"marks": [[0, 0, 1, 1]] * 401}],
)  # fmt: skip
def test_a_picture_of_a_sandbox_that_was_taken_over_is_not_believed(wrong: dict[str, Any]) -> None:
    header = {"width": 10, "height": 10, "pages": 1, "marks": [[0, 0, 0.5, 0.5]]}
    assert checked_image(header, b"\xff\xd8\xff").width == 10
    with pytest.raises(ValueError):  # noqa: PT011  of the fields; the pool makes it one error
        checked_image(header | wrong, b"\xff\xd8\xff")
    with pytest.raises(ValueError, match="content"):
        checked_image(header, b"<svg onload=alert(1)>")


def test_chinese_is_found_by_its_characters_whatever_breaks_its_lines() -> None:
    page = words_of("第一章\n租户与权限来自\n令牌，而不是请求。\n别的内容。")
    [(start, end)] = find_quote(page, words_of("租户与权限来自令牌，而不是请求。"))
    assert "".join(word.key for word in page[start:end]) == "租户与权限来自令牌而不是请求"
