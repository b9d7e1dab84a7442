"""What the query peers share: their arguments, the same model and vectors, FastAPI around one search."""

# mypy: disable-error-code="untyped-decorator,import-not-found"
from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from rag_core.content.embedding import Embedder, open_embedder
from rag_core.settings import Settings

TENANT, ENTRY = "default", "everyone"
"""Who may see the chunks, in a peer that filters: the caller of every question, as in the platform's index."""


class Question(BaseModel):
    """A search request."""

    query: str
    top_k: int = 10


class Corpus:
    """The vectors and texts of the benchmark, and the model."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.vectors = np.load(arguments.vectors)
        self.texts: list[str] = json.loads(arguments.texts.read_text("utf-8"))
        self.embedder: Embedder = open_embedder(Settings(home=arguments.home, embedder=arguments.embedder))


def arguments(*, filtered: bool = False) -> argparse.Namespace:
    """The command line; `--filtered 1` where the peer can search without a filter too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    for name in ("home", "state", "vectors", "texts"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--embedder", default="onnx")
    if filtered:
        parser.add_argument("--filtered", type=int, default=0)
    return parser.parse_args()


def serve(search: Callable[[str, int], dict[str, Any]], port: int) -> None:
    """Answer until stopped, without a log line per request."""
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/search")
    def answer(question: Question) -> dict[str, Any]:
        # A plain function: FastAPI runs it on its thread pool, as its documentation advises for blocking work.
        return search(question.query, question.top_k)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
