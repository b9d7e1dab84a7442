"""Benchmarks against a Qdrant server by URL: over a real socket, its part played by memory mode.

The whole of `rag bench query` needs the model and a gateway, and memory mode is no engine to measure; this tests what a
URL changes: what is written there, that the server's processes find it, and that nothing is left behind.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from benchmarks.processes import qdrant_environment, qdrant_left_clean
from benchmarks.query.corpus import TENANT, chunk_texts, fill_index
from benchmarks.query.systems import engine_only
from benchmarks.vectors import text_vectors
from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.qdrant.index import QdrantIndex
from rag_core.retrieval.index import SearchRequest
from rag_core.settings import Settings
from tests.support.postgres import temporary_database
from tests.support.qdrant_shards import Cluster
from tests.support.qdrant_wire import served


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
