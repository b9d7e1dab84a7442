"""A rerank endpoint: what is sent, and that whatever it does wrong is one typed error in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_core.errors import ConfigError, Reason, Unavailable
from rag_core.retrieval.search import Reranker, open_reranker
from rag_core.settings import Settings
from tests.support.rerank_server import KEY, MODEL, RerankServer


def opened(url: str, **changes: Any) -> Reranker:
    wanted = {"reranker_url": url, "reranker_model": MODEL, "reranker_api_key": KEY, "rerank_timeout_seconds": 30}
    made = open_reranker(Settings(**(wanted | changes)))
    assert made is not None
    return made


def test_many_texts_go_in_several_requests_and_come_back_in_order(httpserver: HTTPServer) -> None:
    server = RerankServer(httpserver, "tei")
    reranker = opened(server.url)
    texts = ["bell " * (number % 3) + f"tower {number}" for number in range(70)]
    scores = reranker.score("bell", texts)
    assert scores == reranker.score("bell", texts)
    assert [score == scores[0] for score in scores] == [number % 3 == 0 for number in range(70)]
    sizes = [len(body.get("texts", ())) for body in server.seen]
    assert sizes[0] == 0  # `documents` came first; what the endpoint takes is remembered
    assert sorted(sizes[1:]) == [6, 6, 32, 32, 32, 32]
    reranker.close()


def test_texts_are_cut_and_never_empty(httpserver: HTTPServer) -> None:
    server = RerankServer(httpserver, "cohere")
    reranker = opened(server.url, rerank_max_tokens=16)
    reranker.score("q" * 10_000, ["", "x" * 10_000])
    (body,) = server.seen
    assert body["documents"] == [".", "x" * 128]
    assert len(body["query"]) == 128
    assert "return_documents" not in body
    reranker.close()


BAD: dict[str, tuple[int, Any]] = {
    "500": (500, []),
    "401": (401, []),
    "429": (429, []),
    "redirect": (302, []),
    "422 of both shapes": (422, []),
    "no JSON": (200, b"<html>"),
    "number": (200, 7),
    "one is missing": (200, {"results": [{"index": 0, "relevance_score": 0.5}]}),
    "one comes twice": (200, [{"index": 0, "score": 0.5}, {"index": 0, "score": 0.5}]),
    "index outside": (200, [{"index": 0, "score": 0.5}, {"index": 2, "score": 0.5}]),
    "index is text": (200, [{"index": "0", "score": 0.5}, {"index": "1", "score": 0.5}]),
    "not finite": (200, b'[{"index": 0, "score": NaN}, {"index": 1, "score": 1}]'),
    "too large for a float": (200, f'[{{"index": 0, "score": {"9" * 400}}}, {{"index": 1, "score": 1}}]'.encode()),
    "not within 0 and 1": (200, [{"index": 0, "score": 7.5}, {"index": 1, "score": -2}]),
    "endless": (200, b"[" * 1_000_000),
    "deep": (200, b"[" * 60_000),
}


@pytest.mark.parametrize(("status", "content"), BAD.values(), ids=BAD)
def test_a_bad_endpoint_is_one_typed_error(httpserver: HTTPServer, status: int, content: Any) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = {"location": httpserver.url_for("/elsewhere")} if status == 302 else {}
    httpserver.expect_request("/rerank").respond_with_data(body, status, headers)
    reranker = opened(httpserver.url_for("/rerank"))
    with pytest.raises(Unavailable) as caught:
        reranker.score("bell", ["bell", "office"])
    assert caught.value.reason is Reason.RERANKER_UNAVAILABLE
    assert KEY not in str(caught.value)
    assert {request.path for request, _ in httpserver.log} == {"/rerank"}
    reranker.close()


@pytest.mark.parametrize("drips", [False, True])
def test_an_endpoint_that_takes_too_long_is_given_up(httpserver: HTTPServer, drips: bool) -> None:
    release = threading.Event()

    def slow() -> Iterator[bytes]:
        while not release.wait(0.02 if drips else 30):
            yield b" "

    def answer(request: Request) -> Response:
        request.get_data()
        return Response(slow(), content_type="application/json")

    httpserver.expect_request("/rerank").respond_with_handler(answer)
    reranker = opened(httpserver.url_for("/rerank"), rerank_timeout_seconds=0.3)
    with pytest.raises(Unavailable, match=r"within 0\.3 seconds"):
        reranker.score("bell", ["bell"])
    release.set()
    reranker.close()


@pytest.mark.parametrize("url", ["ftp://host/rerank", "http://user:hunter2@host/rerank", "nothing"])
def test_an_address_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match="RAG_RERANKER_URL") as caught:
        opened(url)
    assert "hunter2" not in str(caught.value)


def test_a_key_that_no_header_can_carry_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="RAG_RERANKER_API_KEY"):
        opened("http://host/rerank", reranker_api_key="schlüssel")
