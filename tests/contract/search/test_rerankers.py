"""The reranker interface: a tiny cross-encoder made here, and endpoints of every shape. They count the word `bell`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from pytest_httpserver import HTTPServer
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from rag_core.errors import ConfigError, DataCorruption, Reason
from rag_core.retrieval.search import Reranker, open_reranker
from rag_core.settings import Settings
from tests.support.rerank_server import KEY, MODEL, RerankServer

WORDS = ["[PAD]", "[UNK]", "[SEP]", "bell", "rings", "office", "ready"]


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A [SEP] $B:1", special_tokens=[("[SEP]", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def write_model(folder: Path, *, outputs: int = 1, broken: bool = False) -> None:
    """logit = the sum of a weight for each token, which says "bell" is relevant and nothing else is."""
    weights = np.zeros((len(WORDS), outputs), dtype=np.float32)
    weights[3, outputs - 1] = np.nan if broken else 1.0
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["each", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "t"]) for n in ("input_ids", "attention_mask")]
    graph = helper.make_graph(
        nodes,
        "tiny",
        inputs,
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", outputs])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "middle"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))


def opened(folder: Path, **changes: int) -> Reranker:
    reranker = open_reranker(Settings(home=folder, reranker_dir=folder, **changes))
    assert reranker is not None
    return reranker


SHAPES = ("tei", "cohere", "jina", "auto, tei", "auto, cohere", "llama.cpp")


@pytest.fixture(params=["one logit", "two logits", *SHAPES])
def reranker(request: pytest.FixtureRequest, tmp_path: Path, httpserver: HTTPServer) -> Iterator[Reranker]:
    if request.param in SHAPES:
        made = endpoint(httpserver, request.param)
    else:
        write_tokenizer(tmp_path)
        write_model(tmp_path, outputs=1 if request.param == "one logit" else 2)
        made = opened(tmp_path)
    yield made
    made.close()


def endpoint(httpserver: HTTPServer, kind: str) -> Reranker:
    spoken = kind.removeprefix("auto, ")
    settings = Settings(
        reranker_url=RerankServer(httpserver, spoken).url,
        reranker_shape="auto" if kind != spoken or spoken == "llama.cpp" else spoken,
        reranker_model=MODEL,
        reranker_api_key=KEY,
        reranker_scores="logit" if spoken == "llama.cpp" else "probability",
        rerank_timeout_seconds=30,
    )
    made = open_reranker(settings)
    assert made is not None
    return made


def test_scores_are_in_order_and_within_bounds(reranker: Reranker) -> None:
    scores = reranker.score("office", ["bell bell", "bell", "office rings"])
    assert scores == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1)), 0.5])
    assert reranker.score("office", []) == []


def test_a_text_scores_the_same_whatever_its_neighbours(reranker: Reranker) -> None:
    alone = reranker.score("office", ["bell rings"])[0]
    assert reranker.score("office", ["bell rings", *["bell " * 60] * 20])[0] == pytest.approx(alone)


def test_hostile_text_is_scored(reranker: Reranker) -> None:
    texts = ["", "\ufdfa" * 5000, "\x00\u202e", "bell" * 100_000]
    assert all(0 <= score <= 1 for score in reranker.score("bell " * 10_000, texts))


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    write_model(tmp_path)
    cut = opened(tmp_path, rerank_max_tokens=16)
    assert cut.score("office", ["bell " * 1000]) == pytest.approx([1 / (1 + np.exp(-14))])


def test_missing_files_are_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no"):
        opened(tmp_path)


def test_files_that_are_no_model_are_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(DataCorruption) as caught:
        opened(tmp_path)
    assert caught.value.reason is Reason.MODEL_CORRUPT


def test_scores_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    write_model(tmp_path, broken=True)
    with pytest.raises(DataCorruption):
        opened(tmp_path).score("bell", ["bell"])


def test_without_a_folder_there_is_no_reranker(tmp_path: Path) -> None:
    assert open_reranker(Settings(home=tmp_path)) is None
