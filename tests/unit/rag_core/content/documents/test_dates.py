"""The date of a document, from what the document or its source says of itself."""

from __future__ import annotations

import pytest

from rag_core.content.documents import document_date, parse_date


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01 10:00:00 +0200", "2024-05-01T08:00:00+00:00"),
        ("Wed, 01 May 2024 10:00:00 GMT", "2024-05-01T10:00:00+00:00"),
        ("D:20240501103000+02'00'", "2024-05-01T00:00:00+00:00"),
        ("2024/5/1", "2024-05-01T00:00:00+00:00"),
        ("2024-05", "2024-05-01T00:00:00+00:00"),
    ],
)
def test_dates_are_read_as_front_matter_http_and_pdf_write_them(text: str, date: str) -> None:
    found = parse_date(text)
    assert found is not None
    assert found.isoformat() == date


@pytest.mark.parametrize("text", ["", "soon", "2024", "2024-13-01", "2024-02-30", "D:2024", "9" * 400, "\0", "-" * 64])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_what_changed_last_counts_and_the_header_of_a_server_only_without_a_date_of_the_document() -> None:
    header = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    assert str(document_date({"date": "2020-01-01", "lastmod": "2022-01-01"} | header))[:4] == "2022"
    assert str(document_date({"date": "2020-01-01"} | header))[:4] == "2020"
    assert str(document_date({"date": "some day"} | header))[:4] == "2026"
    assert document_date({"title": "2020-01-01"}) is None
