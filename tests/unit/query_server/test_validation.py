"""Requests are checked before any part is touched."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query_server.handlers.query.validation import check_filter, check_top_k, clean_text
from rag_core.content.documents import All, AnyOf, Condition, Exists, In, Not, TimeRange
from rag_core.errors import InvalidInput, Reason
from rag_core.settings import FieldType


def reason_of(call: object, *args: object, **kwargs: object) -> Reason:
    with pytest.raises(InvalidInput) as caught:
        call(*args, **kwargs)  # type: ignore[operator]
    return caught.value.reason


@pytest.mark.catalogue("B01")
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n\t",
        "\u200b",
        "\u200b\u200d\ufeff",
        "\u00a0\u3000",
        "\u2800\u3164",
        "\u202e\u202c",
        "\x00\x01",
        "\u0301",
    ],
)
def test_a_query_without_visible_text_is_empty(text: str) -> None:
    assert reason_of(clean_text, text, limit=100) is Reason.QUERY_EMPTY


@pytest.mark.catalogue("B02")
def test_a_long_query_is_refused_with_both_numbers() -> None:
    with pytest.raises(InvalidInput, match="9000 > 8192 characters") as caught:
        clean_text("a" * 9000, limit=8192)
    assert caught.value.reason is Reason.QUERY_TOO_LONG
    assert clean_text("a" * 8192, limit=8192)


@pytest.mark.catalogue("B04")
@pytest.mark.parametrize("top_k", [0, -1, 101, 10**9, 2**31 - 1, -(2**31)])
def test_top_k_out_of_range(top_k: int) -> None:
    assert reason_of(check_top_k, top_k, default=10) is Reason.TOP_K_RANGE


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
@pytest.mark.parametrize("value", ["a\x00b", "line\nbreak", "\x1b[0m", "\x7f"])
def test_control_characters_in_ids_are_refused(value: str) -> None:
    assert reason_of(check_filter, In("source", (value,)), metadata_fields={}) is Reason.ID_CHARS


@pytest.mark.catalogue("B12")
@pytest.mark.parametrize(
    "value", ["", "7", "zz", "{6ba7b810-9dad-51d1-80b4-00c04fd430c8}", "6ba7b8109dad51d180b400c04fd430c8"]
)
def test_a_document_id_is_a_uuid(value: str) -> None:
    assert reason_of(check_filter, In("doc_id", (value,)), metadata_fields={}) is Reason.ID_CHARS


@pytest.mark.catalogue("B23")
@pytest.mark.parametrize(
    "text", ["什么是年假?", "🦜🦜", "שלום עולם", "ما هي", "नमस्ते", "👩‍👩‍👧", "x" * 10_000, "C++", "?"]
)
def test_every_script_is_a_query(text: str) -> None:
    assert clean_text(text, limit=10_000) == text


def nested(depth: int) -> Condition:
    condition: Condition = Exists("title")
    for _ in range(depth):
        condition = Not(condition)
    return condition


@pytest.mark.catalogue("B09", "B10")
@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (In("colour", ("red",)), Reason.FILTER_FIELD_UNKNOWN),
        (In("metadata.secret", ("x",)), Reason.FILTER_FIELD_UNKNOWN),
        (In("metadata", ("x",)), Reason.FILTER_FIELD_UNKNOWN),
        (In("updated_at", ("2026",)), Reason.FILTER_TYPE),
        (TimeRange("title"), Reason.FILTER_TYPE),
        (TimeRange("updated_at"), Reason.FILTER_TYPE),
        (In("source", ()), Reason.FILTER_TYPE),
        (All(()), Reason.FILTER_TYPE),
        (All(tuple(In("source", ("a",)) for _ in range(500))), Reason.FILTER_TOO_COMPLEX),
        (In("source", tuple(str(n) for n in range(500))), Reason.FILTER_TOO_COMPLEX),
        (nested(50), Reason.FILTER_TOO_COMPLEX),
        (In("source", ("a" * 2000,)), Reason.FILTER_TOO_COMPLEX),
        (In("tenant_id", ("other",)), Reason.RESERVED_FIELD),
        (Not(In("tenant", ("acme",))), Reason.RESERVED_FIELD),
        (AnyOf((In("source", ("a",)), In("acl", ("everyone",)))), Reason.RESERVED_FIELD),
        (Exists("acl.x"), Reason.RESERVED_FIELD),
    ],
)
def test_bad_filters_are_errors(condition: Condition, reason: Reason) -> None:
    assert reason_of(check_filter, condition, metadata_fields={"team": FieldType.KEYWORD}) is reason


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
