"""What a caller was promised is on record, also when the server is killed right after the promise."""

from __future__ import annotations

import signal
from pathlib import Path

import grpc
import pytest
from sqlalchemy import text

from rag_core.content.embedding.fake import FakeEmbedder
from rag_core.database import Store
from rag_core.governance.audit import verify_chains
from rag_core.settings import Settings
from ragproto.documents.v1 import documents_pb2 as pb
from ragproto.documents.v1 import documents_pb2_grpc as rpc
from tests.integration.query_server.test_process import DOCS, environment, process
from tests.support.query_server import Keys, open_filled

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
