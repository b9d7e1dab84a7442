"""The query peer: FastAPI in front of Chroma with the same model and vectors. Runs in the peer's environment.

Dense search only, because that is what Chroma offers; no tokens, no tenants, no log line per request.
"""

# mypy: disable-error-code="untyped-decorator,import-not-found"
from __future__ import annotations

import argparse
import json
from pathlib import Path

import chromadb
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from rag_core.embedding import open_embedder
from rag_core.settings import Settings

_ADD = 5000


class Question(BaseModel):
    """A search request."""

    query: str
    top_k: int = 10


def build(arguments: argparse.Namespace) -> FastAPI:
    """Fill the collection and make the application."""
    embedder = open_embedder(Settings(home=arguments.home, embedder=arguments.embedder))
    client = chromadb.PersistentClient(path=str(arguments.state))
    collection = client.create_collection("bench", metadata={"hnsw:space": "cosine"})
    vectors = np.load(arguments.vectors)
    texts = json.loads(arguments.texts.read_text("utf-8"))
    for start in range(0, len(texts), _ADD):
        stop = min(start + _ADD, len(texts))
        ids = [str(row) for row in range(start, stop)]
        collection.add(ids=ids, embeddings=vectors[start:stop], documents=texts[start:stop])
    app = FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/search")
    def search(question: Question) -> dict[str, object]:
        # A plain function: FastAPI runs it on its thread pool, as its documentation advises for blocking work.
        vector = embedder.embed_queries([question.query])
        found = collection.query(query_embeddings=vector, n_results=question.top_k)
        return {"ids": found["ids"][0], "documents": found["documents"][0], "distances": found["distances"][0]}

    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--embedder", default="onnx")
    arguments = parser.parse_args()
    uvicorn.run(build(arguments), host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
