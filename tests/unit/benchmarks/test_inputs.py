"""What the benchmarks feed in is the same every time, and different where it must be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.ingest.corpus import write_corpus, write_long_document
from benchmarks.query.corpus import chunk_texts
from benchmarks.query.recall import share_of
from benchmarks.texts import chinese_passages, english_passages
from benchmarks.vectors import VectorCache, shaped_like
from rag_core.content.embedding import Vectors
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.embedding.tokenizer import E5TokenCounter


def test_passages_are_distinct_and_near_the_wanted_size(model_dir: Path) -> None:
    counter = E5TokenCounter(model_dir)
    for passages in (english_passages(12, 100, counter), chinese_passages(12, 100, counter)):
        assert len(set(passages)) == 12
        sizes = counter.count_many(passages)
        assert max(sizes) <= 110
        assert sum(sizes) / len(sizes) > 60


def test_a_corpus_is_reproducible_and_has_no_paragraph_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_corpus(tmp_path / name, 30)
    texts = [[path.read_text() for path in sorted((tmp_path / name).rglob("*.md"))] for name in ("a", "b")]
    assert texts[0] == texts[1]
    paragraphs = [part for text in texts[0] for part in text.split("\n\n")]
    assert len(set(paragraphs)) == len(paragraphs)


def test_an_edit_changes_one_paragraph(tmp_path: Path) -> None:
    write_long_document(tmp_path / "a.md", 20)
    write_long_document(tmp_path / "b.md", 20, edited=7)
    before, after = ((tmp_path / name).read_text().split("\n\n") for name in ("a.md", "b.md"))
    assert [place for place, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]] == [8]


def test_chunk_texts_are_distinct() -> None:
    assert len(set(chunk_texts(500))) == 500


def test_cached_vectors_equal_computed_ones_and_are_computed_once(tmp_path: Path) -> None:
    class Counting(FakeEmbedder):
        calls = 0

        def embed_passages(self, texts: Sequence[str]) -> Vectors:
            self.calls += len(texts)
            return super().embed_passages(texts)

    embedder = Counting()
    cache = VectorCache(tmp_path, embedder)
    try:
        first, again = cache.passages(["a", "b"]), cache.passages(["b", "c", "a"])
    finally:
        cache.close()
    assert embedder.calls == 3
    np.testing.assert_array_equal(again[[2, 0]], first)
    np.testing.assert_array_equal(first, FakeEmbedder().embed_passages(["a", "b"]))


def test_more_vectors_lie_between_a_passage_and_one_near_to_it() -> None:
    passages = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    passages /= np.linalg.norm(passages, axis=1, keepdims=True)
    made = shaped_like(passages, 180)
    assert made.shape == (180, 8)
    assert np.array_equal(made[:50], passages)
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    cosines = np.sort(passages @ passages.T, axis=1)[:, -17]
    nearest_two = np.sort(made[50:] @ passages.T, axis=1)[:, -2:]
    assert (nearest_two.min(axis=1) > cosines.min()).all(), "each is near to two passages"
    assert np.array_equal(shaped_like(passages, 20), passages[:20])
    assert np.array_equal(made, shaped_like(passages, 180)), "the same every time"


def test_recall_is_the_share_of_the_nearest_texts_that_were_found() -> None:
    nearest = [frozenset({"a", "b"}), frozenset({"c", "d"})]
    assert share_of([["a", "x", "b"], ["d", "y"]], nearest) == 0.75
