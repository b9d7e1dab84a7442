"""Build the dynamic int8 network as an ONNX model (needs `onnx`; runs only at the first start).

Inputs: `embeddings` float32 [batch, length, hidden], the token embeddings (the caller reads them from the 4-bit table);
`lengths` int32 [batch], how many of them are text. Outputs: `vectors` float32 [batch, hidden], mean over the text,
L2-normalised, and the states of the tokens before that mean, named by `networks.last_state`. Linear layers are int8
with one scale per output column; their inputs are quantised at run time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from rag_core.content.embedding.bundle import MODEL_NAME, Bundle, Floats

CONTRIB = "com.microsoft"  # ONNX Runtime's own fused operators


def build_graph(bundle: Bundle) -> bytes:
    """The serialised model. Equal input gives equal bytes."""
    graph = GraphBuilder()
    hidden = _encoder(graph, bundle)
    _mean_pool(graph, hidden)
    size = bundle.shape.hidden
    return graph.serialise(
        [
            helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", "length", size]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", size]),
            helper.make_tensor_value_info(hidden, TensorProto.FLOAT, ["batch", "length", size]),
        ],
    )


class GraphBuilder:
    """Collects nodes and constants; every method returns the name of a tensor."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, *more: str, domain: str = "", **extra: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output, *more], name=output, domain=domain, **extra))
        return output

    def serialise(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> bytes:
        graph = helper.make_graph(self._nodes, MODEL_NAME, inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return bytes(model.SerializeToString(deterministic=True))


def _encoder(graph: GraphBuilder, bundle: Bundle) -> str:
    shape = bundle.shape
    position = bundle.floats("emb.pos").reshape(-1, shape.hidden) + bundle.floats("emb.type")[: shape.hidden]
    graph.constant("zero", np.array([0], np.int64))
    graph.constant("one", np.array([1], np.int64))
    graph.node("Shape", ["embeddings"], "length", start=1, end=2)
    graph.node("Slice", [graph.constant("position", position), "zero", "length", "zero"], "position.used")
    graph.node("Add", ["embeddings", "position.used"], "placed")
    scale, bias = _norm_constants(graph, bundle, "emb.ln")
    state = graph.node("LayerNormalization", ["placed", scale, bias], "start", axis=-1, epsilon=shape.epsilon)
    for layer in range(shape.layers):
        state = _layer(graph, bundle, state, f"l{layer}.")
    return state


def _layer(graph: GraphBuilder, bundle: Bundle, state: str, name: str) -> str:
    size, wide = bundle.shape.hidden, bundle.shape.feed_forward
    joined = _linear(graph, bundle, state, name + "qkv", [name + part for part in "qkv"], (size, size))
    graph.node("Split", [joined], name + "query", name + "key", name + "value", axis=-1, num_outputs=3)
    graph.node(
        "MultiHeadAttention",
        [name + "query", name + "key", name + "value", "", "lengths"],
        name + "context",
        domain=CONTRIB,
        num_heads=bundle.shape.heads,
    )
    attended = _linear(graph, bundle, name + "context", name + "attended", [name + "ao"], (size, size))
    middle = _add_and_norm(graph, bundle, attended, state, name + "aln")
    inner = _linear(graph, bundle, middle, name + "inner", [name + "fi"], (wide, size))
    active = graph.node("Gelu", [inner], name + "active")
    outer = _linear(graph, bundle, active, name + "outer", [name + "fo"], (size, wide))
    return _add_and_norm(graph, bundle, outer, middle, name + "oln")


def _linear(
    graph: GraphBuilder, bundle: Bundle, state: str, output: str, parts: list[str], shape: tuple[int, int]
) -> str:
    """One int8 product with bias. Several `parts` that share their input become one wider product."""
    weights = np.concatenate([bundle.matrix(f"{part}.w", *shape) for part in parts]).T
    bias = np.concatenate([bundle.floats(f"{part}.b") for part in parts])
    quantised, scale = quantise_columns(weights)
    names = [
        graph.constant(output + ".weights", quantised),
        graph.constant(output + ".scale", scale),
        graph.constant(output + ".zero", np.zeros(scale.shape, np.int8)),
        graph.constant(output + ".bias", bias),
    ]
    return graph.node("DynamicQuantizeMatMul", [state, *names], output, domain=CONTRIB)


def quantise_columns(weights: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Quantise to symmetric int8 with one scale per column."""
    scale = np.abs(weights).max(axis=0) / np.float32(127)
    scale[scale == 0] = 1
    return np.rint(weights / scale).astype(np.int8), scale


def _norm_constants(graph: GraphBuilder, bundle: Bundle, name: str) -> tuple[str, str]:
    return (
        graph.constant(name + ".scale", bundle.floats(name + ".w")),
        graph.constant(name + ".bias", bundle.floats(name + ".b")),
    )


def _add_and_norm(graph: GraphBuilder, bundle: Bundle, left: str, right: str, name: str) -> str:
    return graph.node(
        "SkipLayerNormalization",
        [left, right, *_norm_constants(graph, bundle, name)],
        name,
        domain=CONTRIB,
        epsilon=bundle.shape.epsilon,
    )


def _mean_pool(graph: GraphBuilder, state: str) -> None:
    """Mean over the first `lengths` positions of each row, then L2 normalisation."""
    graph.constant("range.start", np.array(0, np.int32))
    graph.constant("range.step", np.array(1, np.int32))
    graph.node("Squeeze", ["length"], "length.scalar")
    graph.node("Cast", ["length.scalar"], "length.int32", to=TensorProto.INT32)
    graph.node("Range", ["range.start", "length.int32", "range.step"], "positions")
    graph.node("Unsqueeze", ["lengths", "one"], "lengths.column")
    graph.node("Less", ["positions", "lengths.column"], "is_text")
    graph.node("Cast", ["is_text"], "weight", to=TensorProto.FLOAT)
    graph.node("Unsqueeze", ["weight", "one"], "weight.row")
    graph.node("MatMul", ["weight.row", state], "summed")
    graph.node("Squeeze", ["summed", "one"], "sum")
    # L2 normalisation makes the division by the count unnecessary.
    graph.node("LpNormalization", ["sum"], "vectors", axis=-1, p=2)
