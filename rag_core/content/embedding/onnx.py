"""The default embedder: the bundled multilingual-e5-small on ONNX Runtime, int8, in this process.

As many runs of the network are parallel as there are threads, each on one core. A run takes several short texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from rag_core.content.embedding.base import TokenStates, Vectors, unit_rows
from rag_core.content.embedding.bundle import MODEL_NAME, SHA256, Floats, open_bundle
from rag_core.content.embedding.networks import SLOTS, StaticNetwork, Tokens, plan_runs
from rag_core.content.embedding.tokenizer import TOKENIZER_VERSION, Span, load_tokenizer
from rag_core.ids import fingerprint
from rag_core.platform import give_way, usable_cores

Result = TypeVar("Result")

QUERY_PREFIX = "query: "
PASSAGE_PREFIX = "passage: "
MAX_CHARS_PER_TOKEN = 32
"""Text is cut to `max_tokens` times this before it is tokenised, which bounds the cost of a huge input."""


class OnnxEmbedder:
    """Implements `Embedder`. Uses `threads` threads; 0 means one per core this process may use."""

    remote = False

    def __init__(self, model_dir: Path, *, threads: int = 0) -> None:
        self._bundle = open_bundle()
        self._tokenizer = load_tokenizer(model_dir)
        self._network = StaticNetwork(model_dir, self._bundle)
        self._threads = threads or usable_cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")
        # Other callers wait for queries and searches, which need the cores for a fraction of the time.
        self._giving_way = ThreadPoolExecutor(self._threads, "embed-states", initializer=give_way)
        self.dimensions = self._bundle.shape.hidden
        self.max_tokens = self._bundle.shape.max_tokens
        self.texts_per_run = SLOTS
        identity = (MODEL_NAME, SHA256, TOKENIZER_VERSION, self.dimensions, *self._network.identity)
        self.fingerprint = fingerprint(*identity, QUERY_PREFIX, PASSAGE_PREFIX, "mean", "l2")

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder`. A few texts are spread over the threads: somebody may wait for them."""
        return self._embed([PASSAGE_PREFIX + text for text in texts], threads=self._threads)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder`. Queries come together when the cores are busy, so they are made with the least work."""
        return self._embed([QUERY_PREFIX + text for text in texts], threads=1)

    def token_states(self, queries: Sequence[str], passages: Sequence[str]) -> list[TokenStates]:
        """The states of the tokens of each text, in one batch: those of the queries, then those of the passages.

        Without special tokens and the prefix, and cut to `max_tokens`. The network runs in threads that give way to
        all others.
        """
        texts = [(QUERY_PREFIX, text) for text in queries] + [(PASSAGE_PREFIX, text) for text in passages]
        encoded = [self._encode(prefix + text) for prefix, text in texts]
        states: dict[int, Floats] = {}
        ids = [ids for ids, _ in encoded]
        for run, made in self._run(self._network.states, ids, threads=self._threads, pool=self._giving_way):
            states |= zip(run, made, strict=True)
        return [
            _token_states(states[row], offsets, len(prefix))
            for row, ((_, offsets), (prefix, _)) in enumerate(zip(encoded, texts, strict=True))
        ]

    def close(self) -> None:
        self._pool.shutdown()
        self._giving_way.shutdown()

    def _embed(self, texts: list[str], *, threads: int) -> Vectors:
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        if len(texts) == 1:  # a query: avoid another thread
            vectors[:] = self._network.run([self._token_ids(texts[0])])
            return unit_rows(vectors, rows=1, dimensions=self.dimensions)
        # Queries: their thread has nothing else to do, and handing each to another costs more than it takes.
        ids = [*map(self._token_ids, texts)] if threads == 1 else [*self._pool.map(self._token_ids, texts)]
        for run, made in self._run(self._network.run, ids, threads=threads):
            vectors[run] = made
        return unit_rows(vectors, rows=len(texts), dimensions=self.dimensions)

    def _run(
        self,
        network: Callable[[Sequence[Tokens]], Result],
        ids: Sequence[Tokens],
        *,
        threads: int,
        pool: ThreadPoolExecutor | None = None,
    ) -> Iterator[tuple[list[int], Result]]:
        """The rows of each run of the network with what it made of them. Without a `pool` a single run is made in the
        calling thread."""
        runs = plan_runs([len(tokens) for tokens in ids], self.texts_per_run, threads=threads)
        shares = [[ids[row] for row in run] for run in runs]
        alone = pool is None and len(runs) == 1
        results = map(network, shares) if alone else (pool or self._pool).map(network, shares)
        return zip(runs, results, strict=True)

    def _token_ids(self, text: str) -> Tokens:
        """Token ids including special tokens, cut to `max_tokens`."""
        return self._whole(self._tokenizer.ids(self._cut(text)))

    def _encode(self, text: str) -> tuple[Tokens, list[Span]]:
        """Token ids and the span of each in the text, empty for special tokens."""
        ids, spans = self._tokenizer.ids_and_spans(self._cut(text))
        return self._whole(ids), [(0, 0), *spans[: self.max_tokens - 2], (0, 0)]

    def _cut(self, text: str) -> str:
        return text[: self.max_tokens * MAX_CHARS_PER_TOKEN]

    def _whole(self, ids: Tokens) -> Tokens:
        special = self._bundle.special
        return [special.begin, *ids[: self.max_tokens - 2], special.end]


def _token_states(states: Floats, offsets: Sequence[Span], prefix: int) -> TokenStates:
    own = [row for row, (start, end) in enumerate(offsets) if start >= prefix and end > start]
    rows = states[own]
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    spans = np.array([offsets[row] for row in own], np.int32).reshape(-1, 2) - prefix
    return TokenStates(unit.astype(np.float16), spans)
