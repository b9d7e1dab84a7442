"""A recorder in place of the endpoints of models."""

from __future__ import annotations

import json
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from rag_core.settings import Settings


class Recorder:
    """An endpoint of all three kinds that keeps what it is sent."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.bodies: list[dict[str, Any]] = []
        for path in ("/v1/embeddings", "/v1/rerank", "/v1/chat/completions"):
            server.expect_request(path, method="POST").respond_with_handler(self._answer)

    def settings(self, **changes: Any) -> Settings:
        url = self.server.url_for("/v1")
        wanted: dict[str, Any] = {
            "embedder": "openai", "embed_url": url, "embed_model": "m", "embed_dimensions": 2,
            "answerer": "openai", "answer_url": url, "answer_model": "m",
            "reranker_url": f"{url}/rerank", "reranker_shape": "jina", "reranker_model": "m",
            "egress_inside": "",
        }  # fmt: skip
        return Settings(**(wanted | changes))

    @property
    def said(self) -> str:
        return json.dumps(self.bodies)

    def _answer(self, request: Request) -> Response:
        body = request.get_json()
        self.bodies.append(body)
        if "input" in body:
            rows = [{"index": at, "embedding": [1.0, 0.0]} for at in range(len(body["input"]))]
            return Response(json.dumps({"data": rows}), content_type="application/json")
        if "documents" in body:
            scores = [{"index": at, "relevance_score": len(text) / 1000} for at, text in enumerate(body["documents"])]
            return Response(json.dumps({"results": scores}), content_type="application/json")
        chunk = {"choices": [{"delta": {"content": "Parental leave lasts 16 weeks [1]."}}]}
        return Response(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n", content_type="text/event-stream")
