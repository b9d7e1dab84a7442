"""The reranker interface. Implementation: `onnx`, a cross-encoder from disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Reranker(Protocol):
    """Judges how well each of several texts answers a query, looking at both together. Thread-safe."""

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """One score in [0, 1] for each text, in order. A text's score does not depend on the others. Blocking."""
        ...

    def close(self) -> None: ...
