"""The loopback index service: guarded by its secret, and the same index through the wire."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from rag_core.errors import InvalidInput, NotFound, Reason, Unauthenticated
from rag_core.retrieval.engines.remote import RemoteIndex
from rag_core.retrieval.index import DocumentUpdate, GenerationSpec, SearchRequest
from tests.support.query_server import INDEX_SECRET, Doc, RunningServer, failing, running, update_of

DOCS = [Doc("The bell rings at nine.\n\nThe door opens at ten."), Doc("Lisbon office.", locator="b", tenant="other")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running(tmp_path_factory.mktemp("index-service"), docs=DOCS) as started:
        yield started


@pytest.fixture
def remote(server: RunningServer) -> Iterator[RemoteIndex]:
    index = RemoteIndex(server.index_target, INDEX_SECRET, timeout=20, retry=0)
    yield index
    index.close()


@pytest.mark.parametrize("secret", ["", "wrong", INDEX_SECRET + "x", INDEX_SECRET[:-1]])
def test_a_wrong_secret_opens_nothing(server: RunningServer, secret: str) -> None:
    index = RemoteIndex(server.index_target, secret, timeout=20, retry=0)
    for call in (index.generations, lambda: index.drop("g1"), lambda: list(index.scroll("g1"))):
        with pytest.raises(Unauthenticated):
            call()
    index.close()
    assert server.index.generations()


def test_a_token_is_no_secret(server: RunningServer) -> None:
    with grpc.insecure_channel(server.index_target) as channel:
        call = channel.unary_unary("/ragproto.admin.v1.IndexService/ListGenerations", bytes, bytes)
        failure = failing(lambda: call(b"", metadata=server.auth(scopes=["admin", "query.read"])))
    assert failure.code is grpc.StatusCode.UNAUTHENTICATED


def test_the_index_port_carries_no_query_service(server: RunningServer) -> None:
    with grpc.insecure_channel(server.index_target) as channel:
        call = channel.unary_unary("/ragproto.query.v2.QueryService/Search", bytes, bytes)
        assert failing(lambda: call(b"", metadata=server.auth())).code is grpc.StatusCode.UNIMPLEMENTED


def test_reads_are_those_of_the_index(server: RunningServer, remote: RemoteIndex) -> None:
    assert remote.alias() == server.index.alias() == "g1"
    assert remote.generations() == server.index.generations()
    assert (remote.count("g1"), remote.count("g1", tenant="other")) == (3, 1)
    there = {point.chunk_id: point for batch in remote.scroll("g1", batch=2) for point in batch}
    here = {point.chunk_id: point for batch in server.index.scroll("g1") for point in batch}
    assert {key: point.payload for key, point in there.items()} == {key: point.payload for key, point in here.items()}
    assert all(np.array_equal(there[key].vector, here[key].vector) for key in here)
    assert {point.chunk_id for point in remote.fetch("g1", [*here, uuid.uuid4()])} == set(here)


def test_searches_are_those_of_the_index(server: RunningServer, remote: RemoteIndex) -> None:
    vector = server.embedder.embed_queries(["bell"])[0]
    request = SearchRequest(tenant="acme", acl=("everyone",), limit=5, text="bell", vector=vector)
    assert remote.search(request) == server.index.search(request)


def test_errors_keep_their_kind_and_reason(server: RunningServer, remote: RemoteIndex) -> None:
    with pytest.raises(NotFound) as missing:
        remote.count("nope")
    assert missing.value.reason is Reason.GENERATION_NOT_FOUND
    update = update_of(Doc("x", locator="bad"), server.embedder)
    bad = DocumentUpdate(update.doc_id, 1, (replace(update.points[0], vector=np.ones(3, np.float32)),))
    with pytest.raises(InvalidInput) as wrong:
        remote.apply("g1", [bad])
    assert wrong.value.reason is Reason.VECTOR_DIM


def test_a_generation_is_built_promoted_and_dropped_through_the_service(
    server: RunningServer, remote: RemoteIndex
) -> None:
    embedder = server.embedder
    remote.create(GenerationSpec("g2", embedder.dimensions, embedder.fingerprint, "chunker"))
    result = remote.apply("g2", [update_of(doc, embedder) for doc in DOCS])
    assert (result.upserted, result.removed, result.stale) == (3, 0, 0)
    gone = remote.apply("g2", [DocumentUpdate(DOCS[1].doc_id, 2)])
    assert gone.removed == 1
    remote.optimize("g2")
    points = [point.chunk_id for batch in remote.scroll("g2", with_vectors=False) for point in batch]
    assert remote.delete_points("g2", points[:1]) == 1
    remote.promote("g2")
    assert remote.alias() == "g2"
    remote.promote("g1")
    remote.drop("g2")
    assert [spec.name for spec in remote.generations()] == ["g1"]
    written = server.server.metrics.registry.get_sample_value(
        "rag_server_index_points_total", {"operation": "upserted"}
    )
    assert written
    assert written >= 3


def test_a_document_larger_than_a_message_is_applied_as_a_whole(server: RunningServer, remote: RemoteIndex) -> None:
    big = Doc("\n\n".join(f"{number} " + "word " * 400 for number in range(600)), locator="big")
    remote.create(GenerationSpec("g3", server.embedder.dimensions, server.embedder.fingerprint, "chunker"))
    assert remote.apply("g3", [update_of(big, server.embedder)]).upserted == 600
    remote.drop("g3")


def test_without_a_secret_the_service_is_not_served(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS, index_secret=None) as server:
        assert server.ports.index == 0
