"""Vectors cached between benchmark runs, so that a corpus is embedded once per model, and more of the same shape.

Random vectors are no test of a search graph: nothing is near to anything, and it finds a tenth of the nearest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from benchmarks.report import Progress
from rag_core.content.embedding import Embedder, Vectors
from rag_core.ids import text_hash

_PAGE = 256
PASSAGES = 5_000
"""Passages that are embedded for a corpus of any size."""
_NEIGHBOURS = 16
_WEIGHTS = 0.3, 0.7


def text_vectors(texts: Sequence[str], embedder: Embedder, folder: Path, progress: Progress | None = None) -> Vectors:
    """Vectors of texts: the first `PASSAGES` embedded, through a cache in `folder`, the others shaped like these."""
    with closing(VectorCache(folder, embedder)) as cache:
        return shaped_like(cache.passages(texts[:PASSAGES], progress), len(texts))


def shaped_like(passages: Vectors, count: int) -> Vectors:
    """`count` unit vectors: those of the passages, then points between one of them and one of its nearest.

    The same every time.
    """
    draw, made, rows = np.random.default_rng(0), [passages[:count]], len(passages)
    near = _nearest(passages) if count > rows > 1 else None
    for missing in range(count - rows, 0, -rows):
        if near is None:
            break
        first = draw.permutation(rows)[:missing]
        second = near[first, draw.integers(0, near.shape[1], len(first))]
        share = draw.uniform(*_WEIGHTS, (len(first), 1)).astype(np.float32)
        between = share * passages[first] + (1 - share) * passages[second]
        made.append(between / np.linalg.norm(between, axis=1, keepdims=True))
    return np.concatenate(made)


def _nearest(passages: Vectors) -> np.ndarray:
    """The rows of the nearest of each passage, without itself."""
    most = min(_NEIGHBOURS, len(passages) - 1)
    found = []
    for start in range(0, len(passages), _PAGE):
        cosines = passages[start : start + _PAGE] @ passages.T
        found.append(np.argpartition(-cosines, most, axis=1)[:, : most + 1])
    near = np.concatenate(found)
    # A passage that is its own nearest gives itself once more; twins of it stay.
    own = near == np.arange(len(passages))[:, None]
    near[own] = near[np.where(own)[0], (np.where(own)[1] + 1) % near.shape[1]]
    return near


class VectorCache:
    """Embeds through a file per embedder fingerprint."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._embedder = embedder
        self._database = sqlite3.connect(folder / f"{embedder.fingerprint}.sqlite")
        self._database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")

    def passages(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Vectors of passages, in order."""
        return self._embed("p", texts, progress)

    def queries(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Vectors of queries, in order."""
        return self._embed("q", texts, progress)

    def close(self) -> None:
        self._database.close()

    def _embed(self, kind: str, texts: Sequence[str], progress: Progress | None) -> Vectors:
        embed = self._embedder.embed_passages if kind == "p" else self._embedder.embed_queries
        keys = [kind.encode() + text_hash(text) for text in texts]
        missing = [row for row, key in enumerate(keys) if self._find(key) is None]
        for start in range(0, len(missing), _PAGE):
            page = missing[start : start + _PAGE]
            vectors = embed([texts[row] for row in page])
            rows = [(keys[row], vector.tobytes()) for row, vector in zip(page, vectors, strict=True)]
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
            self._database.commit()
            if progress:
                progress(start + len(page), len(missing))
        found = [self._find(key) or b"" for key in keys]
        return np.frombuffer(b"".join(found), np.float32).reshape(len(keys), self._embedder.dimensions)

    def _find(self, key: bytes) -> bytes | None:
        row = self._database.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return bytes(row[0]) if row else None
