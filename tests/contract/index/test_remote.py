"""What lies between a pipeline and the process that owns the index."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import stamina
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.ports import free_port
from rag_core.errors import Reason, Unauthenticated, Unavailable
from rag_core.retrieval.engines import open_index
from rag_core.retrieval.engines.remote import RemoteIndex
from rag_core.retrieval.index import ApplyResult
from rag_core.settings import Settings
from tests.support.index_points import SPEC, ask, document, filled
from tests.support.postgres import fast_folder
from tests.support.query_server import INDEX_SECRET, RunningServer, running


@pytest.fixture
def folder() -> Iterator[Path]:
    path = fast_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def server(folder: Path) -> Iterator[RunningServer]:
    with running(folder) as started:
        yield started


def test_a_document_of_many_chunks_is_applied_as_one(server: RunningServer) -> None:
    """Far more than one message holds: it travels in pieces and changes the index once."""
    index = RemoteIndex(server.index_target, INDEX_SECRET, timeout=100, retry=0)
    filled(index)
    lines = [f"{n} " + "words of a long line " * 150 for n in range(1500)]
    assert index.apply("g1", [document("big", lines), document("small", ["wing"])]) == ApplyResult(upserted=1501)
    assert index.apply("g1", [document("big", lines[:1], version=2)]) == ApplyResult(upserted=1, removed=1499)
    assert index.count("g1") == 2
    index.close()


def test_an_index_is_read_to_its_end_although_connections_of_clients_are_renewed_meanwhile(folder: Path) -> None:
    """A million points take minutes. Their owner is one process, so renewing a connection to it would share nothing."""
    ages: dict[str, Any] = {
        "max_connection_age_seconds": 0.2,
        "max_deadline_seconds": 0.2,
        "default_deadline_seconds": 0.2,
    }
    with running(folder, **ages) as server:
        index = RemoteIndex(server.index_target, INDEX_SECRET, timeout=100, retry=0)
        filled(index, document("big", [f"{n} " + "words of a long line " * 150 for n in range(1500)]))
        pages = index.scroll("g1", batch=10)
        read = len(next(pages))
        with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError, match="UNAVAILABLE"):
            for _ in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()):
                pass  # until this younger connection is ended with its call
        assert read + sum(map(len, pages)) == 1500
        index.close()


def test_a_wrong_secret_is_refused(server: RunningServer) -> None:
    index = RemoteIndex(server.index_target, "wrong", timeout=30, retry=0)
    with pytest.raises(Unauthenticated):
        index.generations()
    index.close()


def test_settings_with_an_endpoint_lead_to_the_owner(server: RunningServer, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, index_endpoint=server.index_target, index_secret=INDEX_SECRET)
    index = open_index(settings)
    index.create(SPEC)
    assert server.index.generations() == [SPEC]
    index.close()


@pytest.mark.catalogue("F08")
def test_without_a_server_the_index_is_unavailable() -> None:
    index = RemoteIndex(f"127.0.0.1:{free_port()}", INDEX_SECRET, timeout=30, retry=0)
    with pytest.raises(Unavailable) as raised:
        index.count("g1")
    assert raised.value.reason is Reason.INDEX_UNAVAILABLE
    with pytest.raises(Unavailable):
        list(index.scroll("g1"))
    index.close()


def test_a_write_waits_for_the_server_to_come_back(folder: Path) -> None:
    retries = threading.Event()

    stamina.instrumentation.set_on_retry_hooks([lambda _details: retries.set()])
    try:
        with running(folder) as first:
            filled(first.index, document("a", ["one"]))
            port = first.ports.index
        index = RemoteIndex(f"127.0.0.1:{port}", INDEX_SECRET, timeout=10, retry=30)
        done = threading.Thread(target=index.apply, args=("g1", [document("b", ["two"])]))
        done.start()
        assert retries.wait(20)
        with running(folder, index_port=port) as second:
            done.join(30)
            assert not done.is_alive()
            assert sorted(ask(second.index, "one two")) == ["one", "two"]
        index.close()
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
