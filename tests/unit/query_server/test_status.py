"""The table from errors to statuses covers the tree and reveals nothing."""

from __future__ import annotations

from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from query_server.runtime.status import DETAILS_KEY, MAX_TEXT_BYTES, bounded, code_of, internal_error, trailers
from rag_core import errors
from rag_core.errors import RagError, Reason


def branches() -> list[type[RagError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, RagError) and kind is not RagError
    ]


@pytest.mark.parametrize("kind", branches())
def test_every_branch_has_a_status_that_is_not_a_bug(kind: type[RagError]) -> None:
    assert code_of(kind(Reason.FIELD_INVALID, "x")) not in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}


def test_a_bug_is_internal_and_says_nothing() -> None:
    error = internal_error()
    assert code_of(error) is grpc.StatusCode.INTERNAL
    assert error.message == "internal error; report the request id"


def test_details_carry_reason_domain_metadata_request_and_delay() -> None:
    metadata = dict(trailers(errors.Exhausted(Reason.OVERLOADED, "full", limit="32"), "r-1", pushback_ms=250))
    status = status_pb2.Status.FromString(metadata[DETAILS_KEY])
    info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RequestInfo(), error_details_pb2.RetryInfo()
    assert [detail.Unpack(into) for detail, into in zip(status.details, (info, request, retry), strict=True)] == [
        True
    ] * 3
    assert (info.reason, info.domain, dict(info.metadata)) == ("OVERLOADED", "rag-platform", {"limit": "32"})
    assert request.request_id == "r-1"
    assert retry.retry_delay.ToMilliseconds() == 250
    assert metadata["grpc-retry-pushback-ms"] == "250"
    assert status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.mark.parametrize("name", ["g" * 200_000, "代" * 50_000, "%" * 9000, "\ud800" * 9000, "\n" * 9000])
def test_a_name_of_any_length_that_an_error_quotes_leaves_room_in_the_trailers(name: str) -> None:
    error = errors.NotFound(Reason.GENERATION_NOT_FOUND, f"index: no generation {name}", generation=name)
    metadata = dict(trailers(error, "r-1"))
    assert len(metadata[DETAILS_KEY]) < 4096
    status = status_pb2.Status.FromString(metadata[DETAILS_KEY])
    assert status.message.startswith("index: no generation ")
    assert status.message.endswith("…")
    assert len(quote(bounded(error.message), safe=" ")) <= 3 * MAX_TEXT_BYTES


def test_a_short_text_travels_as_it_is() -> None:
    assert bounded("filter: no such source") == "filter: no such source"
    assert bounded("来源不存在") == "来源不存在"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("top_k: must be 1 to 100", "top_k"),
        ("searches[1].filter.in: unknown", "searches[1].filter.in"),
        ("the URL names no host", None),
        ("Note: it is not a field", None),
        ("x" * 90_000, None),
    ],
)
def test_an_invalid_request_names_its_field_where_the_message_does(message: str, field: str | None) -> None:
    assert violations(errors.InvalidInput(Reason.FIELD_INVALID, message)) == (
        [] if field is None else [(field, message.partition(": ")[2], "FIELD_INVALID")]
    )
    assert violations(errors.NotFound(Reason.DOCUMENT_NOT_FOUND, message)) == []


def violations(error: RagError) -> list[tuple[str, str, str]]:
    status = status_pb2.Status.FromString(dict(trailers(error, "r"))[DETAILS_KEY])
    found = error_details_pb2.BadRequest()
    return [
        (one.field, one.description, one.reason)
        for detail in status.details
        if detail.Unpack(found)
        for one in found.field_violations
    ]
