"""Benchmarks may send their own texts to a remote embedder; every one of them opens it where that is said."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from threading import Thread

import numpy as np
from pytest_httpserver import HTTPServer

from benchmarks.own_text import open_embedder
from benchmarks.vectors import VectorCache
from tests.support.egress import Recorder

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
