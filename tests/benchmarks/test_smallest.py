"""Every `rag bench` command at its smallest size, with its peers, from an empty RAG_HOME.

A benchmark that cannot be run again is no figure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import app
from benchmarks.query.peers import PEERS
from tests.support.browser import CHROMIUM, NEEDS

pytestmark = [pytest.mark.benchmarks, pytest.mark.timeout(1800)]

SMALLEST: dict[str, str] = {
    "embed": "--texts 2 --tokens 64 --rounds 1",
    "retrieval": "--data {data}",
    "generations": "--chunks 200 --rate 2 --edits 1 --rounds 1 --idle-seconds 2",
    "ingest": "--documents 3 --unchanged 2 4 --memory 2 4 --rounds 1",
    "scale": "--sizes 3 --sizes 9",
    "rows": "--sizes 100 --sizes 300",
    "query": "--chunks 300 --in-flight 1 --seconds 1 --rounds 1 --rate 5 --open-seconds 1 --engine-inside --overload",
    "abuse": "--seconds 1 --rounds 1 --chunks 300 --pushes 3",
    "stream": "--documents 2 --burst 3",
    "answers": "--data {data}",
    "console": "--sources 2 --runs 10 --sessions 1 --rounds 1",
}
RUNS_THE_OTHERS = {"all"}
MEASURES_A_STACK = {"idle", "sources"}
"""They look at the stack that runs, `idle` in the test of a whole stack."""
PEER_ROWS = {
    "ingest": {"CocoIndex, round 1", "CocoIndex"},
    "query": {peer.name for peer in PEERS},
    "stream": {"pathway"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One RAG_HOME for all, with the model and the peers' environments. RAG_TEST_BENCH_HOME names one that is kept."""
    kept = os.environ.get("RAG_TEST_BENCH_HOME")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("bench")
    folder.chmod(0o755)  # the database server may run as another user
    yield folder
    assert not list((folder / "bench").glob("run-*")), "a benchmark left its installation behind"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled set of two documents, with answers."""
    folder = tmp_path_factory.mktemp("data")
    documents = {"d1": "The pump is cleaned every four weeks.", "d2": "Invoices are paid within thirty days."}
    questions = {
        "q1": ("How often is the pump cleaned?", "four weeks"),
        "q2": ("When are invoices paid?", "thirty days"),
    }
    corpus = [{"_id": name, "title": "", "text": text} for name, text in documents.items()]
    queries = [{"_id": name, "text": text, "answers": [answer]} for name, (text, answer) in questions.items()]
    for name, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n", encoding="utf-8")
    return folder


def test_every_command_has_a_smallest_size() -> None:
    commands = {name for name in app if not name.startswith("-")}
    assert commands == SMALLEST.keys() | RUNS_THE_OTHERS | MEASURES_A_STACK


@pytest.mark.parametrize("command", SMALLEST)
def test_a_benchmark_runs_from_a_fresh_checkout(command: str, home: Path, data: Path) -> None:
    if command == "console" and CHROMIUM is None:
        pytest.skip(NEEDS)
    report = _run(home, "bench", command, *SMALLEST[command].format(data=data).split())
    assert report["tables"]
    assert all(table["rows"] for table in report["tables"])
    names = {str(row[column]) for table in report["tables"] for row in table["rows"] for column in (0, 1)}
    for peer in PEER_ROWS.get(command, ()):
        assert any(peer in name for name in names), f"no figure of {peer}"


def _run(home: Path, *arguments: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).parent / "rag"), *arguments, "--output", "json"]
    environment = {**os.environ, "RAG_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1700, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    data: dict[str, Any] = json.loads(done.stdout)["data"]
    return data
