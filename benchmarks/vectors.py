"""Vectors cached between benchmark runs, so that a corpus is embedded once per model."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.report import Progress
from rag_core.content.embedding import Embedder, Vectors
from rag_core.ids import text_hash

_PAGE = 256


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
