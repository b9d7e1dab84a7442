"""A rerank endpoint of either shape over a real connection: it scores how often `bell` is in a text, as the ONNX model
of the contract does."""

from __future__ import annotations

import json
import math
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

KEY = "key-of-the-reranker"
MODEL = "bells"


def logit(text: str) -> float:
    """What the tiny cross-encoder gives."""
    return float(text.split().count("bell"))


def probability(text: str) -> float:
    """The same within 0 and 1."""
    return 1 / (1 + math.exp(-min(logit(text), 60)))


class RerankServer:
    """Speaks as text-embeddings-inference (`tei`), Cohere (`cohere`) or Jina (`jina`); `llama.cpp` sends logits."""

    def __init__(self, server: HTTPServer, shape: str) -> None:
        self.shape = shape
        self.url = server.url_for("/rerank")
        self.seen: list[dict[str, Any]] = []
        server.expect_request("/rerank", method="POST").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        self.seen.append(body)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Response("no", status=401)
        name = "texts" if self.shape == "tei" else "documents"
        if name not in body or (self.shape in {"cohere", "jina"} and body.get("model") != MODEL):
            return Response("unknown request", status=422)
        if self.shape == "tei" and len(body[name]) > 32:
            return Response("batch size", status=413)
        scores = [logit(text) if self.shape == "llama.cpp" else probability(text) for text in body[name]]
        field = "score" if self.shape == "tei" else "relevance_score"
        rows = sorted(({"index": at, field: score} for at, score in enumerate(scores)), key=lambda row: -row[field])
        return Response(json.dumps(rows if self.shape == "tei" else {"results": rows}), content_type="application/json")
