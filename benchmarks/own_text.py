"""The embedder of benchmarks: they embed texts of their own, which an endpoint may be sent whatever policies say."""

from __future__ import annotations

from collections.abc import Sequence

from rag_core.content import embedding
from rag_core.content.embedding import Embedder, Vectors
from rag_core.http_client import OWN_TEXT, sending
from rag_core.settings import Settings


class OwnText:
    """Passes on to an embedder and says on each call, on whatever thread, whose text it is."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.fingerprint = embedder.fingerprint
        self.dimensions = embedder.dimensions
        self.max_tokens = embedder.max_tokens
        self.remote = embedder.remote
        self.texts_per_run = embedding.texts_per_run(embedder)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages."""
        with sending(OWN_TEXT):
            return self._embedder.embed_passages(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of queries."""
        with sending(OWN_TEXT):
            return self._embedder.embed_queries(texts)

    def close(self) -> None:
        """Close the embedder."""
        self._embedder.close()


def open_embedder(settings: Settings) -> OwnText:
    """`rag_core.content.embedding.open_embedder` for text that no tenant wrote. Raises the same."""
    return OwnText(embedding.open_embedder(settings))
