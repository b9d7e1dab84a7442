"""What the benchmarks feed in is the same every time, and different where it must be. Benchmarks may send their own
texts to a remote embedder; every one of them opens it where that is said. Peers run our embedder in environments of
their own, with the packages that are derived for it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import distribution
from pathlib import Path
from threading import Thread

import numpy as np
from pytest_httpserver import HTTPServer

from benchmarks.ingest.corpus import write_corpus, write_long_document
from benchmarks.own_text import open_embedder
from benchmarks.peers.install import ROOT, peer_environment
from benchmarks.query.corpus import chunk_texts
from benchmarks.query.recall import share_of
from benchmarks.texts import chinese_passages, english_passages
from benchmarks.vectors import VectorCache, shaped_like
from rag_core.content.embedding import Vectors
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.content.embedding.tokenizer import E5TokenCounter
from tests.support.egress import Recorder


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


BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
# `answers` asks tenants of the stack as well, whose policies hold; peers run in environments without endpoints.
OTHERS = {"answers/run.py", "own_text.py"}


def test_a_remote_embedder_gets_the_texts_of_benchmarks(httpserver: HTTPServer, tmp_path: Path) -> None:
    recorder = Recorder(httpserver)
    with closing(open_embedder(recorder.settings(egress_default="none"))) as embedder:
        with closing(VectorCache(tmp_path, embedder)) as vectors:
            assert np.array_equal(vectors.passages(["A pump."]), [[1.0, 0.0]])
        thread = Thread(target=embedder.embed_queries, args=(["Which pump?"],))  # as load is made
        thread.start()
        thread.join()
    assert [len(body["input"]) for body in recorder.bodies] == [1, 1]


def test_every_benchmark_says_whose_text_it_embeds() -> None:
    unsaid = re.compile(r"from rag_core\.embedding import .*\bopen_embedder\b")
    found = {str(path.relative_to(BENCHMARKS)) for path in BENCHMARKS.rglob("*.py") if unsaid.search(path.read_text())}
    assert {name for name in found if not name.startswith("peers/")} <= OTHERS


PEER = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from rag_core.content.embedding import open_embedder
from rag_core.settings import Settings
print(open_embedder(Settings(home=Path(sys.argv[3]), embedder="onnx")).embed_queries(["a question"]).shape)
"""


def test_the_embedder_runs_where_there_are_only_the_packages_that_a_peer_gets(model_home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.peers.needs", str(model_home)]
    found = subprocess.run(command, env=peer_environment(), capture_output=True, text=True, check=True)
    for line in found.stdout.split():
        package = distribution(line.partition("==")[0])
        for name in {file.parts[0] for file in package.files or ()} - {".."}:
            if not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(str(package.locate_file(name)))
    isolated = [sys.executable, "-I", "-S", "-c", PEER, str(ROOT), str(tmp_path), str(model_home)]
    done = subprocess.run(isolated, env=peer_environment(), capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("(1, 384)", "")
