"""The retrieval benchmark on a small labelled set, through the real index. Rank metrics against values worked out by
hand."""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from benchmarks import retrieval
from benchmarks.processes import qdrant_environment, qdrant_left_clean
from benchmarks.query.corpus import TENANT, chunk_texts, fill_index
from benchmarks.query.systems import engine_only
from benchmarks.retrieval.indexing import best_chunks
from benchmarks.vectors import text_vectors
from rag_core.answering.evaluation import load_datasets, ndcg, recall, reciprocal_rank
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.errors import InvalidInput
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.index import SearchRequest
from rag_core.settings import Settings
from tests.support.postgres import temporary_database
from tests.support.qdrant_shards import Cluster
from tests.support.qdrant_wire import served

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


def test_what_a_benchmark_makes_on_a_server_is_searched_and_then_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, embedder = Cluster(), FakeEmbedder()
    with temporary_database() as database, served(cluster) as url:
        own = Settings(home=tmp_path, database_url=database, qdrant_url=url, qdrant_write_parallel=2)
        with qdrant_left_clean(own):
            with closing(open_index(own)) as index:
                assert isinstance(index, QdrantIndex)
                vectors = text_vectors(chunk_texts(40), embedder, tmp_path / "vectors")
                fill_index(index, chunk_texts(40), vectors, embedder.fingerprint, lambda done, total: None)
            for name, value in qdrant_environment(own).items():
                monkeypatch.setenv(name, value)
            with closing(open_index(Settings(home=tmp_path, database_url=database))) as index:
                engine_only(embedder, index)(chunk_texts(40)[7])
                wanted = SearchRequest(TENANT, ("everyone",), 1, text=chunk_texts(40)[7], vector=vectors[7])
                assert index.search(wanted).hits[0].payload.text == chunk_texts(40)[7]
        assert cluster.get_collections().collections == []
        assert cluster.get_aliases().aliases == []


def test_processes_of_an_installation_get_the_server_its_key_and_its_layout() -> None:
    given = Settings(qdrant_url="http://q:6334", qdrant_api_key=SecretStr("k" * 40), qdrant_shards=6)
    message = qdrant_environment(given)
    assert (message["RAG_QDRANT_URL"], message["RAG_QDRANT_SHARDS"]) == ("http://q:6334", "6")
    assert message["RAG_QDRANT_API_KEY"] == "k" * 40
    assert qdrant_environment(Settings()) == {}


GAINS = {"a": 3, "b": 1}


def test_the_ideal_order_scores_one() -> None:
    assert ndcg(["a", "b", "x"], GAINS) == pytest.approx(1)


def test_ndcg_discounts_by_the_logarithm_of_the_rank() -> None:
    dcg = 1 / math.log2(2) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 1 / math.log2(3)
    assert ndcg(["b", "x", "a"], GAINS) == pytest.approx(dcg / ideal)


def test_the_ideal_is_cut_at_the_same_rank() -> None:
    gains = {str(number): 1 for number in range(20)}
    assert ndcg([str(number) for number in range(10)], gains) == pytest.approx(1)


def test_nothing_beyond_the_cut_counts() -> None:
    ranking = [f"x{number}" for number in range(10)] + ["a"]
    assert (ndcg(ranking, GAINS), recall(ranking, GAINS), reciprocal_rank(ranking, GAINS)) == (0, 0, 0)


def test_recall_and_reciprocal_rank() -> None:
    assert recall(["x", "b"], GAINS) == 0.5
    assert reciprocal_rank(["x", "b"], GAINS) == 0.5


def test_no_judgements_score_nothing() -> None:
    assert (ndcg(["a"], {}), recall(["a"], {}), reciprocal_rank(["a"], {})) == (0, 0, 0)
