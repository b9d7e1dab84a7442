"""Ways to spread the model over cores, runnable side by side.

The shipped embedder does with passages of 200 tokens what the variant "T threads, one text each" does; the others exist
only to be compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from rag_core.content.embedding import Vectors
from rag_core.content.embedding.bundle import open_bundle
from rag_core.content.embedding.networks import Tokens, TokenTable, load_static_graph, open_session, packed_inputs
from rag_core.content.embedding.onnx import PASSAGE_PREFIX
from rag_core.content.embedding.tokenizer import load_tokenizer


@dataclass(frozen=True, slots=True)
class Variant:
    """`callers` runs at once (threads or processes), each using `inner` threads of the runtime, of `batch` texts."""

    callers: int
    inner: int
    batch: int
    processes: bool = False

    @property
    def label(self) -> str:
        kind = "processes" if self.processes else "threads"
        return f"{self.callers} {kind} x {self.inner} inner"


class Model:
    """The static network with a chosen number of inner threads, fed with token ids."""

    def __init__(self, model_dir: Path, inner: int) -> None:
        bundle = open_bundle()
        self._table = TokenTable(bundle)
        self._session = open_session(load_static_graph(model_dir, bundle), inner)

    def run(self, group: Sequence[Tokens]) -> Vectors:
        """Vectors of one batch."""
        vectors: Vectors = self._session.run(["vectors"], packed_inputs(self._table, group))[0]
        return vectors


class Runner:
    """A variant that is ready to run: models loaded, pool started."""

    def __init__(self, variant: Variant, model_dir: Path) -> None:
        self._variant = variant
        self._pool: Executor
        if variant.processes:
            self._pool = ProcessPoolExecutor(
                variant.callers, get_context("spawn"), _start_process, (model_dir, variant.inner)
            )
            self._call = _run_in_process
            # Loads the model in every process before the clock starts.
            list(self._pool.map(_run_in_process, [[[0, 2]]] * variant.callers * 4))
        else:
            self._pool = ThreadPoolExecutor(variant.callers)
            self._call = Model(model_dir, variant.inner).run

    def embed(self, tokens: Sequence[Tokens]) -> Vectors:
        """All vectors, in input order; batches are made of texts of similar length."""
        order = sorted(range(len(tokens)), key=lambda row: -len(tokens[row]))
        step = self._variant.batch
        groups = [order[start : start + step] for start in range(0, len(order), step)]
        results = self._pool.map(self._call, [[tokens[row] for row in group] for group in groups])
        rows = [row for group in groups for row in group]
        vectors = np.concatenate(list(results))
        return vectors[np.argsort(rows)]

    def close(self) -> None:
        self._pool.shutdown()


def tokenise(model_dir: Path, texts: Sequence[str]) -> list[Tokens]:
    """Token ids of passages, with prefix and special tokens."""
    tokenizer = load_tokenizer(model_dir)
    return [encoding.ids for encoding in tokenizer.encode_batch_fast([PASSAGE_PREFIX + text for text in texts])]


_model: Model | None = None


def _start_process(model_dir: Path, inner: int) -> None:
    global _model
    _model = Model(model_dir, inner)


def _run_in_process(group: Sequence[Tokens]) -> Vectors:
    if _model is None:
        raise RuntimeError("the process pool was started without its initialiser")
    return _model.run(group)
