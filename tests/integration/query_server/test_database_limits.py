"""No caller delays another at the database: each call has its own timeout, revocation its own connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from rag_core.database import open_store
from rag_core.governance.access import revoke_tokens
from rag_core.settings import Settings
from ragproto.documents.v1 import documents_pb2, documents_pb2_grpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import Doc, Failure, RunningServer, failing, failure, running
from tests.support.waiting import eventually

DOCS = [Doc("The bell rings at nine.")]
PUSHES = 24
"""More than the server has threads and connections for calls."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "server", docs=DOCS) as started:
        yield started


@contextmanager
def inbox_locked(url: str) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    """Until its rollback every push waits in PostgreSQL for the first connection; the second one is to look around."""
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as observer:
        holder.execute("LOCK TABLE rag.inbox IN ACCESS EXCLUSIVE MODE")
        yield holder, observer


def push(server: RunningServer, number: int, seconds: float) -> Failure | None:
    stub = documents_pb2_grpc.DocumentServiceStub(server.channel)
    request = documents_pb2.PutRequest(locator=f"{number}.txt", text="text")
    metadata = (*server.auth(scopes=["documents.write"], tenant=f"t{number}"), ("x-request-id", f"push-{number}"))
    return failure(lambda: stub.Put(request, metadata=metadata, timeout=seconds))


def search(server: RunningServer, metadata: Any) -> v2.SearchResponse:
    return v2_grpc.QueryServiceStub(server.channel).Search(
        v2.SearchRequest(query="bell"), metadata=metadata, timeout=10
    )


def waiting(observer: psycopg.Connection) -> list[str]:
    """The sessions that wait for the lock."""
    query = (
        "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return [name for (name,) in observer.execute(query)]


def test_pushes_that_hold_every_connection_delay_no_revocation(server: RunningServer, tmp_path: Path) -> None:
    token = server.auth()
    assert search(server, token).passages
    with inbox_locked(server.database_url) as (holder, observer), ThreadPoolExecutor(PUSHES) as clients:
        pushed = [clients.submit(push, server, number, 25) for number in range(PUSHES)]
        assert eventually(lambda: len(waiting(observer)) >= 8)
        store = open_store(Settings(home=tmp_path, database_url=server.database_url))
        with store.engine.begin() as connection:
            revoke_tokens(connection, tenant="acme", subject="ann", lifetime=600, actor="test")
        store.close()
        assert eventually(lambda: failure(lambda: search(server, token)))
        assert failing(lambda: search(server, token)).reason == "TOKEN_REVOKED"
        assert not any(one.done() for one in pushed), "they hold what they hold all the while"
        holder.rollback()


def test_deadline_and_request_id_of_a_call_reach_postgresql(server: RunningServer) -> None:
    with inbox_locked(server.database_url) as (_, observer):
        ended: list[Failure | None] = []
        client = threading.Thread(target=lambda: ended.append(push(server, 1, 3)))
        client.start()
        assert eventually(lambda: "rag push-1" in waiting(observer))
        client.join(20)
        assert ended[0] is not None
        assert ended[0].code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert eventually(lambda: "rag push-1" not in waiting(observer)), "no statement outlives its caller"
