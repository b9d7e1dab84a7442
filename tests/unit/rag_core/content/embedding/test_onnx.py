"""The bundled model, for real."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag_core.answering.late_interaction import match_tokens
from rag_core.content.embedding import calibration
from rag_core.content.embedding.bundle import open_bundle
from rag_core.content.embedding.calibration import load_calibration
from rag_core.content.embedding.networks import (
    RUN_TOKENS,
    SLOTS,
    STATIC_FILE,
    TokenTable,
    open_session,
    packed_inputs,
    plan_runs,
)
from rag_core.content.embedding.onnx import PASSAGE_PREFIX, OnnxEmbedder
from rag_core.content.embedding.packed_graph import build_packed_graph
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


@pytest.mark.parametrize("pairs", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_states_of_tokens_find_the_passage_of_each_question_and_say_where_each_token_stands(
    embedder: OnnxEmbedder, pairs: list[tuple[str, str]]
) -> None:
    questions, passages = [question for question, _ in pairs], [passage for _, passage in pairs]
    states = embedder.token_states(questions, passages)
    asked, found = states[: len(pairs)], states[len(pairs) :]
    scores = [[match_tokens(one, other).whole() for other in found] for one in asked]
    assert np.argmax(scores, axis=1).tolist() == list(range(len(pairs)))
    for text, one in zip([*questions, *passages], states, strict=True):
        assert np.allclose(np.linalg.norm(one.states.astype(np.float32), axis=1), 1, atol=5e-3)
        covered = {place for start, end in one.spans for place in range(start, end)}
        assert covered >= {place for place, char in enumerate(text) if char != " "}, "nothing is left out"
        assert covered <= set(range(len(text))), "neither the prefix nor a special token has a state"


def test_states_of_tokens_are_made_in_threads_that_give_way_to_queries(embedder: OnnxEmbedder) -> None:
    embedder.token_states(["fish"], [passage for _, passage in ENGLISH])
    embedder.embed_passages([passage for _, passage in ENGLISH])
    found = {"embed": set[int](), "embed-states": set[int]()}
    for thread in threading.enumerate():
        if (kind := thread.name.rpartition("_")[0]) in found and thread.native_id:
            found[kind].add(os.getpriority(os.PRIO_PROCESS, thread.native_id))
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert found["embed"] == {own}
    assert found["embed-states"]
    assert min(found["embed-states"]) > own


def test_queries_and_passages_carry_different_prefixes(embedder: OnnxEmbedder) -> None:
    assert not np.allclose(embedder.embed_queries(["fish"]), embedder.embed_passages(["fish"]), atol=1e-3)


def test_a_vector_does_not_depend_on_its_place_among_texts_of_any_length(embedder: OnnxEmbedder) -> None:
    texts = [f"item {number} " + "of a list " * (number % 7) for number in range(19)] + ["", "word " * 300]
    apart = np.concatenate([embedder.embed_queries([text]) for text in texts])
    np.testing.assert_allclose(embedder.embed_queries(texts), apart, atol=1e-6)
    np.testing.assert_allclose(embedder.embed_queries(texts[::-1])[::-1], apart, atol=1e-6)


def test_vectors_are_near_those_of_the_same_weights_in_float32(model_dir: Path) -> None:
    texts = [text for pair in ENGLISH + CHINESE for text in pair] + [
        "def parse(line: str) -> int:\n    return int(line)",
        "The committee met on 26 November 2026 and approved the budget for roads, schools and water. " * 8,
    ]
    bundle = open_bundle()
    exact, table = open_session(build_packed_graph(bundle, None)), TokenTable(bundle)
    opened = OnnxEmbedder(model_dir, threads=2)
    try:
        found = opened.embed_passages(texts)
        ids = [opened._token_ids(PASSAGE_PREFIX + text) for text in texts]
    finally:
        opened.close()
    expected = np.concatenate([exact.run(["vectors"], packed_inputs(table, [one]))[0] for one in ids])
    assert (found * expected).sum(axis=1).min() > 0.998


def test_short_texts_share_runs_and_long_ones_are_alone() -> None:
    assert plan_runs([20] * 10, SLOTS, threads=1) == [list(range(8)), [8, 9]]
    assert plan_runs([200, 30, 500, 30], SLOTS, threads=1) == [[2], [0, 1], [3]]
    assert plan_runs([20] * 3, 1, threads=1) == [[0], [1], [2]]
    assert plan_runs([], SLOTS, threads=2) == []


def test_a_run_of_any_number_of_texts_gives_each_the_vector_that_it_has_alone(embedder: OnnxEmbedder) -> None:
    texts = [passage for pair in ENGLISH + CHINESE for passage in pair][: embedder.texts_per_run]
    ids = [embedder._token_ids(text) for text in texts]
    alone = np.concatenate([embedder._network.run([one]) for one in ids])
    for count in range(1, len(texts) + 1):
        np.testing.assert_allclose(embedder._network.run(ids[:count]), alone[:count], atol=1e-6)


def test_a_few_texts_are_spread_over_the_threads() -> None:
    assert plan_runs([40] * 6, SLOTS, threads=2) == [[0, 1, 2], [3, 4, 5]]


def test_no_more_threads_are_used_than_the_setting_says(model_dir: Path) -> None:
    before = len(list(Path("/proc/self/task").iterdir()))
    opened = OnnxEmbedder(model_dir, threads=2)
    opened.embed_passages([f"passage {number}" for number in range(20)])
    opened.embed_queries([f"query {number}" for number in range(20)])
    used = len(list(Path("/proc/self/task").iterdir())) - before
    opened.close()
    assert used <= 2


def test_a_run_of_several_texts_is_bounded() -> None:
    lengths = [number % 120 + 1 for number in range(500)]
    for run in plan_runs(lengths, SLOTS, threads=2):
        assert len(run) <= SLOTS
        assert sum(lengths[row] for row in run) <= RUN_TOKENS


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
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_text_beyond_the_limit_is_cut_not_refused(embedder: OnnxEmbedder) -> None:
    long = "word " * 600
    assert (embedder.embed_passages([long]) == embedder.embed_passages([long + "and more"])).all()


def test_the_graph_is_the_same_bytes_every_time() -> None:
    bundle, recorded = open_bundle(), load_calibration()
    assert build_packed_graph(bundle, recorded) == build_packed_graph(bundle, recorded)


def test_a_changed_calibration_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "static_int8.npz"
    changed.write_bytes(calibration.FILE.read_bytes()[:-1] + b"x")
    for path in (changed, tmp_path / "missing.npz"):
        monkeypatch.setattr(calibration, "FILE", path)
        with pytest.raises(DataCorruption) as caught:
            load_calibration()
        assert caught.value.reason == Reason.MODEL_CORRUPT


@pytest.mark.catalogue("S45")
def test_a_changed_graph_is_refused(tmp_path: Path, model_dir: Path) -> None:
    for original in model_dir.glob("e5-*"):
        (tmp_path / original.name).write_bytes(original.read_bytes())
    path = STATIC_FILE.find(tmp_path)
    assert path is not None
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(DataCorruption) as caught:
        OnnxEmbedder(tmp_path)
    assert caught.value.reason == Reason.MODEL_CORRUPT
