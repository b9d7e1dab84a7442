"""The HTTP embedder against a scripted server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_core.content.embedding.openai_http import OpenAIEmbedder, batches
from rag_core.content.embedding.openai_wire import Endpoint, parse_answer
from rag_core.errors import InvalidInput, Reason, Unavailable

DIMENSIONS = 4
KEY = "sk-never-to-be-seen"
Handler = Callable[[Request], Response]


def vector(text: str) -> list[float]:
    return [len(text) + 1.0, text.count("a") + 1.0, 1.0, 0.0]


def answer(texts: list[str], **changes: Any) -> dict[str, Any]:
    items = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
    return {"object": "list", "data": items[::-1], "model": "m"} | changes


def good(request: Request) -> Response:
    return Response(json.dumps(answer(request.get_json()["input"])), content_type="application/json")


class Endpoints:
    """Builds embedders for the scripted server and closes them."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.opened: list[OpenAIEmbedder] = []

    def open(self, *handlers: Handler, **options: Any) -> OpenAIEmbedder:
        """Each handler answers one request, the last one every further request."""
        left = list(handlers)
        lock = threading.Lock()

        def handle(request: Request) -> Response:
            with lock:
                handler = left.pop(0) if len(left) > 1 else left[0]
            return handler(request)

        self.server.expect_request("/v1/embeddings", method="POST").respond_with_handler(handle)
        names = {"timeout", "requests_per_second"} & set(options)
        endpoint = Endpoint(
            url=self.server.url_for("/v1"),
            model="m",
            dimensions=DIMENSIONS,
            headers={"authorization": f"Bearer {KEY}"},
            use=None,
            **({"timeout": 10, "requests_per_second": 1000} | {name: options.pop(name) for name in names}),
        )
        self.opened.append(OpenAIEmbedder(endpoint, **options))
        return self.opened[-1]

    @property
    def requests(self) -> list[Request]:
        return [request for request, _ in self.server.log]


@pytest.fixture
def endpoints(httpserver: HTTPServer) -> Iterator[Endpoints]:
    made = Endpoints(httpserver)
    yield made
    for embedder in made.opened:
        embedder.close()


def status(code: int, **headers: str) -> Handler:
    return lambda _: Response("no", code, {name.replace("_", "-"): value for name, value in headers.items()})


def expected(texts: list[str]) -> np.ndarray:
    rows = np.array([vector(text) for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_vectors_are_ordered_by_index_and_normalised(endpoints: Endpoints) -> None:
    texts = ["a", "bb", "cccc"]
    np.testing.assert_allclose(endpoints.open(good).embed_passages(texts), expected(texts), atol=1e-6)
    (request,) = endpoints.requests
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.get_json()["model"] == "m"


def test_prefixes_differ_for_queries_and_passages(endpoints: Endpoints) -> None:
    embedder = endpoints.open(good, query_prefix="query: ", passage_prefix="passage: ")
    embedder.embed_queries(["x"])
    embedder.embed_passages(["x"])
    assert [request.get_json()["input"] for request in endpoints.requests] == [["query: x"], ["passage: x"]]


def test_requests_are_bounded_in_texts_and_order_is_kept(endpoints: Endpoints) -> None:
    texts = [f"text {n}" * (n % 5 + 1) for n in range(50)]
    result = endpoints.open(good, request_texts=7).embed_passages(texts)
    np.testing.assert_allclose(result, expected(texts), atol=1e-6)
    assert len(endpoints.requests) == 8
    assert max(len(request.get_json()["input"]) for request in endpoints.requests) == 7


def test_batches_respect_both_limits_and_lose_nothing() -> None:
    texts = ["x" * 40] * 5 + ["y" * 4000] + ["z"]
    groups = list(batches(texts, max_texts=3, max_tokens=100))
    assert [text for group in groups for text in group] == texts
    assert [len(group) for group in groups] == [3, 2, 1, 1]


def test_nothing_is_sent_for_no_texts(endpoints: Endpoints) -> None:
    assert endpoints.open(good).embed_passages([]).shape == (0, DIMENSIONS)
    assert endpoints.requests == []


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_blank_text_is_never_sent_blank(endpoints: Endpoints, text: str) -> None:
    endpoints.open(good).embed_passages([text])
    assert endpoints.requests[0].get_json()["input"] == ["."]


@pytest.mark.catalogue("B11")
def test_hostile_text_travels_as_valid_utf8_and_is_cut(endpoints: Endpoints) -> None:
    embedder = endpoints.open(good, max_tokens=16)
    embedder.embed_passages(["\ud800\x00" + "界" * 10_000])
    (sent,) = endpoints.requests[0].get_json()["input"]
    assert sent.startswith("?\x00界")
    assert len(sent.encode()) <= 64


@pytest.mark.catalogue("F46")
@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_retried(endpoints: Endpoints, code: int) -> None:
    assert endpoints.open(status(code), good).embed_queries(["a"]).shape == (1, DIMENSIONS)
    assert len(endpoints.requests) == 2


@pytest.mark.catalogue("F46")
def test_a_dropped_connection_is_retried(endpoints: Endpoints) -> None:
    def drop(request: Request) -> Response:
        request.environ["werkzeug.socket"].shutdown(2)
        return Response()

    assert endpoints.open(drop, good).embed_queries(["a"]).shape == (1, DIMENSIONS)


@pytest.mark.catalogue("F46")
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(endpoints: Endpoints, form: str) -> None:
    value = "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    started = time.monotonic()
    endpoints.open(status(429, Retry_After=value), good).embed_queries(["a"])
    assert time.monotonic() - started >= 0.8


@pytest.mark.catalogue("F46")
def test_a_retry_after_beyond_the_deadline_fails_at_once(endpoints: Endpoints) -> None:
    with pytest.raises(Unavailable) as caught:  # waiting for the deadline would outlast the test's own
        endpoints.open(status(429, Retry_After="3600"), timeout=1000).embed_queries(["a"])
    assert caught.value.reason == Reason.EMBEDDER_UNAVAILABLE
    assert "HTTP 429" in caught.value.message


@pytest.mark.parametrize("value", ["soon", "nan", "-5", "1e400", ""])
def test_a_nonsense_retry_after_is_ignored(endpoints: Endpoints, value: str) -> None:
    assert endpoints.open(status(503, Retry_After=value), good).embed_queries(["a"]).shape == (1, DIMENSIONS)


def test_the_deadline_covers_all_retries(endpoints: Endpoints) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        endpoints.open(status(503), timeout=1).embed_queries(["a"])
    assert time.monotonic() - started < 10  # no deadline: as long as the server is away
    assert caught.value.reason == Reason.EMBEDDER_UNAVAILABLE


@pytest.mark.catalogue("B56")
def test_a_body_that_drips_does_not_outlive_the_deadline(endpoints: Endpoints) -> None:
    stop = threading.Event()

    def drip(_: Request) -> Response:
        def body() -> Iterator[bytes]:
            while not stop.wait(0.1):
                yield b" "

        return Response(body(), content_type="application/json")

    try:
        with pytest.raises(Unavailable) as caught:
            endpoints.open(drip, timeout=1).embed_queries(["a"])
    finally:
        stop.set()
    assert caught.value.reason == Reason.EMBEDDER_UNAVAILABLE


@pytest.mark.catalogue("B56")
def test_a_body_far_too_large_is_not_read_to_its_end(endpoints: Endpoints) -> None:
    with pytest.raises(Unavailable) as caught:
        endpoints.open(lambda _: Response(b" " * 1_000_000)).embed_queries(["a"])
    assert caught.value.reason == Reason.EMBEDDER_RESPONSE


def test_an_absent_server_is_unavailable() -> None:
    embedder = OpenAIEmbedder(Endpoint("http://127.0.0.1:9/v1", "m", DIMENSIONS, timeout=0.5, use=None))
    try:
        with pytest.raises(Unavailable) as caught:
            embedder.embed_queries(["a"])
    finally:
        embedder.close()
    assert caught.value.reason == Reason.EMBEDDER_UNAVAILABLE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, Reason.EMBEDDER_UNAVAILABLE),
        (403, Reason.EMBEDDER_UNAVAILABLE),
        (404, Reason.EMBEDDER_RESPONSE),
        (301, Reason.EMBEDDER_RESPONSE),
    ],
)
def test_a_lasting_failure_is_not_retried_and_shows_no_key(endpoints: Endpoints, code: int, reason: Reason) -> None:
    with pytest.raises(Unavailable) as caught:
        endpoints.open(status(code, Location="http://127.0.0.1:9/")).embed_queries(["a"])
    assert caught.value.reason == reason
    assert len(endpoints.requests) == 1
    assert KEY not in repr(caught.value) + str(caught.value) + repr(endpoints.opened[0].__dict__)


def test_an_unknown_limit_of_the_server_is_found_by_halving(endpoints: Endpoints) -> None:
    def at_most_three(request: Request) -> Response:
        return good(request) if len(request.get_json()["input"]) <= 3 else Response("too many", 413)

    texts = [f"text {n}" for n in range(20)]
    np.testing.assert_allclose(endpoints.open(at_most_three).embed_passages(texts), expected(texts), atol=1e-6)


def test_a_text_the_server_refuses_alone_is_bad_input(endpoints: Endpoints) -> None:
    def no_poison(request: Request) -> Response:
        return Response("no", 422) if "poison" in request.get_json()["input"] else good(request)

    embedder = endpoints.open(no_poison)
    with pytest.raises(InvalidInput) as caught:
        embedder.embed_passages(["fine", "poison", "fine too"])
    assert caught.value.reason == Reason.EMBEDDER_RESPONSE
    assert embedder.embed_passages(["fine"]).shape == (1, DIMENSIONS)


def test_a_request_beyond_the_rate_is_not_sent_before_its_turn(endpoints: Endpoints) -> None:
    embedder = endpoints.open(good, requests_per_second=0.01, timeout=3)
    embedder.embed_queries(["first"])
    with pytest.raises(Unavailable) as caught:
        embedder.embed_queries(["its turn is in 100 s, its deadline in 3 s"])
    assert caught.value.reason == Reason.EMBEDDER_UNAVAILABLE
    assert len(endpoints.requests) == 1


ITEM = {"index": 0, "embedding": vector("a")}


@pytest.mark.catalogue("B07", "B55")
@pytest.mark.parametrize(
    "content",
    [
        b"<html>error</html>",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": []}',
        json.dumps({"data": [ITEM, ITEM]}),
        json.dumps({"data": [ITEM | {"index": 7}]}),
        json.dumps({"data": [ITEM | {"index": "x"}]}),
        json.dumps({"data": [{"index": 0}]}),
        json.dumps({"data": [ITEM | {"embedding": [1, 2]}]}),
        json.dumps({"data": [ITEM | {"embedding": [1, 2, 3, "x"]}]}),
        json.dumps({"data": [ITEM | {"embedding": [1, 2, 3, [4]]}]}),
        json.dumps({"data": [ITEM | {"embedding": [1, 2, 3, None]}]}),
        json.dumps({"data": [ITEM | {"embedding": [1, 2, 3, float("nan")]}]}),
        json.dumps({"data": [ITEM | {"embedding": [0, 0, 0, 0]}]}),
        json.dumps({"data": [ITEM | {"embedding": "AAAA"}]}),
        b'{"data": [{"index": 0, "embedding": [1, 2, 3, 1e999]}]}',
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_not_vectors_is_refused(content: bytes | str) -> None:
    with pytest.raises(Unavailable) as caught:
        parse_answer(content.encode() if isinstance(content, str) else content, count=1, dimensions=DIMENSIONS)
    assert caught.value.reason == Reason.EMBEDDER_RESPONSE


def test_closing_twice_is_harmless(endpoints: Endpoints) -> None:
    embedder = endpoints.open(good)
    embedder.close()
    embedder.close()


def test_the_fingerprint_names_the_model_and_not_the_host() -> None:
    def named(**changes: Any) -> str:
        embedder = OpenAIEmbedder(Endpoint(**({"url": "http://a/v1", "model": "m", "dimensions": 4} | changes)))
        embedder.close()
        return embedder.fingerprint

    assert named() == named(url="http://b/v1", headers={"authorization": "Bearer k"})
    assert len({named(), named(model="n"), named(dimensions=8)}) == 3
