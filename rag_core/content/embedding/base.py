"""The embedder interface. Implementations: `onnx` (default), `openai_http`, `fake` (tests)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from rag_core.errors import Reason, Unavailable

Vectors = npt.NDArray[np.float32]
"""float32, shape [n, dimensions], L2-normalised rows."""


@dataclass(frozen=True, slots=True)
class TokenStates:
    """The states that a model has for each token of a text, before it averages them.

    `states` are float16 rows of length 1, shape [tokens, hidden]; `spans` the place of each token in the text, in code
    points, shape [tokens, 2].
    """

    states: npt.NDArray[np.float16]
    spans: npt.NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.states.nbytes + self.spans.nbytes


@runtime_checkable
class TokenEmbedder(Protocol):
    """An embedder in this process that also gives the states of tokens."""

    def token_states(self, queries: Sequence[str], passages: Sequence[str]) -> list[TokenStates]:
        """The states of each text: those of the queries, then those of the passages."""
        ...


class Embedder(Protocol):
    """Embeds text. Thread-safe; deterministic for equal input up to the stated tolerance."""

    @property
    def fingerprint(self) -> str:
        """The identity of the vectors: model, revision, dimensions, prefixes, pooling, normalisation, quantisation."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def remote(self) -> bool:
        """True when texts go to an endpoint that the egress policy covers: callers then say whose they are."""
        ...

    @property
    def max_tokens(self) -> int:
        """The longest input in model tokens; the embedder truncates longer text, so chunks must be shorter."""
        ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed document texts. Raises `Unavailable` (`EMBEDDER_UNAVAILABLE`) when a remote model fails, and
        `PermissionDenied` (`EGRESS_FORBIDDEN`) for texts that may not go there.
        """
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed query texts, which models such as E5 treat differently."""
        ...

    def close(self) -> None: ...


class TokenCounter(Protocol):
    """Counts model tokens, without prefix and special tokens."""

    @property
    def fingerprint(self) -> str: ...

    def count(self, text: str) -> int: ...

    def count_many(self, texts: Sequence[str]) -> list[int]:
        """Count tokens of many texts in one call, in order; the chunker's hot path, so implementations batch it."""
        ...


# --------------------------------------------------------------------------------------------------------------------
# Cleaning of input text and validation of output vectors, for every embedder.


def clean(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot encode, by `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def unit_rows(vectors: npt.NDArray[np.floating], *, rows: int, dimensions: int) -> Vectors:
    """Return the vectors as contiguous float32 with rows of length 1.

    Raises `Unavailable` (`EMBEDDER_RESPONSE`) for a wrong shape, a non-finite value or a row of zeros.
    """
    if vectors.shape != (rows, dimensions):
        raise _unusable(f"expected {rows} vectors of {dimensions} dimensions, got shape {list(vectors.shape)}")
    if not np.isfinite(vectors).all():
        raise _unusable("a vector holds NaN or infinity")
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    if not (largest > 0).all():
        raise _unusable("a vector has length 0")
    scaled = np.asarray(vectors / largest, np.float64)  # first, so that squares neither overflow nor underflow
    return np.ascontiguousarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True), dtype=np.float32)


def _unusable(what: str) -> Unavailable:
    return Unavailable(Reason.EMBEDDER_RESPONSE, f"the embedding model gave an unusable answer: {what}")
