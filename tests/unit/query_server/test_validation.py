"""Requests are checked before any part is touched."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query_server.handlers.query.validation import check_filter, check_top_k, clean_text
from rag_core.content.documents import In
from rag_core.errors import InvalidInput, Reason
from rag_core.settings import FieldType


def reason_of(call: object, *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidInput) as caught:
        call(*args, **kwargs)  # type: ignore[operator]
    return caught.value.reason


@pytest.mark.catalogue("B04")
def test_top_k_defaults_and_bounds() -> None:
    assert [check_top_k(k, default=7) for k in (None, 1, 100)] == [7, 1, 100]


@pytest.mark.catalogue("B11")
def test_a_lone_surrogate_is_refused() -> None:
    assert reason_of(clean_text, "a\ud800b", limit=100) is Reason.TEXT_INVALID
    assert reason_of(check_filter, In("source", ("\udfff",)), metadata_fields={}) is Reason.TEXT_INVALID


@pytest.mark.catalogue("B12")
def test_control_and_direction_characters_do_not_reach_the_parts() -> None:
    assert clean_text("a\x00b \u202eevil\u202c \x1b[31m", limit=100) == "a b evil  [31m"


@pytest.mark.catalogue("B12")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("source", value) for value in ("a\x00b", "line\nbreak", "\x1b[0m", "\x7f")),
        *(("doc_id", value) for value in ("", "7", "zz", "6ba7b8109dad51d180b400c04fd430c8")),
        ("doc_id", "{6ba7b810-9dad-51d1-80b4-00c04fd430c8}"),
    ],
)
def test_control_characters_in_ids_and_document_ids_that_are_no_uuid_are_refused(field: str, value: str) -> None:
    assert reason_of(check_filter, In(field, (value,)), metadata_fields={}) is Reason.ID_CHARS


@pytest.mark.catalogue("B23")
@pytest.mark.parametrize(
    "text", ["什么是年假?", "🦜🦜", "שלום עולם", "ما هي", "नमस्ते", "👩‍👩‍👧", "x" * 10_000, "C++", "?"]
)
def test_every_script_is_a_query(text: str) -> None:
    assert clean_text(text, limit=10_000) == text


def test_declared_metadata_may_be_filtered_on() -> None:
    check_filter(In("metadata.team", ("people",)), metadata_fields={"team": FieldType.KEYWORD})


@settings(deadline=None)  # a busy machine is not a failure
@given(st.text(alphabet=st.characters(), max_size=100))
def test_any_text_is_cleaned_or_refused(text: str) -> None:
    try:
        cleaned = clean_text(text, limit=50)
    except InvalidInput:
        return
    cleaned.encode("utf-8")
    assert 0 < len(cleaned) <= 50
    assert "\x00" not in cleaned
