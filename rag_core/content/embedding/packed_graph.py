"""Build the static int8 network as an ONNX model (needs `onnx`; runs only at the first start).

One run takes up to `SLOTS` texts of any length, one behind the other, without padding:

    embeddings  float32 [1, tokens, hidden]   token embeddings (the caller reads them from the 4-bit table)
    positions   int64 [tokens]                position of each token in its text
    several     bool                          false: one text, and `sizes` is not read
    few         bool                          true: `FEW_SLOTS` texts at most, and the other sizes are not read
    sizes       int64 [SLOTS]                 tokens of each text; at least 1, so unused slots have a token too
    members     float32 [1, texts, tokens]    1 where a token belongs to a text
    vectors     float32 [texts, hidden]       output: mean over each text, L2-normalised
    (state)     float32 [1, tokens, hidden]   output: the tokens before that mean, named by `networks.last_state`

Every layer but attention works on tokens alone, and attention runs once for each text, on its own tokens only. Linear
layers are int8 with one scale per output column; their inputs have recorded scales. So nothing of a text's vector
depends on its neighbours but the order in which the last sum adds up (below 1e-6).

ONNX Runtime's LayerNormalization behind an Add takes a fifth of the time of its fused SkipLayerNormalization, and
MultiHeadAttention has a faster path for calls without a mask (docs/history/measurements.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from rag_core.content.embedding.bundle import MODEL_NAME, Bundle, Floats
from rag_core.content.embedding.calibration import Calibration
from rag_core.content.embedding.networks import FEW_SLOTS, SLOTS

CONTRIB = "com.microsoft"  # ONNX Runtime's own fused operators
_LEVELS = 255  # of uint8


def build_packed_graph(bundle: Bundle, calibration: Calibration | None) -> bytes:
    """The serialised model; equal input gives equal bytes. Without a calibration it is the network in float32."""
    return _Packed(bundle, calibration).build()


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


class _Packed:
    def __init__(self, bundle: Bundle, calibration: Calibration | None) -> None:
        self._bundle, self._calibration = bundle, calibration
        self._graph = GraphBuilder()

    def build(self) -> bytes:
        graph, shape = self._graph, self._bundle.shape
        position = self._bundle.floats("emb.pos").reshape(-1, shape.hidden)
        position = position + self._bundle.floats("emb.type")[: shape.hidden]
        graph.node("Gather", [graph.constant("position", position), "positions"], "position.used")
        graph.node("Add", ["embeddings", "position.used"], "placed")
        bounds = [graph.constant(f"few.{name}", np.array([at], np.int64)) for name, at in (("0", 0), ("n", FEW_SLOTS))]
        graph.node("Slice", ["sizes", *bounds], "few.sizes")
        state = self._norm("placed", "emb.ln", "start")
        for layer in range(shape.layers):
            state = self._layer(state, f"l{layer}.")
        graph.node("MatMul", ["members", state], "summed")
        graph.node("Squeeze", ["summed", graph.constant("zero", np.array([0], np.int64))], "sum")
        # L2 normalisation makes the division by the count unnecessary.
        graph.node("LpNormalization", ["sum"], "vectors", axis=-1, p=2)
        return graph.serialise(
            [
                helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, [1, "tokens", shape.hidden]),
                helper.make_tensor_value_info("positions", TensorProto.INT64, ["tokens"]),
                helper.make_tensor_value_info("several", TensorProto.BOOL, []),
                helper.make_tensor_value_info("few", TensorProto.BOOL, []),
                helper.make_tensor_value_info("sizes", TensorProto.INT64, [SLOTS]),
                helper.make_tensor_value_info("members", TensorProto.FLOAT, [1, "texts", "tokens"]),
            ],
            [
                helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", shape.hidden]),
                helper.make_tensor_value_info(state, TensorProto.FLOAT, [1, "tokens", shape.hidden]),
            ],
        )

    def _layer(self, state: str, name: str) -> str:
        size, wide = self._bundle.shape.hidden, self._bundle.shape.feed_forward
        joined = self._linear(state, name + "qkv", [name + part for part in "qkv"], (size, size))
        one, several = self._attention_of_one(joined, name), self._attention_of_several(joined, name)
        context = self._graph.node("If", ["several"], name + "context", then_branch=several, else_branch=one)
        attended = self._linear(context, name + "attended", [name + "ao"], (size, size))
        middle = self._add_and_norm(attended, state, name + "aln")
        inner = self._linear(middle, name + "inner", [name + "fi"], (wide, size))
        active = self._graph.node("Gelu", [inner], name + "active")
        outer = self._linear(active, name + "outer", [name + "fo"], (size, wide))
        return self._add_and_norm(outer, middle, name + "oln")

    def _attention_of_one(self, joined: str, name: str) -> onnx.GraphProto:
        parts = [name + "one." + part for part in "qkv"]
        return _branch([_split(joined, parts), self._attend(parts, name + "one")])

    def _attention_of_several(self, joined: str, name: str) -> onnx.GraphProto:
        """An unused slot costs each layer as much as a short text: there are as few as possible."""
        few = self._attention_of_each(joined, name + "few", "few.sizes", FEW_SLOTS)
        many = self._attention_of_each(joined, name + "many", "sizes", SLOTS)
        return _branch([helper.make_node("If", ["few"], [name + "several"], then_branch=few, else_branch=many)])

    def _attention_of_each(self, joined: str, name: str, sizes: str, slots: int) -> onnx.GraphProto:
        parts = [f"{name}.{part}" for part in "qkv"]
        nodes = [_split(joined, parts)]
        for part in parts:
            own = [f"{part}{slot}" for slot in range(slots)]
            nodes.append(helper.make_node("Split", [part, sizes], own, axis=1))
        contexts = [f"{name}.{slot}" for slot in range(slots)]
        for slot, context in enumerate(contexts):
            nodes.append(self._attend([f"{part}{slot}" for part in parts], context))
        nodes.append(helper.make_node("Concat", contexts, [name], axis=1))
        return _branch(nodes)

    def _attend(self, parts: list[str], output: str) -> onnx.NodeProto:
        heads = self._bundle.shape.heads
        return helper.make_node("MultiHeadAttention", parts, [output], name=output, domain=CONTRIB, num_heads=heads)

    def _linear(self, state: str, output: str, parts: list[str], shape: tuple[int, int]) -> str:
        """One product with bias. Several `parts` that share their input become one wider product."""
        graph = self._graph
        weights = np.concatenate([self._bundle.matrix(f"{part}.w", *shape) for part in parts]).T
        bias = graph.constant(output + ".bias", np.concatenate([self._bundle.floats(f"{part}.b") for part in parts]))
        if self._calibration is None:
            graph.node("MatMul", [state, graph.constant(output + ".weights", weights)], output + ".product")
            return graph.node("Add", [output + ".product", bias], output)
        factors = self._calibration.factors.get(output)
        if factors is not None:
            weights = weights * factors[:, None]
            state = graph.node("Mul", [state, graph.constant(output + ".factors", 1 / factors)], output + ".smooth")
        quantised, scale = quantise_columns(weights)
        low, high = self._calibration.ranges[output]
        step = np.float32((high - low) / _LEVELS)
        input_scale = graph.constant(output + ".input_scale", np.array(step))
        input_zero = graph.constant(output + ".input_zero", np.array(np.rint(-low / step), np.uint8))
        rounded = graph.node("QuantizeLinear", [state, input_scale, input_zero], output + ".rounded")
        names = [
            rounded,
            graph.constant(output + ".weights", quantised),
            input_scale,
            graph.constant(output + ".scale", scale),
            input_zero,
            graph.constant(output + ".zero", np.zeros(scale.shape, np.int8)),
            bias,
        ]
        return graph.node("MatMulIntegerToFloat", names, output, domain=CONTRIB)

    def _norm(self, state: str, name: str, output: str) -> str:
        scale = self._graph.constant(name + ".scale", self._bundle.floats(name + ".w"))
        bias = self._graph.constant(name + ".bias", self._bundle.floats(name + ".b"))
        epsilon = self._bundle.shape.epsilon
        return self._graph.node("LayerNormalization", [state, scale, bias], output, axis=-1, epsilon=epsilon)

    def _add_and_norm(self, left: str, right: str, name: str) -> str:
        return self._norm(self._graph.node("Add", [left, right], name + ".sum"), name, name)


def _split(joined: str, parts: list[str]) -> onnx.NodeProto:
    return helper.make_node("Split", [joined], parts, axis=-1, num_outputs=len(parts))


def _branch(nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    """A branch of an If, whose output is that of its last node. Weights and inputs are those of the graph around it."""
    output = nodes[-1].output[0]
    return helper.make_graph(nodes, output, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)])


def quantise_columns(weights: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Quantise to symmetric int8 with one scale per column."""
    scale = np.abs(weights).max(axis=0) / np.float32(127)
    scale[scale == 0] = 1
    return np.rint(weights / scale).astype(np.int8), scale
