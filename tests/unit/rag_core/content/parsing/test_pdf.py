from __future__ import annotations

import io
import zlib

import pypdf
import pytest
from reportlab.pdfgen import canvas

from rag_core.content.parsing import BlockKind
from rag_core.errors import Reason
from tests.unit.rag_core.content.parsing import builders
from tests.unit.rag_core.content.parsing.conftest import Read, Refusal

PROSE = ["This paragraph continues over several", "lines, and they belong to-", "gether."]


def book(pages: int, *, bookmarks: bool) -> bytes:
    """Pages with a running header, a page number, and a chapter title no larger than the body."""
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, invariant=1)
    for number in range(1, pages + 1):
        if bookmarks:
            page.bookmarkPage(f"p{number}")
            page.addOutlineEntry(f"Chapter {number}", f"p{number}", 0)
        page.setFont("Helvetica", 11)
        page.drawString(72, 800, "Manual of Everything")
        page.drawString(72, 760, f"Chapter {number}")
        for line in range(6):
            page.drawString(72, 720 - 14 * line, f"words of chapter {number} line {line}")
        page.drawString(300, 20, str(number))
        page.showPage()
    page.save()
    return buffer.getvalue()


def test_lines_become_paragraphs_and_large_type_a_heading(read: Read) -> None:
    document = read(builders.pdf(PROSE, title="Report 2024"), "a.pdf")
    assert document.title == "Report 2024"
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        (BlockKind.HEADING, "Large heading"),
        (BlockKind.PARAGRAPH, "This paragraph continues over several lines, and they belong together."),
    ]
    assert document.metadata["pages"] == "1"


def test_title_falls_back_to_what_stands_out_on_the_first_page(read: Read) -> None:
    assert read(builders.pdf(PROSE), "scan0001.pdf").title == "Large heading"
    assert read(builders.pdf(PROSE, title="Microsoft Word - x.doc"), "a.pdf").title == "Large heading"


def test_outline_makes_headings_of_lines_that_look_like_any_other(read: Read) -> None:
    document = read(book(3, bookmarks=True), "a.pdf")
    headings = [document.text[block.start : block.end] for block in document.blocks if block.kind is BlockKind.HEADING]
    assert headings == ["Chapter 1", "Chapter 2", "Chapter 3"]


def test_running_headers_stay_once_and_page_numbers_go(read: Read) -> None:
    text = read(book(6, bookmarks=True), "a.pdf").text
    assert text.count("Manual of Everything") == 1
    assert [line for line in text.split("\n") if line.strip().isdigit()] == []
    assert all(f"words of chapter {number} line 5" in text for number in range(1, 7))


def test_rows_of_dots_are_not_read(read: Read) -> None:
    text = read(builders.pdf(["1.1 Getting started . . . . . . . . . 12", "Real text."]), "a.pdf").text
    assert text == "Large heading\n\nReal text."


@pytest.mark.catalogue("B43")
def test_a_pdf_with_a_password_is_refused(refusal: Refusal) -> None:
    assert refusal(builders.pdf(user_password="secret"), "a.pdf") is Reason.ENCRYPTED


@pytest.mark.catalogue("B44")
def test_a_flate_bomb_is_refused_by_the_limit(refusal: Refusal) -> None:
    content = builders.pdf_of(builders.inflating(400))
    assert len(content) < 500_000
    assert refusal(content, "a.pdf") is Reason.PDF_LIMIT


@pytest.mark.catalogue("B44")
def test_a_bomb_in_a_form_or_font_map_is_refused_too(refusal: Refusal) -> None:
    reader = pypdf.PdfReader(io.BytesIO(builders.pdf()))
    for place, subtype in (("/XObject", "/Form"), ("/Font", None)):
        writer = pypdf.PdfWriter(clone_from=reader)
        stream = pypdf.generic.EncodedStreamObject()
        stream[pypdf.generic.NameObject("/Filter")] = pypdf.generic.NameObject("/FlateDecode")
        stream._data = builders.inflating(80)
        holder: pypdf.generic.DictionaryObject = stream
        if subtype:
            stream[pypdf.generic.NameObject("/Subtype")] = pypdf.generic.NameObject(subtype)
        else:
            holder = pypdf.generic.DictionaryObject(
                {pypdf.generic.NameObject("/ToUnicode"): writer._add_object(stream)}
            )
        resources = writer.pages[0]["/Resources"]
        entries = pypdf.generic.DictionaryObject({pypdf.generic.NameObject("/X"): writer._add_object(holder)})
        resources[pypdf.generic.NameObject(place)] = entries
        buffer = io.BytesIO()
        writer.write(buffer)
        assert refusal(buffer.getvalue(), "a.pdf") is Reason.PDF_LIMIT


def test_limits_on_pages_and_text_have_their_reasons(refusal: Refusal) -> None:
    assert refusal(book(6, bookmarks=False), "a.pdf", pdf_pages=5) is Reason.PDF_LIMIT
    assert refusal(book(6, bookmarks=False), "a.pdf", max_text_chars=300) is Reason.TEXT_TOO_LARGE


@pytest.mark.catalogue("B46")
def test_scripts_attachments_and_links_are_neither_run_nor_read(read: Read) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(builders.pdf(["visible"])))
    writer.add_open_action(pypdf.actions.JavaScript("app.launchURL('http://127.0.0.1:9/');"))
    writer.add_attachment("secret.txt", b"attached text")
    buffer = io.BytesIO()
    writer.write(buffer)
    document = read(buffer.getvalue(), "a.pdf")
    assert document.text == "Large heading\n\nvisible"


@pytest.mark.catalogue("B46")
def test_xfa_with_an_external_entity_is_ignored(read: Read) -> None:
    xfa = b'/AcroForm<</XFA(<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>)>>'
    content = zlib.compress(b"BT /F1 12 Tf 72 700 Td (page text) Tj ET")
    assert read(builders.pdf_of(content, extra=xfa), "a.pdf").text == "page text"


def test_a_damaged_pdf_fails_with_a_reason(refusal: Refusal) -> None:
    assert refusal(b"%PDF-1.7\n" + b"x" * 1000, "a.pdf") is Reason.PARSE_FAILED
    assert refusal(builders.pdf()[:600], "a.pdf") is Reason.PARSE_FAILED
