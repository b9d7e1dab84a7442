"""Documents for the parser tests, hostile ones too; all built here, none on disk."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable

import docx
import openpyxl
import pptx
from PIL import Image
from pptx.util import Inches
from reportlab.lib import pdfencrypt
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen import canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table, TableStyle

DTD = b'<!DOCTYPE x [<!ENTITY a "b">]>'


def zip_of(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def with_member(document: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """A zip with one member changed."""
    with zipfile.ZipFile(io.BytesIO(document)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    assert name in dict(members)
    return zip_of((member, change(content) if member == name else content) for member, content in members)


def encrypted_zip() -> bytes:
    """The flag of an encrypted member set in both headers."""
    content = bytearray(zip_of([("a.txt", b"hello")], zipfile.ZIP_STORED))
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def nested_zip(depth: int) -> bytes:
    content = b"text"
    for _ in range(depth):
        content = zip_of([("inner.zip", content)], zipfile.ZIP_STORED)
    return content


def word(*, hidden: str = "") -> bytes:
    document = docx.Document()
    document.core_properties.title = "年度报告"
    document.add_heading("第一章 概述", 1)
    paragraph = document.add_paragraph("本文介绍平台。")
    if hidden:
        paragraph.add_run(hidden).font.hidden = True
    document.add_heading("Details", 2)
    document.add_paragraph("first", style="List Bullet")
    document.add_paragraph("second", style="List Bullet")
    table = document.add_table(2, 2)
    for row, cells in zip(table.rows, [("name", "price"), ("apple", "3")], strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    return _saved(document)


def slides() -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Intro"
    slide.placeholders[1].text = "one\ntwo"
    slide.notes_slide.notes_text_frame.text = "say hello"
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Numbers"
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, cells in enumerate([("key", "value"), ("a", "1")]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Backstage"
    slide.element.set("show", "0")
    return _saved(presentation)


def word_with_picture(description: str) -> bytes:
    document = docx.Document()
    document.add_paragraph("Before it.")
    picture = document.add_picture(io.BytesIO(_pixel()), docx.shared.Inches(1))
    picture._inline.docPr.set("descr", description)
    return _saved(document)


def slide_with_picture(description: str) -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Shown"
    picture = slide.shapes.add_picture(io.BytesIO(_pixel()), Inches(1), Inches(1))
    picture._element.nvPicPr.cNvPr.set("descr", description)
    return _saved(presentation)


def _pixel() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "PNG")
    return buffer.getvalue()


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "销售"
    for row in [["name", "price"], ["apple", 0.1 + 0.2], [None, 7], [], ["other", "table"]]:
        sheet.append(row)
    hidden = book.create_sheet("secret")
    hidden.append(["hidden cell"])
    hidden.sheet_state = "hidden"
    return _saved(book)


def pdf(lines: Iterable[str] = ("A line of text.",), *, title: str = "", user_password: str | None = None) -> bytes:
    """One page: a large heading, then the lines."""
    buffer = io.BytesIO()
    encryption = pdfencrypt.StandardEncryption(user_password) if user_password else None
    page = canvas.Canvas(buffer, encrypt=encryption, invariant=1)
    if title:
        page.setTitle(title)
    page.setFont("Helvetica-Bold", 20)
    page.drawString(72, 750, "Large heading")
    page.setFont("Helvetica", 11)
    for number, line in enumerate(lines):
        page.drawString(72, 720 - 14 * number, line)
    page.showPage()
    page.save()
    return buffer.getvalue()


def tables_pdf() -> bytes:
    """Two pages: a ruled table with a long cell, two aligned ones without rules, and a long ruled one."""
    style = getSampleStyleSheet()["Normal"]
    long = Paragraph("The port of the gateway, which is bound on the loopback address only", style)
    ruled = [["Setting", "Default", "Meaning"], ["RAG_PORT", "8080", long], ["RAG_HOME", "", "Where data lies"]]
    prices = [["Name", "Price"], ["apple", "3"], ["pear", "12"], ["cherry", "100"]]
    keys = [["C-a", "move to the start"], ["C-e", "move to the end"], ["C-k", "kill the line"]]
    rows = [["Number", "Square"], *([str(n), str(n * n)] for n in range(60))]
    grid = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, "black")])
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, invariant=1).build(
        [
            Paragraph("Prose before the tables.", style),
            Table(ruled, colWidths=[100, 60, 200], style=grid),
            Paragraph("Prose between the tables.", style),
            Table(prices, colWidths=[100, 60], style=[("ALIGN", (1, 0), (-1, -1), "RIGHT")]),
            Paragraph("Keys that edit a line:", style),
            Table(keys, colWidths=[60, 200]),
            Paragraph("Squares:", style),
            Table(rows, colWidths=[100, 100], style=grid),
        ]
    )
    return buffer.getvalue()


def columns_pdf() -> bytes:
    """A title over two columns of prose, whose lines stand in the file row by row."""
    buffer = io.BytesIO()
    page = canvas.Canvas(buffer, invariant=1)
    page.setFont("Helvetica-Bold", 16)
    page.drawString(72, 780, "A title over both columns")
    page.setFont("Times-Roman", 10)
    for line in range(12):
        page.drawString(72, 740 - 12 * line, f"left column line {chr(97 + line)} says something and continues")
        page.drawString(320, 740 - 12 * line, f"right column line {chr(97 + line)} says other things at length")
    page.showPage()
    page.save()
    return buffer.getvalue()


def pdf_of(contents: bytes, *, extra: bytes = b"") -> bytes:
    """A PDF by hand: one page with this Flate content stream, and further entries of the catalogue."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R" + extra + b">>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Filter/FlateDecode/Length %d>>stream\n" % len(contents) + contents + b"\nendstream",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out = b"%PDF-1.7\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    return out + trailer % len(out)


def inflating(megabytes: int) -> bytes:
    """A Flate stream of spaces, about a thousandth of its inflated size."""
    compressor = zlib.compressobj(9)
    pieces = [compressor.compress(b" " * 1024 * 1024) for _ in range(megabytes)]
    return b"".join(pieces) + compressor.flush()


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()
