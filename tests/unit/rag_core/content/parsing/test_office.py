from __future__ import annotations

import zipfile
from collections.abc import Callable

import pytest

from rag_core.content.parsing import BlockKind, PartKind
from rag_core.errors import Reason
from tests.unit.rag_core.content.parsing import builders
from tests.unit.rag_core.content.parsing.conftest import Read, Refusal, blocks


def test_word_document_keeps_headings_lists_and_tables(read: Read) -> None:
    document = read(builders.word(), "a.docx")
    assert document.title == "年度报告"
    assert document.language == "zh"
    assert blocks(document) == [
        (BlockKind.HEADING, "第一章 概述"),
        (BlockKind.PARAGRAPH, "本文介绍平台。"),
        (BlockKind.HEADING, "Details"),
        (BlockKind.LIST, "- first\n- second"),
        (BlockKind.TABLE, "name | price\napple | 3"),
    ]
    assert [block.level for block in document.blocks if block.kind is BlockKind.HEADING] == [1, 2]


def test_hidden_runs_of_a_word_document_are_left_out_and_flagged(read: Read) -> None:
    document = read(builders.word(hidden="invisible instruction"), "a.docx")
    assert "invisible" not in document.text
    assert document.flags == {"hidden_text"}


def test_word_insertions_are_read_and_deletions_are_not(read: Read) -> None:
    def revise(xml: bytes) -> bytes:
        run = b"<w:r><w:t>%s</w:t></w:r>"
        deleted = b'<w:del w:id="1" w:author="a"><w:r><w:delText>old</w:delText></w:r></w:del>'
        inserted = b'<w:ins w:id="2" w:author="a">' + run % b"new" + b"</w:ins>"
        return xml.replace(b"<w:sectPr", b"<w:p>" + run % b"kept " + deleted + inserted + b"</w:p><w:sectPr", 1)

    document = read(builders.with_member(builders.word(), "word/document.xml", revise), "a.docx")
    assert "kept new" in document.text
    assert "old" not in document.text


def test_slides_give_a_heading_each_with_texts_tables_and_notes(read: Read) -> None:
    document = read(builders.slides(), "a.pptx")
    assert blocks(document) == [
        (BlockKind.HEADING, "Intro"),
        (BlockKind.LIST, "- one\n- two"),
        (BlockKind.PARAGRAPH, "say hello"),
        (BlockKind.HEADING, "Numbers"),
        (BlockKind.TABLE, "key | value\na | 1"),
    ]
    assert document.flags == {"hidden_text"}


def test_workbook_gives_a_heading_per_sheet_and_a_table_per_region(read: Read) -> None:
    document = read(builders.workbook(), "a.xlsx")
    assert blocks(document) == [
        (BlockKind.HEADING, "销售"),
        (BlockKind.TABLE, "name | price\napple | 0.3\n | 7"),
        (BlockKind.TABLE, "other | table"),
    ]
    assert document.flags == {"hidden_text"}


def test_office_formats_are_reported_apart_without_a_name(read: Read) -> None:
    kinds = [read(content).media_type.rsplit(".", 1)[-1] for content in (builders.word(), builders.workbook())]
    assert kinds == ["document", "sheet"]


@pytest.mark.catalogue("B41")
@pytest.mark.parametrize(
    "content",
    [
        lambda: builders.zip_of([("a.txt", bytes(256 * 2**20))]),
        lambda: builders.with_member(builders.word(), "word/document.xml", lambda _: b" " * (150 * 2**20)),
        lambda: builders.nested_zip(5),
        lambda: builders.zip_of(((f"f{number}", b"") for number in range(10_001)), zipfile.ZIP_STORED),
        lambda: builders.zip_of([("inner.zip", builders.zip_of([("a", bytes(120 * 2**20))]))]),
    ],
    ids=["ratio", "office", "depth", "entries", "nested-ratio"],
)
def test_archive_bombs_are_refused_before_they_are_inflated(refusal: Refusal, content: Callable[[], bytes]) -> None:
    made = content()
    assert [refusal(made, name) for name in ("a.docx", "unnamed")] == [Reason.ARCHIVE_BOMB] * 2


@pytest.mark.catalogue("B41")
def test_total_size_counts_all_members_and_nested_archives(refusal: Refusal) -> None:
    stored = builders.zip_of([(f"{n}", bytes([n]) * 400_000) for n in range(4)], zipfile.ZIP_STORED)
    nested = builders.zip_of([("a.zip", stored), ("b", b"x")], zipfile.ZIP_STORED)
    assert refusal(nested, "a", archive_bytes=3_000_000) is Reason.ARCHIVE_BOMB
    assert refusal(nested, "a", archive_bytes=4_000_000) is Reason.ARCHIVE_UNSUPPORTED


def _link() -> zipfile.ZipInfo:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    return link


@pytest.mark.catalogue("B42")
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names", [["../x"], ["/etc/x"], ["a/../../x"], ["C:\\x"], ["..\\x"], ["same", "same"], [_link()]], ids=str
)
def test_members_that_point_outside_or_collide_are_refused(refusal: Refusal, names: list[str]) -> None:
    assert refusal(builders.zip_of((name, b"x") for name in names), "a.docx") is Reason.ARCHIVE_PATH


@pytest.mark.catalogue("B43")
def test_encrypted_archives_and_office_files_are_refused(refusal: Refusal) -> None:
    assert refusal(builders.encrypted_zip(), "a.docx") is Reason.ENCRYPTED
    compound = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(99)
    assert refusal(compound, "a.docx") is Reason.ENCRYPTED


@pytest.mark.catalogue("B47")
@pytest.mark.parametrize(
    ("content", "name", "member"),
    [
        (builders.word(), "a.docx", "[Content_Types].xml"),
        (builders.word(), "a.docx", "word/document.xml"),
        (builders.word(), "a.docx", "word/_rels/document.xml.rels"),
        (builders.word(), "a.docx", "docProps/core.xml"),
        (builders.slides(), "a.pptx", "ppt/presentation.xml"),
        (builders.workbook(), "a.xlsx", "xl/worksheets/sheet1.xml"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_declaration_in_any_part_is_refused(
    refusal: Refusal, content: bytes, name: str, member: str, encoding: str
) -> None:
    def declare(xml: bytes) -> bytes:
        body = xml.split(b"?>", 1)[-1] if xml.startswith(b"<?xml") else xml
        head = f'<?xml version="1.0" encoding="{encoding}"?>{builders.DTD.decode()}'
        return (head + body.decode()).encode(encoding)

    assert refusal(builders.with_member(content, member, declare), name) is Reason.XML_DTD_FORBIDDEN


@pytest.mark.catalogue("B47")
def test_the_check_comes_before_the_type_is_known(refusal: Refusal) -> None:
    part = b"<?xml version='1.0'?>" + builders.DTD + b"<x/>"
    assert refusal(builders.zip_of([("any.xml", part)]), "a.docx") is Reason.XML_DTD_FORBIDDEN
    assert refusal(builders.zip_of([("no-extension", part)]), "a.docx") is Reason.XML_DTD_FORBIDDEN


@pytest.mark.catalogue("B47")
@pytest.mark.parametrize("declaration", [b"<!DOCTYPE x>", b"<!DOCTYPE x SYSTEM 'http://127.0.0.1:9/x.dtd'>"])
def test_a_declaration_without_entities_is_refused_too(refusal: Refusal, declaration: bytes) -> None:
    content = builders.with_member(
        builders.word(), "docProps/core.xml", lambda xml: xml.replace(b"?>", b"?>" + declaration, 1)
    )
    assert refusal(content, "a.docx") is Reason.XML_DTD_FORBIDDEN


@pytest.mark.catalogue("B47")
@pytest.mark.parametrize(
    "document",
    [b"<?xml version='1.0' encoding='UTF-7'?><x/>", b"<x/>"],
    ids=["an encoding that only some parsers know", "a missing part"],
)
def test_what_cannot_be_read_as_a_document_fails_with_a_reason(refusal: Refusal, document: bytes) -> None:
    content = builders.with_member(builders.word(), "word/document.xml", lambda _: document)
    assert refusal(content, "a.docx") is Reason.PARSE_FAILED


@pytest.mark.parametrize("size", [3, 100, 20_000])
def test_truncated_office_files_fail_with_a_reason(refusal: Refusal, size: int) -> None:
    assert refusal(builders.word()[: 4 + size], "a.docx") is Reason.PARSE_FAILED


@pytest.mark.catalogue("B48")
def test_image_bombs_are_refused_by_their_header(refusal: Refusal) -> None:
    assert refusal(builders.png(65_000, 65_000), "a.png") is Reason.IMAGE_BOMB
    assert refusal(builders.png(9_000, 9_000), "a.png", image_pixels=1_000_000) is Reason.IMAGE_BOMB
    assert refusal(builders.png(100, 100), "a.png") is Reason.NEEDS_OCR
    assert refusal(b"<svg><script>alert(1)</script></svg>", "a.svg") is Reason.TYPE_UNSUPPORTED


def test_slides_and_sheets_are_pages_and_lists_keep_their_items(read: Read) -> None:
    slides = read(builders.slides(), "a.pptx")
    assert [block.page for block in slides.blocks] == [1, 1, 1, 2, 2]
    items = [(part.kind, part.level) for part in slides.blocks[1].parts]
    assert items == [(PartKind.ITEM, 0), (PartKind.ITEM, 0)]
    assert {block.page for block in read(builders.workbook(), "a.xlsx").blocks} == {1}
    listed = read(builders.word(), "a.docx").blocks[3]
    assert [part.kind for part in listed.parts] == [PartKind.ITEM, PartKind.ITEM]


def test_pictures_of_office_files_are_read_by_their_description(read: Read) -> None:
    described = "A diagram of how documents reach the index"
    for content, name in (
        (builders.word_with_picture(described), "a.docx"),
        (builders.slide_with_picture(described), "a.pptx"),
    ):
        assert (BlockKind.IMAGE, described) in blocks(read(content, name))
