"""The bundled model, for real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag_core.embedding.bundle import open_bundle
from rag_core.embedding.graph import build_graph
from rag_core.embedding.onnx import GRAPH_FILE, OnnxEmbedder
from rag_core.errors import DataCorruption, Reason

pytestmark = pytest.mark.slow

ENGLISH = [
    ("How do I reset my password?", "To set a new password, open the settings and choose Security."),
    ("Which animal is the largest?", "The blue whale is the biggest animal that has ever lived."),
    ("How do I apply for annual leave?", "Staff hand in a request for holiday in the personnel system."),
]
CHINESE = [
    ("如何重置密码？", "要设置新密码，请打开设置并选择安全选项。"),
    ("最大的动物是什么？", "蓝鲸是有史以来体型最大的动物。"),
    ("怎样申请年假？", "员工可以在人事系统中提交休假申请。"),
]


@pytest.fixture(scope="module")
def embedder(model_dir: Path) -> Iterator[OnnxEmbedder]:
    opened = OnnxEmbedder(model_dir, threads=2)
    yield opened
    opened.close()


@pytest.mark.parametrize("asked", [ENGLISH, CHINESE], ids=["en", "zh"])
@pytest.mark.parametrize("found", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_each_question_finds_its_passage_in_and_across_languages(
    embedder: OnnxEmbedder, asked: list[tuple[str, str]], found: list[tuple[str, str]]
) -> None:
    queries = embedder.embed_queries([query for query, _ in asked])
    passages = embedder.embed_passages([passage for _, passage in found])
    assert (queries @ passages.T).argmax(axis=1).tolist() == [0, 1, 2]


def test_queries_and_passages_carry_different_prefixes(embedder: OnnxEmbedder) -> None:
    assert not np.allclose(embedder.embed_queries(["fish"]), embedder.embed_passages(["fish"]), atol=1e-3)


def test_a_vector_does_not_depend_on_its_neighbours(embedder: OnnxEmbedder) -> None:
    texts = [text for pair in ENGLISH + CHINESE for text in pair]
    together = embedder.embed_passages(texts)
    apart = np.concatenate([embedder.embed_passages([text]) for text in texts])
    assert (together == apart).all()


HOSTILE = {
    "expanding": "\ufdfa" * 2000,
    "surrogate": "\ud800 lone",
    "nul": "nul\x00inside",
    "one-token": "x" * 10_000,
    "empty": "",
    "blank": " \n\t",
    "zero-width": "\u200b",
    "emoji": "\U0001f3f3\ufe0f\u200d\U0001f308" * 900,
    "control": "\u202e\x1b[31m",
}


@pytest.mark.catalogue("B23")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_gets_a_usable_vector(embedder: OnnxEmbedder, text: str) -> None:
    first, second = embedder.embed_passages([text]), embedder.embed_passages([text, "other"])[:1]
    assert np.isfinite(first).all()
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    assert (first == second).all()


def test_text_beyond_the_limit_is_cut_not_refused(embedder: OnnxEmbedder) -> None:
    long = "word " * 600
    assert (embedder.embed_passages([long]) == embedder.embed_passages([long + "and more"])).all()


def test_the_graph_is_the_same_bytes_every_time() -> None:
    bundle = open_bundle()
    assert build_graph(bundle) == build_graph(bundle)


@pytest.mark.catalogue("S45")
def test_a_changed_graph_is_refused(tmp_path: Path, model_dir: Path) -> None:
    for original in model_dir.glob("e5-*"):
        (tmp_path / original.name).write_bytes(original.read_bytes())
    path = GRAPH_FILE.find(tmp_path)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(DataCorruption) as caught:
        OnnxEmbedder(tmp_path)
    assert caught.value.reason == Reason.MODEL_CORRUPT
