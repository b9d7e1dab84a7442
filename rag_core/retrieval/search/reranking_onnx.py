"""A cross-encoder on ONNX Runtime, read from a folder with `model.onnx` and its `tokenizer.json`.

Common exports of sequence classification models have this form (one logit, or two of which the second means
"relevant"). Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from tokenizers import Encoding, Tokenizer

from rag_core.errors import ConfigError, DataCorruption, Reason

MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
BATCH = 8
"""Pairs in one run of the network; larger batches only add padding."""
_CHARS_PER_TOKEN = 32
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class OnnxReranker:
    """See `Reranker`. `max_tokens` bounds query and text together; `threads` 0 means one per core."""

    remote = False

    def __init__(self, folder: Path, *, max_tokens: int = 512, threads: int = 0) -> None:
        """Raises `ConfigError` when a file is missing, `DataCorruption` (`MODEL_CORRUPT`) when one is unusable."""
        for name in (MODEL, TOKENIZER):
            if not (folder / name).is_file():
                raise ConfigError(Reason.CONFIG_INVALID, f"RAG_RERANKER_DIR: the folder holds no {name}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            self._session = ort.InferenceSession(str(folder / MODEL), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # both libraries raise bare exceptions for any file they cannot read
            raise _corrupt(f"a file cannot be read ({type(error).__name__})") from error
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self._tokenizer.enable_padding()
        self._max_chars = max_tokens * _CHARS_PER_TOKEN
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        if not set(self._inputs) <= set(_INPUTS) or "input_ids" not in self._inputs:
            raise _corrupt(f"the model takes {', '.join(self._inputs)}; a cross-encoder takes {', '.join(_INPUTS)}")
        self.score("ready", ["ready"])

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        scores: list[float] = []
        for start in range(0, len(texts), BATCH):
            pairs = [(query[: self._max_chars], text[: self._max_chars]) for text in texts[start : start + BATCH]]
            scores += self._run(self._tokenizer.encode_batch(pairs))
        return scores

    def close(self) -> None:
        return

    def _run(self, encodings: Sequence[Encoding]) -> list[float]:
        columns = {
            "input_ids": [encoding.ids for encoding in encodings],
            "attention_mask": [encoding.attention_mask for encoding in encodings],
            "token_type_ids": [encoding.type_ids for encoding in encodings],
        }
        feed = {name: np.asarray(columns[name], dtype=np.int64) for name in self._inputs}
        logits: Any = np.asarray(self._session.run(None, feed)[0], dtype=np.float64)
        if logits.ndim == 1:
            logits = logits[:, None]
        if logits.shape[0] != len(encodings) or logits.ndim != 2 or logits.shape[1] not in {1, 2}:
            raise _corrupt(f"the model gives scores of shape {logits.shape}, not one or two for each pair")
        if not np.isfinite(logits).all():
            raise _corrupt("the model gives scores that are not finite")
        margin = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        return [float(score) for score in 1 / (1 + np.exp(-np.clip(margin, -60, 60)))]


def _corrupt(what: str) -> DataCorruption:
    return DataCorruption(Reason.MODEL_CORRUPT, f"RAG_RERANKER_DIR: {what}")
