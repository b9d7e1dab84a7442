"""What every embedder does to text on its way in and asserts about vectors on their way out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rag_core.embedding.base import Vectors
from rag_core.errors import Reason, Unavailable


def clean(text: str) -> str:
    """Replace lone surrogates, which no UTF-8 consumer accepts, by `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def unit_rows(vectors: npt.NDArray[np.floating], *, rows: int, dimensions: int) -> Vectors:
    """The vectors as contiguous float32 with rows of length 1.

    Raises `Unavailable` (`EMBEDDER_RESPONSE`) for a wrong shape, a value that is not finite or a row of zeros.
    """
    if vectors.shape != (rows, dimensions):
        raise _unusable(f"expected {rows} vectors of {dimensions} dimensions, got shape {list(vectors.shape)}")
    if not np.isfinite(vectors).all():
        raise _unusable("a vector holds NaN or infinity")
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    if not (largest > 0).all():
        raise _unusable("a vector has length 0")
    scaled = np.asarray(vectors / largest, np.float64)  # first, so that no square over- or underflows
    return np.ascontiguousarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True), dtype=np.float32)


def _unusable(what: str) -> Unavailable:
    return Unavailable(Reason.EMBEDDER_RESPONSE, f"the embedding model gave an unusable answer: {what}")
