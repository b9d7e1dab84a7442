"""Who asked something is on record where that is switched on: by a keyed hash, never by the text. What a caller was
promised is on record, also when the server is killed right after the promise."""

from __future__ import annotations

import hmac
import json
import signal
from pathlib import Path

import grpc
import pytest
from pydantic import ValidationError
from sqlalchemy import text

from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.database import Store, open_store
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.audit import verify_chains
from rag_core.settings import Settings
from ragproto.documents.v1 import documents_pb2 as pb
from ragproto.documents.v1 import documents_pb2_grpc as rpc
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as v2_grpc
from tests.integration.query_server.test_process import DOCS, environment, process
from tests.support.query_server import Doc, Keys, RunningServer, open_filled, running
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


WRITES = 60


@pytest.mark.catalogue("A08")
def test_sixty_acknowledged_writes_and_a_kill_leave_sixty_audit_rows(
    tmp_path: Path, settings: Settings, store: Store
) -> None:
    keys = Keys(tmp_path)
    open_filled(tmp_path / "index", DOCS, FakeEmbedder()).close()
    env = environment(tmp_path, RAG_DATABASE_URL=settings.effective_database_url)
    metadata = (("authorization", f"Bearer {keys.token(scopes=['documents.write'])}"),)
    acknowledged = []
    with process(env) as (server, _), grpc.insecure_channel(f"127.0.0.1:{env['RAG_QUERY_PORT']}") as channel:
        stub = rpc.DocumentServiceStub(channel)
        for number in range(WRITES - 1):
            put = pb.PutRequest(locator=f"{number}.txt", text="words", media_type="text/plain")
            acknowledged.append(stub.Put(put, metadata=metadata, timeout=30, wait_for_ready=True).doc_id)
        acknowledged.append(stub.Delete(pb.DeleteRequest(doc_id=acknowledged[0]), metadata=metadata, timeout=30).doc_id)
        server.send_signal(signal.SIGKILL)
        server.wait(30)
    with store.engine.connect() as connection:
        rows = connection.execute(text("SELECT actor, doc_id::text, action, outcome FROM rag.audit ORDER BY id")).all()
    assert [row.doc_id for row in rows] == acknowledged
    assert {row.actor for row in rows} == {"acme/ann"}
    assert [row.action.rpartition("/")[2] for row in rows] == ["Put"] * (WRITES - 1) + ["Delete"]
    assert verify_chains(store).broken == ()
