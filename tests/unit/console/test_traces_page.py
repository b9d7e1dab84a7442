"""The page of traces: what it reads, what it draws, and what hostile spans do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from streamlit.testing.v1 import AppTest

from console.clients.traces import MAX_SPANS
from tests.unit.console.conftest import Platform
from tests.unit.console.test_pages import HOSTILE, interpreted, opened, with_source

TRACE = "0af7651916cd43dd8448eb211c80319c"
BEGIN = 1_790_000_000_000_000


def span(span_id: str, parent: str, name: str, begin: int, took: int, process: str = "p1", **tags: Any) -> Any:
    """A span as Jaeger has it; times in milliseconds."""
    return {
        "traceID": TRACE,
        "spanID": span_id,
        "operationName": name,
        "references": [{"refType": "CHILD_OF", "traceID": TRACE, "spanID": parent}] if parent else [],
        "startTime": BEGIN + begin * 1000,
        "duration": took * 1000,
        "tags": [{"key": key, "type": "string", "value": value} for key, value in tags.items()],
        "processID": process,
    }


SPANS = [
    span("c", "b", "dense leg", 4, 2, "p2", leg="dense"),
    span("a", "", "ragproto.query.v2.QueryService/Search", 0, 20),
    span("b", "a", "search", 3, 9, error=True),
    span("d", "a", "embeddings", 1, 1),
]


def trace(spans: list[Any]) -> dict[str, Any]:
    processes = {"p1": {"serviceName": "rag-query-server"}, "p2": {"serviceName": "rag-index"}}
    return {"data": [{"traceID": TRACE, "spans": spans, "processes": processes}]}


@pytest.fixture
def store(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    with_source(platform)
    with HTTPServer(host="127.0.0.1", port=0) as server:
        monkeypatch.setenv("RAG_CONSOLE_TRACES_URL", server.url_for(""))
        yield server


def answer(store: HTTPServer, spans: list[Any]) -> None:
    store.expect_request("/api/services").respond_with_json({"data": ["rag-gateway", "rag-index"]})
    store.expect_request("/api/traces").respond_with_json(trace(spans))
    store.expect_request(f"/api/traces/{TRACE}").respond_with_json(trace(spans))


def chart(app: AppTest) -> dict[str, Any]:
    (found,) = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
    drawn: dict[str, Any] = json.loads(found.proto.spec)
    return drawn


def test_a_trace_is_drawn_with_each_span_below_the_one_it_is_part_of(app: AppTest, store: HTTPServer) -> None:
    answer(store, SPANS)
    app.query_params["trace"] = TRACE
    opened(app, "traces")
    assert not app.exception
    assert not app.warning
    drawn = json.dumps(chart(app), ensure_ascii=False)
    # Indented by a wide space behind one of no width; a failure is told by more than a colour.
    labels = ["\u200bquery.v2.QueryService/Search", "\u200b\u2003embeddings", "✖ \u200b\u2003search"]
    expression = json.dumps(json.dumps([*labels, "\u200b\u2003\u2003dense leg"]), ensure_ascii=False)[1:-1]
    assert expression in drawn
    listed = app.dataframe[0].value
    assert listed.iloc[0]["services"] == "query-server, index"
    assert listed.iloc[0]["failed"] == 1


def test_a_trace_that_is_not_kept_is_said(app: AppTest, store: HTTPServer) -> None:
    answer(store, SPANS)
    store.expect_request("/api/traces/abc").respond_with_json({"data": None}, status=404)
    app.query_params["trace"] = "abc"
    opened(app, "traces")
    assert "There is no such trace, or it is not kept any more." in [item.value for item in app.caption]


@pytest.mark.parametrize("wanted", ["../services", "%00", "x" * 500])
def test_what_is_no_id_is_not_asked_for(app: AppTest, store: HTTPServer, wanted: str) -> None:
    answer(store, SPANS)
    app.query_params["trace"] = wanted
    opened(app, "traces")
    assert not app.exception
    assert {request.path for request, _ in store.log} == {"/api/services", "/api/traces"}


def test_a_store_that_is_away_is_said_in_both_languages(app: AppTest, platform: Platform, store: HTTPServer) -> None:
    store.expect_request("/api/services").respond_with_data("no json", status=500)
    for language, words in (("en", "service unavailable"), ("zh", "服务不可用")):
        app.session_state["language"] = language
        opened(app, "traces")
        assert not app.exception
        assert words in " ".join(item.value for item in app.warning)


def test_hostile_names_and_values_are_text(app: AppTest, store: HTTPServer) -> None:
    answer(store, [span("a", "", HOSTILE, 0, 5, x=HOSTILE), span("b", "b", HOSTILE, 0, 1), span("e", "zz", "x", 0, 1)])
    app.query_params["trace"] = TRACE
    opened(app, "traces")
    assert not app.exception
    assert "attacker" not in interpreted(app)


def test_a_huge_trace_is_cut_and_says_so(app: AppTest, store: HTTPServer) -> None:
    answer(store, [span(f"{number:x}", "", "read", number, 1) for number in range(1, MAX_SPANS + 101)])
    app.query_params["trace"] = TRACE
    opened(app, "traces")
    assert "100 further spans are not shown." in [item.value for item in app.caption]


def test_a_store_that_sends_something_else_is_unavailable(app: AppTest, store: HTTPServer) -> None:
    answer(store, SPANS)
    store.clear()
    store.expect_request("/api/services").respond_with_json({"data": ["rag-gateway"]})
    store.expect_request("/api/traces").respond_with_json(
        {"data": [{"traceID": HOSTILE, "spans": [], "processes": {}}]}
    )
    opened(app, "traces")
    assert not app.exception
    assert "TRACES_UNAVAILABLE" in app.warning[0].value
