"""llama.cpp as a rerank server, with a cross-encoder of one layer that is made here: no package brings a real one.

Its attention takes the average of a text's tokens and its head reads how much of that is the word `bell`, so the right
order is known: protocol, not wisdom.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.ports import free_port
from tests.support.chat_server import llama_process

KEY = "key-of-the-reranker"
MODEL = "bells"
CONTEXT = 128
"""Tokens of a question and a text together that the server reads."""
_START_SECONDS = 180
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS = ("bell", "rings", "office", "ready", "the", ".", "?")
_DIMENSIONS, _HEADS, _BELL = 32, 2, 20
_PROGRAM = """
import json, sys, xllamacpp
given = json.loads(sys.argv[1])
params = xllamacpp.CommonParams()
params.model.path, params.embedding = given["model"], True
params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
params.n_ctx = params.n_batch = params.n_ubatch = given["context"]
params.n_parallel, params.cpuparams.n_threads = 1, 1
params.hostnames, params.port = ["127.0.0.1"], given["port"]
params.api_keys, params.model_alias = [given["key"]], {given["name"]}
server = xllamacpp.Server(params)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class LlamaReranker:
    """A running server; `url` is its rerank endpoint, as `RAG_RERANKER_URL` takes it."""

    url: str
    key: str = KEY
    model: str = MODEL


@contextmanager
def llama_reranker(folder: Path) -> Iterator[LlamaReranker]:
    """The server; skips the test, with how to give its package, where that cannot be had."""
    path, port = folder / "bells.gguf", free_port()
    write_model(path)
    given = {"model": str(path), "context": CONTEXT, "port": port, "key": KEY, "name": MODEL}
    base = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        return httpx.get(f"{base}/health", timeout=10, trust_env=False).status_code == httpx.codes.OK

    with llama_process(_PROGRAM, json.dumps(given), ready=ready):
        yield LlamaReranker(f"{base}/v1/rerank")


# --------------------------------------------------------------------------------------------------------------------
# The model as a GGUF file (format version 3): a header, what is known of the model, and its tensors.


_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_ALIGNMENT = 32
_RANK = 4  # of llama.cpp's kinds of pooling


def write_model(path: Path) -> None:
    """A BERT whose score grows with the share of `bell` among the tokens of question and text."""
    tokens = [*_SPECIAL, *(f"\u2581{word}" for word in _WORDS)]
    known = [
        _text("general.architecture", "bert"),
        _text("tokenizer.ggml.model", "bert"),
        _text("tokenizer.ggml.pre", "default"),
        _number("bert.vocab_size", len(tokens)),
        _number("bert.context_length", CONTEXT),
        _number("bert.embedding_length", _DIMENSIONS),
        _number("bert.feed_forward_length", _DIMENSIONS),
        _number("bert.block_count", 1),
        _number("bert.attention.head_count", _HEADS),
        _number("bert.pooling_type", _RANK),
        _number("tokenizer.ggml.token_type_count", 2),
        _number("tokenizer.ggml.unknown_token_id", 1),
        _number("tokenizer.ggml.bos_token_id", 2),
        _number("tokenizer.ggml.eos_token_id", 3),
        _number("tokenizer.ggml.seperator_token_id", 3),  # so written in the format
        _number("tokenizer.ggml.padding_token_id", 0),
        _string("bert.attention.layer_norm_epsilon") + struct.pack("<If", _F32, 1e-6),
        _string("bert.attention.causal") + struct.pack("<I?", _BOOL, False),
        _array("tokenizer.ggml.tokens", _STRING, [_string(token) for token in tokens]),
        _array("tokenizer.ggml.token_type", _I32, [struct.pack("<i", 3 if t in _SPECIAL else 1) for t in tokens]),
        _array("tokenizer.ggml.scores", _F32, [struct.pack("<f", 0.0)] * len(tokens)),
    ]
    infos, data, tensors = b"", b"", _tensors(tokens)
    for name, tensor in tensors.items():
        data += b"\0" * (-len(data) % _ALIGNMENT)
        shape = b"".join(struct.pack("<Q", size) for size in tensor.shape[::-1])
        infos += _string(name) + struct.pack("<I", tensor.ndim) + shape + struct.pack("<IQ", 0, len(data))
        data += tensor.astype("<f4").tobytes()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(known)) + b"".join(known) + infos
    path.write_bytes(head + b"\0" * (-len(head) % _ALIGNMENT) + data)


def _tensors(tokens: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    size, same, nothing = _DIMENSIONS, np.eye(_DIMENSIONS), np.zeros((_DIMENSIONS, _DIMENSIONS))
    ones, zeros = np.ones(size), np.zeros(size)
    embeddings = 0.1 * np.eye(len(tokens), size)
    embeddings[tokens.index("\u2581bell"), _BELL] = 8.0
    head = np.zeros((1, size))
    head[0, _BELL] = 4.0
    weights = {
        "token_embd": embeddings,
        "token_types": np.zeros((2, size)),
        "position_embd": np.zeros((CONTEXT, size)),
        "cls.output": head,
    }
    # Without queries and keys attention is the average; the layer behind it adds nothing.
    square = {
        "blk.0.attn_q": nothing,
        "blk.0.attn_k": nothing,
        "blk.0.attn_v": same,
        "blk.0.attn_output": same,
        "blk.0.ffn_up": nothing,
        "blk.0.ffn_down": nothing,
        "cls": same,
    }
    norms = ("token_embd_norm", "blk.0.attn_output_norm", "blk.0.layer_output_norm")
    return {
        **{f"{name}.weight": weight for name, weight in (weights | square).items()},
        **{f"{name}.bias": zeros for name in square},
        **{f"{name}.weight": ones for name in norms},
        **{f"{name}.bias": zeros for name in norms},
        "cls.output.bias": np.zeros(1),
    }


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _text(key: str, value: str) -> bytes:
    return _string(key) + struct.pack("<I", _STRING) + _string(value)


def _number(key: str, value: int) -> bytes:
    return _string(key) + struct.pack("<II", _U32, value)


def _array(key: str, kind: int, items: Sequence[bytes]) -> bytes:
    return _string(key) + struct.pack("<IIQ", _ARRAY, kind, len(items)) + b"".join(items)
