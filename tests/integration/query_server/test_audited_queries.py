"""Who asked something is on record where that is switched on: by a keyed hash, never by the text."""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from rag_core.database import open_store
from rag_core.governance.audit import audit_store as audit
from rag_core.settings import Settings
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.support.query_server import Doc, RunningServer, running
from tests.support.waiting import eventually

QUESTION = "When does the confidential bell ring?"
SECRET = "s" * 32


def recorded(server: RunningServer) -> list[audit.AuditEntry]:
    store = open_store(Settings(database_url=server.database_url))
    try:
        with store.engine.connect() as connection:
            return [entry for entry in audit.find(connection, audit.AuditQuery()) if "query_hashes" in entry.details]
    finally:
        store.close()


def search(server: RunningServer) -> None:
    stub = v2_grpc.QueryServiceStub(server.channel)
    assert stub.Search(v2.SearchRequest(query=QUESTION), metadata=server.auth(), timeout=20)


def test_a_query_is_on_record_by_its_keyed_hash(tmp_path: Path) -> None:
    changes = {"audit_queries": True, "audit_query_secret": SECRET}
    with running(tmp_path, docs=[Doc("The bell rings at nine.", "bell.md")], **changes) as server:
        search(server)
        assert eventually(lambda: recorded(server))
        (entry,) = recorded(server)
    assert entry.details["query_hashes"] == [hmac.new(SECRET.encode(), QUESTION.encode(), "sha256").hexdigest()]
    assert (entry.tenant, entry.outcome) == ("acme", "ok")
    assert entry.actor.startswith("acme/")
    assert "bell" not in json.dumps(entry.details)


def test_no_query_is_on_record_unless_it_is_switched_on(tmp_path: Path) -> None:
    with running(tmp_path, docs=[Doc("The bell rings at nine.", "bell.md")]) as server:
        search(server)
        server.run(server.server._audit.flush())
        assert recorded(server) == []


def test_recording_queries_needs_a_secret_of_its_own() -> None:
    with pytest.raises(ValidationError, match="audit_query_secret"):
        Settings(audit_queries=True)
