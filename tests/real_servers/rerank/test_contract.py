"""Every shape of request that we send, answered by llama.cpp: scores by index, as probabilities, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rag_core.errors import Reason, Unavailable
from rag_core.retrieval.search import Reranker, open_reranker
from rag_core.settings import Settings
from tests.support.llama_reranker import CONTEXT, LlamaReranker, llama_reranker

pytestmark = pytest.mark.real_servers

TEXTS = ["office rings", "bell bell", ".", "bell rings", "the office"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaReranker]:
    with llama_reranker(tmp_path_factory.mktemp("model")) as started:
        yield started


def opened(server: LlamaReranker, **changes: Any) -> Reranker:
    wanted: dict[str, Any] = {
        "reranker_url": server.url,
        "reranker_model": server.model,
        "reranker_api_key": server.key,
        "reranker_scores": "logit",
        "rerank_timeout_seconds": 30,
        "rerank_max_tokens": CONTEXT // 4,
    }
    made = open_reranker(Settings(**(wanted | changes)))
    assert made is not None
    return made


@pytest.mark.parametrize("shape", ["auto", "cohere", "jina", "tei"])
def test_each_text_has_its_score_whatever_its_neighbours(server: LlamaReranker, shape: str) -> None:
    reranker = opened(server, reranker_shape=shape, reranker_request_texts=2)
    try:
        scores = reranker.score("office", TEXTS)
        assert sorted(range(len(TEXTS)), key=lambda at: -scores[at])[:2] == [1, 3]
        assert all(0 < score < 1 for score in scores)
        assert [reranker.score("office", [text])[0] for text in TEXTS] == pytest.approx(scores, abs=1e-4)
        assert reranker.score("office", TEXTS[::-1]) == pytest.approx(scores[::-1], abs=1e-4)
    finally:
        reranker.close()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reranker_api_key": "wrong"}, "RAG_RERANKER_API_KEY"),
        ({"reranker_scores": "probability"}, "RAG_RERANKER_SCORES=logit"),
        ({"rerank_max_tokens": 4 * CONTEXT}, "answered with status"),  # more than the server reads
    ],
)
def test_what_it_refuses_or_means_otherwise_is_one_typed_error(
    server: LlamaReranker, changes: dict[str, Any], says: str
) -> None:
    reranker = opened(server, **changes)
    try:
        with pytest.raises(Unavailable, match=says) as raised:
            reranker.score("office", ["bell rings " * CONTEXT])
        assert raised.value.reason is Reason.RERANKER_UNAVAILABLE
    finally:
        reranker.close()
