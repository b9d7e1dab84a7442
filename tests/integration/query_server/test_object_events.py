"""Event notifications of buckets by the API: whose they are, what they name, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from rag_core.database import Store, open_store
from rag_core.settings import Settings
from ragproto.documents.v1 import documents_pb2 as pb
from ragproto.documents.v1 import documents_pb2_grpc as rpc
from tests.support.query_server import RunningServer, failing, running

WRITER = {"scopes": ["documents.write"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home: Path = tmp_path_factory.mktemp("object-events")
    with running(home, inbox_max_pending_of_tenant=3) as started:
        yield started


@pytest.fixture
def store(server: RunningServer, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(Settings(home=tmp_path, database_url=server.database_url))
    with opened.engine.begin() as db:
        db.exec_driver_sql("TRUNCATE rag.object_notices")
        for name, kind, tenant in (
            ("bucket", "s3", "acme"),
            ("folder", "filesystem", "acme"),
            ("theirs", "s3", "other"),
        ):
            db.exec_driver_sql(
                "INSERT INTO rag.sources (tenant, name, kind, shards) VALUES (%s, %s, %s, 1) ON CONFLICT DO NOTHING",
                (tenant, name, kind),
            )
    yield opened
    opened.close()


def record(key: str) -> dict[str, Any]:
    """A record with more than is read, as S3 sends it."""
    return {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "b", "arn": "x"}, "object": {"key": key, "size": 9}},
    }


def send(server: RunningServer, event: dict[str, Any], source: str = "bucket", **claims: Any) -> int:
    request = pb.ReceiveObjectEventsRequest(source=source)
    json_format.ParseDict(event, request.event)
    stub = rpc.DocumentServiceStub(server.channel)
    return int(stub.ReceiveObjectEvents(request, metadata=server.auth(**WRITER | claims), timeout=20).objects)


def noticed(store: Store) -> list[tuple[str, ...]]:
    with store.engine.connect() as db:
        rows = db.exec_driver_sql("SELECT tenant, source, bucket, object_key FROM rag.object_notices ORDER BY 4")
        return [tuple(row) for row in rows]


def test_what_an_event_names_is_stored_once_for_the_callers_own_source(server: RunningServer, store: Store) -> None:
    assert send(server, {"Records": [record("a+b%2Bc.txt"), record("z.txt"), record("z.txt")]}) == 2
    assert send(server, {"Records": [record("z.txt")]}) == 1
    assert send(server, {"Service": "Amazon S3", "Event": "s3:TestEvent"}) == 0
    assert noticed(store) == [("acme", "bucket", "b", "a b+c.txt"), ("acme", "bucket", "b", "z.txt")]


@pytest.mark.parametrize(
    ("event", "changed", "code", "reason"),
    [
        ({"Records": [record("k")]}, {"scopes": ["documents.read"]}, "PERMISSION_DENIED", "SCOPE_MISSING"),
        ({"Records": [record("k")]}, {"source": "theirs"}, "NOT_FOUND", "SOURCE_NOT_FOUND"),
        ({"Records": [record("k")]}, {"source": "folder"}, "NOT_FOUND", "SOURCE_NOT_FOUND"),
        ({"Records": [record("k")]}, {"source": "a/b"}, "INVALID_ARGUMENT", "ID_CHARS"),
        ({"hello": "there"}, {}, "INVALID_ARGUMENT", "VALUE_INVALID"),
        ({}, {}, "INVALID_ARGUMENT", "VALUE_INVALID"),
        ({"Records": [record("k" * 1025)]}, {}, "INVALID_ARGUMENT", "FIELD_INVALID"),
        ({"Records": [record(f"{n}") for n in range(1001)]}, {}, "INVALID_ARGUMENT", "FIELD_INVALID"),
        ({"Records": [record("a%00b")]}, {}, "INVALID_ARGUMENT", "VALUE_INVALID"),
    ],
)
def test_an_event_that_is_none_or_not_the_callers_changes_nothing(
    server: RunningServer, store: Store, event: dict[str, Any], changed: dict[str, Any], code: str, reason: str
) -> None:
    refused = failing(lambda: send(server, event, **changed))
    assert (refused.code, refused.reason) == (grpc.StatusCode[code], reason)
    assert noticed(store) == []


def test_a_tenant_with_too_much_to_look_at_is_told_to_come_again(server: RunningServer, store: Store) -> None:
    send(server, {"Records": [record(f"{n}") for n in range(3)]})
    assert failing(lambda: send(server, {"Records": [record("one more")]})).reason == "INBOX_FULL"
    assert send(server, {"Records": [record("k")]}, "theirs", tenant="other") == 1, "another tenant has room of its own"
