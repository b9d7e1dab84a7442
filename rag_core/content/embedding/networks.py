"""The bundled model's network on ONNX Runtime: from token ids to vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from rag_core.content.embedding.bundle import SHA256, Artifact, Bundle, Floats, dequantize
from rag_core.content.embedding.calibration import SHA256 as CALIBRATION
from rag_core.content.embedding.calibration import load_calibration
from rag_core.ids import fingerprint

Tokens = list[int]

# Raise it when the network's vectors could change, also by a change of `packed_graph`.
STATIC_VERSION = 1
# Raise it when the files change and their vectors do not: another output, another name.
LAYOUT = 3
STATIC_FILE = Artifact("e5-small-static-int8", ".onnx", fingerprint(SHA256, CALIBRATION, STATIC_VERSION, LAYOUT))

SLOTS, FEW_SLOTS = 8, 4
"""Texts in one run of the static network at most; unused slots cost time, so a few texts have fewer."""
RUN_TOKENS = 256
"""A run of the static network reads all weights once, whatever it computes: several short texts share that cost. A
longer text is alone in its run: more rows than these gain nothing, and leave the processor's cache."""
_BALANCED_TOKENS = 64
"""Texts are not spread over idle threads in runs of fewer tokens than this."""


def last_state(bundle: Bundle) -> str:
    """The output of the network that holds the states of the tokens, before they are averaged."""
    return f"l{bundle.shape.layers - 1}.oln"


def load_static_graph(model_dir: Path, bundle: Bundle) -> bytes:
    """Load the static network as a serialised ONNX model from the cache; the first call builds it (about 1 s)."""

    def build() -> bytes:
        from rag_core.content.embedding.packed_graph import build_packed_graph  # `onnx` is needed once per installation

        return build_packed_graph(bundle, load_calibration())

    return STATIC_FILE.load(model_dir, build)


class StaticNetwork:
    """Recorded scales of all activations: a text's vector does not depend on its neighbours, so short texts share runs.

    Equal text gives equal vectors up to the order of the last sum (below 1e-6), on processors of one kind. Thread-safe.
    """

    identity: tuple[str | int, ...] = ("static-int8", STATIC_VERSION, CALIBRATION)
    """The part of a fingerprint that names the network."""

    def __init__(self, model_dir: Path, bundle: Bundle) -> None:
        self._table = TokenTable(bundle)
        self._session = open_session(load_static_graph(model_dir, bundle))
        self._state = last_state(bundle)

    def run(self, texts: Sequence[Tokens]) -> Floats:
        """The vectors of `SLOTS` texts at most, shape [texts, hidden]."""
        vectors: Floats = self._session.run(["vectors"], packed_inputs(self._table, texts))[0]
        return vectors

    def states(self, texts: Sequence[Tokens]) -> list[Floats]:
        """The last states of the tokens of as many texts, each of shape [tokens, hidden]."""
        packed: Floats = self._session.run([self._state], packed_inputs(self._table, texts))[0][0]
        ends = np.cumsum([len(ids) for ids in texts])
        return [packed[end - len(ids) : end] for ids, end in zip(texts, ends, strict=True)]


class TokenTable:
    """The embeddings of tokens, read from 4-bit blocks."""

    def __init__(self, bundle: Bundle) -> None:
        self._blocks = bundle.blocks("emb.word").reshape(bundle.shape.table_rows, -1)

    def read(self, ids: Sequence[int]) -> Floats:
        """float32 [tokens, hidden]."""
        return dequantize(self._blocks[ids]).reshape(len(ids), -1)


def packed_inputs(table: TokenTable, texts: Sequence[Tokens]) -> dict[str, npt.NDArray[np.generic]]:
    """One to `SLOTS` texts as the inputs of a model of `packed_graph`."""
    lengths = [len(ids) for ids in texts]
    few = len(texts) <= FEW_SLOTS
    unused = (FEW_SLOTS if few else SLOTS) - len(texts) if len(texts) > 1 else 0
    rows = table.read([token for ids in texts for token in ids])
    members = np.zeros((1, len(texts), len(rows) + unused), np.float32)
    start = 0
    for text, length in enumerate(lengths):
        members[0, text, start : start + length] = 1
        start += length
    return {
        "embeddings": np.concatenate([rows, np.zeros((unused, rows.shape[1]), np.float32)])[None],
        "positions": np.concatenate([*map(np.arange, lengths), np.zeros(unused, np.int64)]),
        "several": np.array(len(texts) > 1),
        "few": np.array(few),
        "sizes": np.array([*lengths, *[1] * (SLOTS - len(texts))], np.int64),
        "members": members,
    }


def plan_runs(lengths: Sequence[int], texts_per_run: int, *, threads: int) -> list[list[int]]:
    """Share texts among runs by their number of tokens, the longest first, so that no thread ends with a long one.

    `threads` are those that would idle if a few texts became a single run.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    share = math.ceil(sum(lengths) / threads)
    tokens = min(RUN_TOKENS, max(share, _BALANCED_TOKENS))
    runs: list[list[int]] = []
    used = 0
    for row in order:
        if not runs or len(runs[-1]) == texts_per_run or used + lengths[row] > tokens:
            runs.append([])
            used = 0
        runs[-1].append(row)
        used += lengths[row]
    return runs


def open_session(graph: bytes, threads: int = 1) -> ort.InferenceSession:
    """Open a model. One thread: parallel runs use the cores better than a split run does."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
