"""An index that a release with one network built, served by a server whose setting names another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from rag_core.content.embedding.onnx import OnnxEmbedder
from rag_core.database import open_store
from rag_core.ingestion.generations import store as generations
from rag_core.retrieval.index import GenerationSpec, VectorIndex
from rag_core.settings import Settings
from ragproto.query.v2 import query_pb2 as pb
from ragproto.query.v2 import query_pb2_grpc
from tests.support.models import model_dir, model_home
from tests.support.postgres import temporary_database
from tests.support.query_server import GENERATION, Doc, RunningServer, fill, running

__all__ = ["model_dir", "model_home"]

pytestmark = pytest.mark.slow
OLD_SETTINGS = {"embedder": "onnx", "chunk_tokens": 200, "chunk_overlap": 0}
"""As releases with one network wrote them with a generation."""
TEXTS = ("The vacation policy grants 25 days of paid leave.", "The office in Lisbon opens at nine.")
DOCS = [Doc(text, locator=f"{number}.txt") for number, text in enumerate(TEXTS)]
QUESTION = "how many days of leave are there"


def test_a_query_is_embedded_by_the_network_that_built_the_generation(tmp_path: Path, model_dir: Path) -> None:
    (tmp_path / "models").symlink_to(model_dir)
    with (
        closing(OnnxEmbedder(model_dir, threads=1, network="dynamic-int8")) as old,
        closing(OnnxEmbedder(model_dir, threads=1, network="static-int8")) as new,
        _upgraded(tmp_path, old, new) as server,
    ):
        stub = query_pb2_grpc.QueryServiceStub(server.channel)
        asked = pb.SearchRequest(query=QUESTION, mode=pb.SEARCH_MODE_DENSE)
        found = stub.Search(asked, metadata=server.auth(), timeout=30)
        scores = [passage.score for passage in found.passages]
        passages = old.embed_passages(TEXTS).T
        by_old, by_new = (np.sort((one.embed_queries([QUESTION]) @ passages)[0])[::-1] for one in (old, new))
    assert found.generation == GENERATION
    assert not np.allclose(by_old, by_new, atol=1e-4), "the networks cannot be told apart"
    np.testing.assert_allclose(scores, by_old, atol=1e-5)


@contextmanager
def _upgraded(home: Path, old: OnnxEmbedder, new: OnnxEmbedder) -> Iterator[RunningServer]:
    """A server of today, whose default network is the new one, over the index and the rows of the old one."""

    def filled(index: VectorIndex) -> VectorIndex:
        fill(index, DOCS, old)
        return index

    with temporary_database() as url:
        with closing(open_store(Settings(home=home, database_url=url))) as store, store.engine.begin() as connection:
            spec = GenerationSpec(GENERATION, old.dimensions, old.fingerprint, "chunker")
            generations.add(connection, spec, OLD_SETTINGS)
            generations.activate(connection, GENERATION)
        with running(
            home,
            wrap=filled,
            open_store=lambda: open_store(Settings(home=home, database_url=url), or_newer=True),
            dependencies={"embedder": new},
            embedder="onnx",
        ) as server:
            yield server
