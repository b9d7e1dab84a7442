"""A deterministic embedder for tests: hashed character trigrams, so that similar texts get similar vectors."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from rag_core.content.embedding.base import Vectors, clean
from rag_core.ids import fingerprint

_GRAM = 3


class FakeEmbedder:
    """Implements `Embedder` in microseconds, without a model. Queries and passages are embedded alike."""

    dimensions = 64
    max_tokens = 512
    texts_per_run = 1
    remote = False

    def __init__(self, *, version: str = "1", dimensions: int = 64, query_prefix: str = "", prefix: str = "") -> None:
        # Tests of a model change use another version as another model.
        self._salt = zlib.crc32(version.encode())
        self._query_prefix, self._prefix = query_prefix, prefix
        self.dimensions = dimensions
        prefixes = (query_prefix, prefix) if query_prefix or prefix else ()
        self.fingerprint = fingerprint("fake", version, dimensions, *prefixes)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._vectors([self._prefix + text for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._vectors([self._query_prefix + text for text in texts])

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._embed(text)
        return vectors

    def close(self) -> None:
        """Nothing to close."""

    def _embed(self, text: str) -> Vectors:
        padded = f"  {clean(text).casefold()} ".encode()
        grams = [zlib.crc32(padded[i : i + _GRAM], self._salt) for i in range(len(padded) - _GRAM + 1)]
        hashed = np.array(grams, np.uint32)
        signs = np.where(hashed & 1, 1.0, -1.0)
        # The constant avoids a zero vector for a text whose grams cancel out.
        vector = np.bincount((hashed >> 1) % self.dimensions, weights=signs, minlength=self.dimensions) + 1e-3
        return (vector / np.linalg.norm(vector)).astype(np.float32)
