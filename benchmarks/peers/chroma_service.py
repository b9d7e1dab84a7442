"""The query peer FastAPI + Chroma with the same model and vectors. Runs in the peer's environment.

Dense search only, because that is what Chroma offers; no tokens. Plain, or with a filter by tenant and access list: a
metadata field and an array field, as its documentation has them. Chroma indexes metadata by itself; its graph keeps
its documented defaults but for the space, which is the model's.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

from typing import Any

import chromadb

from benchmarks.peers.service import ENTRY, TENANT, Corpus, arguments, serve

_ADD = 5000
_VISIBLE = {"$and": [{"tenant": TENANT}, {"acl": {"$contains": ENTRY}}]}


def main() -> None:
    """Fill the collection and serve until stopped."""
    given = arguments(filtered=True)
    corpus = Corpus(given)
    client = chromadb.PersistentClient(path=str(given.state))
    collection = client.create_collection("bench", metadata={"hnsw:space": "cosine"})
    visible = _VISIBLE if given.filtered else None
    for start in range(0, len(corpus.texts), _ADD):
        stop = min(start + _ADD, len(corpus.texts))
        collection.add(
            ids=[str(row) for row in range(start, stop)],
            embeddings=corpus.vectors[start:stop],
            documents=corpus.texts[start:stop],
            metadatas=[{"tenant": TENANT, "acl": [ENTRY]}] * (stop - start) if given.filtered else None,
        )

    def search(query: str, top_k: int) -> dict[str, Any]:
        vector = corpus.embedder.embed_queries([query])
        found = collection.query(query_embeddings=vector, n_results=top_k, where=visible)
        return {"ids": found["ids"][0], "documents": found["documents"][0], "distances": found["distances"][0]}

    serve(search, given.port)


if __name__ == "__main__":
    main()
