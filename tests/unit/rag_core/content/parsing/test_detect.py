from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rag_core.content.parsing.detect import Kind, detect, extension
from rag_core.errors import Reason
from tests.unit.rag_core.content.parsing import builders
from tests.unit.rag_core.content.parsing.conftest import Read, Refusal

HTML = b"<!DOCTYPE html><html><body><p>text</p></body></html>"
EXECUTABLE = Path(sys.executable).resolve().read_bytes()[:65536]


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"plain words", "LICENSE", Kind.TEXT),
        (b"plain words", "setup.cfg", Kind.TEXT),
        (b"plain words", "index.rst", Kind.RST),
        (b"# title", "a.MD", Kind.MARKDOWN),
        (b"<p>fragment</p>", "a.htm", Kind.HTML),
        (HTML, "no-extension", Kind.HTML),
        (b"<?xml version='1.0'?>\n<!-- x -->\n" + HTML, "page.aspx", Kind.HTML),
        (HTML.decode().encode("utf-16"), "page", Kind.HTML),
        (b"a,b\n1,2", "a.tsv", Kind.CSV),
        (b"{}", "https://host/a.json?x=1.txt#y", Kind.JSON),
        (b"{}\n{}", "a.ndjson", Kind.JSONL),
        (b"Metadata-Version: 2.1\nName: x\n", "METADATA", Kind.PACKAGE),
        (builders.pdf(), "unnamed", Kind.PDF),
        (b"junk\n" + builders.pdf(), "a.pdf", Kind.PDF),
        (b"a text that mentions %PDF- early", "a.txt", Kind.TEXT),
        (b"nul \x00 once in a longer text", "a.txt", Kind.TEXT),
    ],
)
def test_kind_is_reported_by_content_and_text_kinds_by_name(content: bytes, name: str, kind: Kind) -> None:
    assert detect(content, name=name) is kind


def test_media_type_of_the_source_tells_text_kinds_apart_when_the_name_does_not() -> None:
    assert detect(b"# title", name="page", media_type="text/markdown; charset=utf-8") is Kind.MARKDOWN
    assert detect(b"# title", name="page.txt", media_type="text/markdown") is Kind.TEXT


@pytest.mark.catalogue("B32")
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (EXECUTABLE, "report.pdf"),
        (EXECUTABLE, "notes.txt"),
        (HTML, "notes.txt"),
        (HTML, "error-page.pdf"),
        (b"just text", "report.pdf"),
        (b"just text", "letter.docx"),
        (builders.word(), "letter.pdf"),
        (builders.word(), "letter.txt"),
        (builders.word(), "table.xlsx"),
        (builders.zip_of([("a", b"b")]), "letter.docx"),
        (builders.pdf(), "letter.docx"),
        (builders.png(2, 2), "scan.pdf"),
        (b"\x1f\x8b\x08" + bytes(20), "data.csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "letter.docx"),
    ],
)
def test_content_other_than_the_name_promises_is_a_mismatch(refusal: Refusal, content: bytes, name: str) -> None:
    assert refusal(content, name) is Reason.TYPE_MISMATCH


@pytest.mark.catalogue("B39")
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (EXECUTABLE, "program"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>", "drawing.svg"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Thumbs.db"),
        (bytes(range(32)) * 100, "blob"),
        (b"PAR1" + bytes(64) + b"PAR1", "table.parquet"),
        (b"PAR1" + bytes(64), "cut.parquet"),
    ],
)
def test_what_is_not_read_is_refused_as_unsupported(refusal: Refusal, content: bytes, name: str) -> None:
    assert refusal(content, name) is Reason.TYPE_UNSUPPORTED


@pytest.mark.parametrize("name", ["letter.doc", "plan.XLS", "letter"])
def test_an_office_file_of_before_2007_is_named(refusal: Refusal, name: str) -> None:
    assert refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), name) is Reason.OFFICE_FORMAT_OLD


_ENTRY = b"PK\x01\x02\x14\x03\x14\x00"
"""Of the directory of a zip; the byte after it says whether a password is needed."""
_ZIP = builders.zip_of([("a", b"b" * 99)])


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (_ZIP, "bundle.zip"),
        (_ZIP[:40] + bytes(8) + _ZIP[48:], "damaged.zip"),
        (_ZIP[:60], "cut.zip"),
        (_ZIP.replace(_ENTRY + b"\x00", _ENTRY + b"\x01"), "locked.zip"),
        (b"\x1f\x8b\x08" + bytes(20), "data.gz"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(20), "data.7z"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # a zip holds the time of its making
)
def test_an_archive_is_to_be_unpacked_whatever_is_wrong_with_it(refusal: Refusal, content: bytes, name: str) -> None:
    assert refusal(content, name) is Reason.ARCHIVE_UNSUPPORTED


@pytest.mark.catalogue("B28")
@pytest.mark.parametrize("content", [b"", b" \n\t \r\n", b"\xef\xbb\xbf", "\u200b\u2060".encode()])
def test_only_a_file_without_bytes_is_empty(refusal: Refusal, content: bytes) -> None:
    assert refusal(content, "a.txt") is (Reason.NO_TEXT if content else Reason.EMPTY_DOCUMENT)


@pytest.mark.catalogue("B28")
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<html><body><script>x</script></body></html>", "a.html"),
        (b"[]", "a.json"),
        (b"\n\n", "a.csv"),
        (b"![picture](x.png)", "a.md"),
    ],
)
def test_a_format_without_extractable_text_says_so(refusal: Refusal, content: bytes, name: str) -> None:
    assert refusal(content, name) is Reason.NO_TEXT


@pytest.mark.catalogue("A30")
@pytest.mark.parametrize(
    ("content", "name"), [(builders.pdf_of(builders.inflating(1)), "scan.pdf"), (builders.png(2, 2), "photo.png")]
)
def test_what_looks_like_a_scan_asks_for_character_recognition(refusal: Refusal, content: bytes, name: str) -> None:
    assert refusal(content, name) is Reason.NEEDS_OCR


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a/b.PDF", "pdf"), ("a.b/c", ""), (".bashrc", ""), ("c:\\x\\y.md", "md"), ("http://h/p.html?q=a.b#c.d", "html")],
)
def test_extension_is_that_of_the_last_segment(name: str, expected: str) -> None:
    assert extension(name) == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("docs/searchindex.js", b'Search.setIndex({"titles": ["Going on vacation"]})'),
        ("search/search_index.json", b'{"docs": [{"title": "Home", "text": "Welcome"}]}'),
        ("https://example.org/search-index-docs-en.json?v=3", b'{"documents": [{"t": "Home"}]}'),
        ("searchindex-3f21ab.js", b"window.search = {}"),
        ("offline-search-index.0a1b.json", b'[{"ref": "/docs"}]'),
        ("assets/js/search-data.json", b'{"0": {"title": "Home"}}'),
        ("assets/site.min.js", b"var a=1;" * 1000),
        ("assets/site.css", b"a{b:c}" * 1000),
    ],
)
def test_what_a_site_has_for_programs_is_no_document(refusal: Refusal, name: str, content: bytes) -> None:
    assert refusal(content, name) is Reason.TYPE_UNSUPPORTED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("search.js", b"// Finds a page.\nfunction find(page) {}\n"),
        ("research-index.json", b'{"year": 2024, "papers": 3}'),
        ("export.json", b'{"text": "' + b"One long line of data. " * 500 + b'"}'),
        ("notes.txt", b"One paragraph on one line. " * 500),
    ],
)
def test_scripts_and_data_that_somebody_wrote_are_documents(read: Read, name: str, content: bytes) -> None:
    assert read(content, name).text
