"""The embedder interface. Implementations: `onnx` (default), `openai_http`, `fake` (tests)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""float32, shape [n, dimensions], L2-normalised rows."""


class Embedder(Protocol):
    """Turns text into vectors. Thread-safe; deterministic for equal input up to the stated tolerance."""

    @property
    def fingerprint(self) -> str:
        """Identity of the vectors: model, revision, dimensions, prefixes, pooling, normalisation, quantisation."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest input in model tokens; longer text is cut by the embedder, so chunk below it."""
        ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to be found. Raises `Unavailable` (`EMBEDDER_UNAVAILABLE`) when a remote model fails."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed texts to search with (models such as E5 treat them differently)."""
        ...

    def close(self) -> None: ...


class TokenCounter(Protocol):
    """Counts model tokens, without the prefix and the special tokens."""

    @property
    def fingerprint(self) -> str: ...

    def count(self, text: str) -> int: ...

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Counts for many texts in one call, in order; the chunker's hot path, so implementations batch it."""
        ...
