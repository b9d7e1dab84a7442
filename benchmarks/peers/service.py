"""What the query peers share: their arguments, the same model and vectors, FastAPI around one search."""

# mypy: disable-error-code="untyped-decorator,import-not-found"
from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
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
    dense: bool = False
    """Ask the dense leg alone, whose recall can be compared with exact search."""


class Corpus:
    """The vectors and texts of the benchmark, vectors of questions to set a peer up by, and the model."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.vectors = np.load(arguments.vectors)
        self.asked = np.load(arguments.asked)
        self.texts: list[str] = json.loads(arguments.texts.read_text("utf-8"))
        self.embedder: Embedder = open_embedder(Settings(home=arguments.home, embedder=arguments.embedder))


RECALL = 0.99
"""The recall@10 that a peer is set up for: the target of the platform's own index."""


def least_effort(corpus: Corpus, efforts: Sequence[int], search: Callable[[Any, int], Sequence[int]]) -> int:
    """The first effort at which searches find `RECALL` of the exact ten nearest; the last one if none does.

    `search` gives the rows found for a vector.
    """
    exact = [set(np.argsort(-(corpus.vectors @ vector))[:10].tolist()) for vector in corpus.asked]
    for effort in efforts:
        found = [near.intersection(search(vector, effort)) for vector, near in zip(corpus.asked, exact, strict=True)]
        if sum(map(len, found)) >= RECALL * sum(map(len, exact)):
            break
    return effort


def arguments(*, filtered: bool = False) -> argparse.Namespace:
    """The command line; `--filtered 1` where the peer can search without a filter too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    for name in ("home", "state", "vectors", "texts", "asked"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--embedder", default="onnx")
    if filtered:
        parser.add_argument("--filtered", type=int, default=0)
    return parser.parse_args()


def serve(search: Callable[[Question], list[dict[str, Any]]], port: int) -> None:
    """Answer until stopped, without a log line per request."""
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/search")
    def answer(question: Question) -> dict[str, Any]:
        # A plain function: FastAPI runs it on its thread pool, as its documentation advises for blocking work.
        return {"passages": search(question)}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
