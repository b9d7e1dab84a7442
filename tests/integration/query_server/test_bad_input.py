"""Bad input through a real channel: typed, precise, and the server lives (CATALOGUE B01-B24, S48)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from ragproto.query.v1 import query_pb2 as v1
from ragproto.query.v1 import query_pb2_grpc as v1_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import Failure, RunningServer, failing, failure

INVALID = grpc.StatusCode.INVALID_ARGUMENT
SEARCH = "/ragproto.query.v2.QueryService/Search"
INSIDE = re.compile(r"Traceback|\.py|/home|/work|SELECT|qdrant|0\.1\.0")


def search(server: RunningServer, **fields: Any) -> v2.SearchResponse:
    request = v2.SearchRequest(**({"query": "vacation"} | fields))
    return v2_grpc.QueryServiceStub(server.channel).Search(request, metadata=server.auth())


def answer(server: RunningServer, **fields: Any) -> list[v2.AnswerEvent]:
    request = v2.AnswerRequest(**({"query": "vacation"} | fields))
    return list(v2_grpc.QueryServiceStub(server.channel).Answer(request, metadata=server.auth()))


def query(server: RunningServer, **fields: Any) -> v1.QueryResponse:
    request = v1.QueryRequest(**({"query": "vacation"} | fields))
    return v1_grpc.QueryServiceStub(server.channel).Query(request, metadata=server.auth())


CALLS: list[Callable[..., object]] = [search, answer, query]


def raw(server: RunningServer, data: bytes, method: str = SEARCH, metadata: Any = None) -> bytes:
    call = server.channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
    return bytes(call(data, metadata=server.auth() if metadata is None else metadata, timeout=10))


def codes(failure: Failure) -> tuple[grpc.StatusCode, str]:
    return failure.code, failure.reason


@pytest.mark.catalogue("B01")
@pytest.mark.parametrize("call", CALLS)
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
def test_empty_query(server: RunningServer, call: Callable[..., object], text: str) -> None:
    failure = failing(lambda: call(server, query=text))
    assert codes(failure) == (INVALID, "QUERY_EMPTY")
    assert failure.message == "query: must contain text"


@pytest.mark.catalogue("B02")
@pytest.mark.parametrize("call", CALLS)
def test_long_query(server: RunningServer, call: Callable[..., object]) -> None:
    failure = failing(lambda: call(server, query="a" * 9000))
    assert codes(failure) == (INVALID, "QUERY_TOO_LONG")
    assert failure.message == "query: 9000 > 8192 characters"


@pytest.mark.catalogue("B03")
def test_a_message_over_the_limit_is_refused_by_the_transport(server: RunningServer) -> None:
    failure = failing(lambda: search(server, query="a" * 5_000_000))
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure.reason == ""
    assert "grpc-retry-pushback-ms" not in failure.trailers


@pytest.mark.catalogue("B04")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("top_k", [0, -1, 101, 10**9, 2**31 - 1, -(2**31)])
def test_top_k_out_of_range(server: RunningServer, call: Callable[..., object], top_k: int) -> None:
    failure = failing(lambda: call(server, top_k=top_k))
    assert codes(failure) == (INVALID, "TOP_K_RANGE")
    assert "1..100" in failure.message


def in_filter(field: str, *values: str) -> v2.Filter:
    return v2.Filter(**{"in": v2.Filter.In(field=field, values=values)})


def nested(depth: int) -> v2.Filter:
    inner = in_filter("source", "wiki")
    for _ in range(depth):
        inner = v2.Filter(**{"not": inner})
    return inner


FILTERS = {
    "unknown field": (in_filter("colour", "red"), "FILTER_FIELD_UNKNOWN"),
    "undeclared metadata": (in_filter("metadata.salary", "1"), "FILTER_FIELD_UNKNOWN"),
    "metadata without a name": (in_filter("metadata", "1"), "FILTER_FIELD_UNKNOWN"),
    "wrong type": (in_filter("updated_at", "2026"), "FILTER_TYPE"),
    "time range on text": (v2.Filter(time=v2.Filter.TimeRange(field="title")), "FILTER_TYPE"),
    "time range without an end": (v2.Filter(time=v2.Filter.TimeRange(field="updated_at")), "FILTER_TYPE"),
    "no value": (in_filter("source"), "FILTER_TYPE"),
    "no condition": (v2.Filter(), "FILTER_TYPE"),
    "empty group": (v2.Filter(all=v2.Filter.Group()), "FILTER_TYPE"),
    "500 conditions": (
        v2.Filter(any=v2.Filter.Group(conditions=[in_filter("source", str(n)) for n in range(500)])),
        "FILTER_TOO_COMPLEX",
    ),
    "500 values": (in_filter("source", *map(str, range(500))), "FILTER_TOO_COMPLEX"),
    "long value": (in_filter("source", "a" * 2000), "FILTER_TOO_COMPLEX"),
    "depth 30": (nested(30), "FILTER_TOO_COMPLEX"),
    "tenant_id": (in_filter("tenant_id", "other"), "RESERVED_FIELD"),
    "acl in a negation": (v2.Filter(**{"not": in_filter("acl", "group:hr")}), "RESERVED_FIELD"),
    "acl in a group": (
        v2.Filter(any=v2.Filter.Group(conditions=[in_filter("source", "a"), in_filter("acl", "everyone")])),
        "RESERVED_FIELD",
    ),
    "within acl": (v2.Filter(exists=v2.Filter.Exists(field="acl.x")), "RESERVED_FIELD"),
    "control characters": (in_filter("source", "wi\x00ki"), "ID_CHARS"),
    "document id that is none": (in_filter("doc_id", "../../etc"), "ID_CHARS"),
}


@pytest.mark.catalogue("B09", "B10", "B12")
@pytest.mark.parametrize("call", [search, answer])
@pytest.mark.parametrize(("condition", "reason"), FILTERS.values(), ids=FILTERS.keys())
def test_filters(server: RunningServer, call: Callable[..., object], condition: v2.Filter, reason: str) -> None:
    assert codes(failing(lambda: call(server, filter=condition))) == (INVALID, reason)


@pytest.mark.catalogue("B09")
def test_depth_50_is_refused(server: RunningServer) -> None:
    failure = failing(lambda: search(server, filter=nested(50)))
    # Protobuf's own recursion limit may come first; either way it is the caller's error.
    assert failure.code is INVALID
    assert failure.reason in {"FILTER_TOO_COMPLEX", "MESSAGE_INVALID"}


@pytest.mark.catalogue("B09")
def test_an_impossible_time_is_refused(server: RunningServer) -> None:
    condition = v2.Filter(time=v2.Filter.TimeRange(field="updated_at"))
    condition.time.gte.seconds = 10**15
    assert codes(failing(lambda: search(server, filter=condition))) == (INVALID, "FILTER_TYPE")


@pytest.mark.catalogue("B10")
@pytest.mark.parametrize("field", ["tenant_id", "tenant", "acl", "colour"])
def test_v1_filters(server: RunningServer, field: str) -> None:
    expected = "FILTER_FIELD_UNKNOWN" if field == "colour" else "RESERVED_FIELD"
    assert codes(failing(lambda: query(server, filter={field: "other"}))) == (INVALID, expected)


@pytest.mark.catalogue("B11")
def test_invalid_utf8_is_refused_at_decode(server: RunningServer) -> None:
    failure = failing(lambda: raw(server, b"\x0a\x02\xff\xfe"))
    assert codes(failure) == (INVALID, "MESSAGE_INVALID")


@pytest.mark.catalogue("B12")
def test_control_and_bidi_characters_in_a_query_are_accepted(server: RunningServer) -> None:
    assert search(server, query="vac\x00ation \u202eleave").passages


@pytest.mark.catalogue("B16")
@pytest.mark.parametrize("path", ["/ragproto.query.v2.QueryService/Nope", "/no.Service/Method", "/"])
def test_unknown_methods_are_unimplemented(server: RunningServer, path: str) -> None:
    assert failing(lambda: raw(server, b"", path)).code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.catalogue("B17")
def test_garbage_never_kills_the_server_nor_looks_like_a_bug(server: RunningServer) -> None:
    noise = random.Random(17)
    good = v2.SearchRequest(query="vacation", filter=nested(3), top_k=3).SerializeToString()
    seen = set()
    for _ in range(300):
        data = bytearray(good)
        for _ in range(noise.randint(1, 6)):
            data[noise.randrange(len(data))] = noise.randrange(256)
        try:
            raw(server, bytes(data[: noise.randint(0, len(data))]))
        except grpc.RpcError as error:
            seen.add(error.code())
    assert seen <= {INVALID, grpc.StatusCode.NOT_FOUND}
    assert search(server).passages


@pytest.mark.catalogue("B23")
@pytest.mark.parametrize(
    "text", ["🦜🦜🦜", "ما هي سياسة الإجازات؟", "年假有多少天？", "x" * 8192, "а́б", "\U0010ffff a"]
)
def test_queries_in_any_script_give_a_stable_result(server: RunningServer, text: str) -> None:
    first, second = (search(server, query=text) for _ in range(2))
    assert [*first.passages] == [*second.passages]


@pytest.mark.catalogue("B24")
def test_fields_of_a_newer_client_are_ignored(server: RunningServer) -> None:
    data = v2.SearchRequest(query="vacation").SerializeToString() + b"\x92\x3f\x03new"
    assert v2.SearchResponse.FromString(raw(server, data)).passages


def test_an_unknown_search_mode_is_an_error(server: RunningServer) -> None:
    assert codes(failing(lambda: search(server, mode=7))) == (INVALID, "FIELD_INVALID")


@pytest.mark.catalogue("S48")
def test_no_error_reveals_the_inside(server: RunningServer) -> None:
    noise = random.Random(48)
    for _ in range(500):
        junk = "".join(chr(noise.choice([0, 39, 34, 59, 92, 0x202E, 0x4E00, 97])) for _ in range(noise.randint(0, 40)))
        fields = {"query": junk, "top_k": noise.choice([0, 5, 1000]), "filter": in_filter(junk[:20], junk)}
        found = failure(lambda fields=fields: search(server, **fields))
        if found is not None:
            assert not INSIDE.search(str(found))
            assert found.code is not grpc.StatusCode.INTERNAL
