"""The retrieval benchmark on a small labelled set, through the real index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import retrieval
from benchmarks.retrieval.indexing import best_chunks
from rag_core.answering.evaluation import load_datasets
from rag_core.errors import InvalidInput
from rag_core.settings import Settings

TEXTS = {
    "cats": "Cats sleep most of the day and hunt at night.",
    "bread": "Bread is baked from flour, water, salt and yeast.",
    "stars": "Stars shine because hydrogen fuses into helium.",
}
QUERIES = {"1": "why do stars shine", "2": "how is bread baked"}


def write_set(folder: Path, **changes: str) -> Path:
    folder.mkdir(parents=True)
    files = {
        "corpus.jsonl": "\n".join(json.dumps({"_id": key, "title": "", "text": text}) for key, text in TEXTS.items()),
        "queries.jsonl": "\n".join(json.dumps({"_id": key, "text": text}) for key, text in QUERIES.items()),
        "qrels.tsv": "query-id\tcorpus-id\tscore\n1\tstars\t1\n2\tbread\t1\n2\tcats\t0\n",
    } | changes
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize("whole", [False, True])
def test_every_mode_is_scored_through_the_real_index(tmp_path: Path, model_home: Path, whole: bool) -> None:
    write_set(tmp_path / "sets" / "tiny")
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(model_home / "models")
    settings = Settings(home=home, embedder="fake")
    report = retrieval.run(
        settings, tmp_path / "sets", whole_documents=whole, max_queries=None, progress=lambda done, total: None
    )
    rows = {row[4]: row for row in report.tables[0].rows}
    assert set(rows) == {"dense", "BM25", "hybrid"}
    assert (rows["BM25"][0], *rows["BM25"][2:4]) == ("tiny", 3, 2)
    assert rows["BM25"][5:] == (1, 1, 1)
    assert [target.met for target in report.targets] == [True]


def test_chunkers_are_compared_by_size_overlap_and_headings(tmp_path: Path, model_home: Path) -> None:
    write_set(tmp_path / "sets" / "tiny")
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(model_home / "models")
    report = retrieval.run(
        Settings(home=home, embedder="fake"), tmp_path / "sets", whole_documents=False, max_queries=None,
        progress=lambda done, total: None, sweep=[(64, 16, True), (64, 0, False)],
    )  # fmt: skip
    names = list(dict.fromkeys(row[1] for row in report.tables[0].rows))
    assert names == ["64 tokens, overlap 16", "64 tokens, overlap 0, without headings"]


def test_judgements_of_zero_are_not_relevant(tmp_path: Path) -> None:
    (dataset,) = load_datasets(write_set(tmp_path / "tiny"))
    assert dataset.judgements == {"1": {"stars": 1}, "2": {"bread": 1}}


def test_a_folder_without_a_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"corpus\.jsonl"):
        load_datasets(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"), [("corpus.jsonl", "{"), ("queries.jsonl", "{}"), ("qrels.tsv", "a\tb\n1\t2")]
)
def test_a_malformed_set_is_refused(tmp_path: Path, name: str, content: str) -> None:
    folder = write_set(tmp_path / "tiny")
    (folder / name).write_text(content)
    with pytest.raises(InvalidInput, match="tiny is malformed"):
        load_datasets(folder)


def test_a_document_ranks_where_its_best_chunk_does() -> None:
    assert best_chunks(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]
