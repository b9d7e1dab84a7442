"""The query peer FastAPI + Chroma with the same model and vectors. Runs in the peer's environment.

Dense search only, because that is what Chroma offers; no tokens. Plain, or with a filter by tenant and access list: a
metadata field and an array field, as its documentation has them. Chroma indexes metadata by itself; its graph keeps
its documented defaults but for the space, which is the model's, and for the effort of a search: the least of some that
reaches the recall that is asked of every system.
"""

# mypy: disable-error-code="import-not-found"
from __future__ import annotations

from typing import Any

import chromadb
from chromadb.api.shared_system_client import SharedSystemClient

from benchmarks.peers.service import ENTRY, TENANT, Corpus, Question, arguments, least_effort, serve

_ADD = 5000
_EFFORTS = (100, 150, 200, 300, 400, 500, 700, 1000)
"""Candidates of a search (`ef_search`), from its default on."""
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

    set_to = None

    def rows(vector: Any, effort: int) -> list[int]:
        nonlocal collection, set_to
        if effort != set_to:  # a graph that is open keeps the effort that it was opened with
            collection.modify(configuration={"hnsw": {"ef_search": effort}})
            SharedSystemClient.clear_system_cache()
            collection, set_to = chromadb.PersistentClient(path=str(given.state)).get_collection("bench"), effort
        return [int(one) for one in collection.query(query_embeddings=[vector], n_results=10)["ids"][0]]

    rows(corpus.asked[0], least_effort(corpus, _EFFORTS, rows))

    def search(question: Question) -> list[dict[str, Any]]:
        vector = corpus.embedder.embed_queries([question.query])
        found = collection.query(query_embeddings=vector, n_results=question.top_k, where=visible)
        columns = zip(found["ids"][0], found["documents"][0], found["distances"][0], strict=True)
        return [{"id": one, "text": text, "distance": distance} for one, text, distance in columns]

    serve(search, given.port)


if __name__ == "__main__":
    main()
