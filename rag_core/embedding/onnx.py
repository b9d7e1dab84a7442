"""The default embedder: the bundled multilingual-e5-small on ONNX Runtime, int8, in this process.

Each run of the network embeds one text, and as many runs are parallel as there are threads. Dynamic int8 takes its
scale from the whole input, so in a larger batch a text's vector would depend on its neighbours. With one text per run
vectors are reproducible, and it is no slower than larger batches (docs/performance.md).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort

from rag_core.embedding.base import Vectors, clean, unit_rows
from rag_core.embedding.bundle import MODEL_NAME, SHA256, Artifact, Bundle, Floats, dequantize, open_bundle
from rag_core.embedding.tokenizer import TOKENIZER_VERSION, load_tokenizer
from rag_core.ids import fingerprint

# Raise it when the vectors could change, also by a change of `graph`.
GRAPH_VERSION = 1
GRAPH_FILE = Artifact("e5-small-int8", ".onnx", fingerprint(SHA256, GRAPH_VERSION))

QUERY_PREFIX = "query: "
PASSAGE_PREFIX = "passage: "
MAX_CHARS_PER_TOKEN = 32
"""Text is cut to `max_tokens` times this before it is tokenised, which bounds the cost of a huge input."""


def load_graph(model_dir: Path, bundle: Bundle) -> bytes:
    """Load the network as a serialised ONNX model from the cache; the first call builds it (about 1 s)."""

    def build() -> bytes:
        from rag_core.embedding.graph import build_graph  # the only user of `onnx`, needed once per installation

        return build_graph(bundle)

    return GRAPH_FILE.load(model_dir, build)


class OnnxEmbedder:
    """Implements `Embedder`. Computes `threads` texts in parallel; 0 means one per core this process may use."""

    remote = False

    def __init__(self, model_dir: Path, *, threads: int = 0) -> None:
        self._bundle = open_bundle()
        self._tokenizer = load_tokenizer(model_dir)
        self._session = _open_session(load_graph(model_dir, self._bundle))
        self._table = self._bundle.blocks("emb.word").reshape(self._bundle.shape.table_rows, -1)
        self._pool = ThreadPoolExecutor(threads or usable_cores(), thread_name_prefix="embed")
        self.dimensions = self._bundle.shape.hidden
        self.max_tokens = self._bundle.shape.max_tokens
        self.fingerprint = fingerprint(
            *(MODEL_NAME, SHA256, TOKENIZER_VERSION, GRAPH_VERSION, self.dimensions),
            *("int8", QUERY_PREFIX, PASSAGE_PREFIX, "mean", "l2"),
        )

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._embed([PASSAGE_PREFIX + text for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embed([QUERY_PREFIX + text for text in texts])

    def close(self) -> None:
        self._pool.shutdown()

    def _embed(self, texts: list[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        if len(texts) == 1:  # a query: avoid another thread
            vectors[0] = self._run(texts[0])
            return unit_rows(vectors, rows=1, dimensions=self.dimensions)
        # Longest first, so that no thread ends with a long text while the others are idle.
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row].encode("utf-8", "replace")))
        for row, vector in zip(order, self._pool.map(self._run, [texts[row] for row in order]), strict=True):
            vectors[row] = vector
        return unit_rows(vectors, rows=len(texts), dimensions=self.dimensions)

    def _run(self, text: str) -> Floats:
        ids = self._token_ids(text)
        embeddings = dequantize(self._table[ids]).reshape(1, len(ids), self.dimensions)
        lengths = np.array([len(ids)], np.int32)
        vector: Floats = self._session.run(["vectors"], {"embeddings": embeddings, "lengths": lengths})[0][0]
        return vector

    def _token_ids(self, text: str) -> list[int]:
        """Token ids including special tokens, cut to `max_tokens`."""
        ids: list[int] = self._tokenizer.encode(clean(text[: self.max_tokens * MAX_CHARS_PER_TOKEN])).ids
        return ids if len(ids) <= self.max_tokens else [*ids[: self.max_tokens - 1], self._bundle.special.end]


def usable_cores() -> int:
    """Count the cores this process may use (a container or taskset may limit them)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_session(graph: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # parallel runs use the cores better than a split run does
    options.inter_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
