"""documents.v1 over gRPC with a real database: what is accepted, what is refused, and who sees what."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import text

from rag_core.database import Store, open_store
from rag_core.governance.access import EVERYONE
from rag_core.settings import Settings
from ragproto.documents.v1 import documents_pb2 as pb
from ragproto.documents.v1 import documents_pb2_grpc as rpc
from ragproto.query.v2 import query_pb2 as q
from ragproto.query.v2 import query_pb2_grpc as q_rpc
from tests.support.postgres import outage
from tests.support.query_server import RunningServer, failing, running

SCOPES = ["documents.read", "documents.write"]


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> Iterator[RunningServer]:
    with running(tmp_path / "server", open_store=lambda: open_store(settings), max_document_bytes=10_000) as started:
        yield started


class Client:
    """Calls as one caller."""

    def __init__(self, server: RunningServer, **claims: Any) -> None:
        self._stub = rpc.DocumentServiceStub(server.channel)
        self._metadata = server.auth(**({"scopes": SCOPES} | claims))

    def put(self, **fields: Any) -> pb.PutResponse:
        acl = fields.pop("acl", [EVERYONE])
        wanted: dict[str, Any] = {} if "data" in fields or fields.pop("empty", False) else {"text": "Pumps need oil."}
        if "doc_id" not in fields:
            wanted["locator"] = "a.txt"
        request = pb.PutRequest(**(wanted | fields))
        if acl is not None:
            request.acl.CopyFrom(pb.Acl(entries=acl))
        return self._stub.Put(request, metadata=self._metadata)

    def get(self, doc_id: str, **fields: Any) -> pb.GetResponse:
        return self._stub.Get(pb.GetRequest(doc_id=doc_id, **fields), metadata=self._metadata)

    def delete(self, **fields: Any) -> pb.DeleteResponse:
        return self._stub.Delete(pb.DeleteRequest(**fields), metadata=self._metadata)

    def page(self, **fields: Any) -> pb.ListResponse:
        return self._stub.List(pb.ListRequest(**fields), metadata=self._metadata)


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    failure = failing(call)
    return failure.code, failure.reason


def inbox(store: Store) -> list[Any]:
    with store.engine.connect() as connection:
        return list(connection.execute(text("SELECT * FROM rag.inbox ORDER BY seq")).all())


def store_document(
    store: Store, locator: str, *, tenant: str = "acme", acl: list[str] | None = None, source: str = "push"
) -> str:
    """A document as a worker has stored it."""
    from rag_core.ids import document_id

    doc_id = document_id(tenant, source, locator)
    with store.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO rag.sources (tenant, name, kind) VALUES (:t, :s, 'push') ON CONFLICT DO NOTHING"),
            {"t": tenant, "s": source},
        )
        connection.execute(
            text(
                "INSERT INTO rag.documents (doc_id, tenant, source, locator, version, text_version, source_version,"
                " token, parsed_as, content_hash, text_hash, bytes, media_type, text, acl, run_id)"
                " VALUES (:id, :t, :s, :l, 1, 1, 1, '', '', '', '', 4, 'text/plain', 'Text of it.', :acl, 'r')"
            ),
            {"id": doc_id, "t": tenant, "s": source, "l": locator, "acl": acl or [EVERYONE]},
        )
    return str(doc_id)


def test_a_put_is_durable_when_it_returns_and_names_its_tenant_from_the_token(
    server: RunningServer, store: Store
) -> None:
    response = Client(server).put(metadata={"team": "ops"}, title="Oil")
    row = inbox(store)[0]
    assert (row.tenant, row.source, row.locator, row.subject) == ("acme", "push", "a.txt", "ann")
    assert (str(row.doc_id), row.seq, row.source_version) == (response.doc_id, response.sequence, 1)
    assert (bytes(row.content), row.acl, row.metadata) == (b"Pumps need oil.", [EVERYONE], {"team": "ops"})


def test_the_same_key_gives_the_same_answer_and_stores_nothing_again(server: RunningServer, store: Store) -> None:
    client = Client(server)
    first, second = client.put(idempotency_key="k1"), client.put(idempotency_key="k1")
    assert (second.sequence, second.repeated) == (first.sequence, True)
    assert len(inbox(store)) == 1
    assert refused(lambda: client.put(idempotency_key="k1", text="Other.")) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "IDEMPOTENCY_MISMATCH",
    )
    assert not Client(server, tenant="other").put(idempotency_key="k1").repeated


def test_versions_grow_by_themselves_and_an_older_one_is_refused(server: RunningServer) -> None:
    client = Client(server)
    assert [client.put(text=f"Text {number}.").source_version for number in range(3)] == [1, 2, 3]
    assert client.put(text="Text 9.", source_version=9).source_version == 9
    assert client.put(text="Text 9.", source_version=9).repeated
    for version in (9, 4):
        assert refused(lambda version=version: client.put(text="Late.", source_version=version)) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "STALE_VERSION",
        )
    assert client.put(text="Text 10.").source_version == 10


@pytest.mark.catalogue("B69")
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"empty": True}, "FIELD_INVALID"),
        ({"locator": ""}, "FIELD_INVALID"),
        ({"locator": "x" * 1025}, "FIELD_INVALID"),
        ({"locator": "a\x00b"}, "TEXT_INVALID"),
        ({"locator": "a\u202eb"}, "ID_CHARS"),
        ({"source": "No Good"}, "ID_CHARS"),
        ({"doc_id": "not-a-uuid"}, "ID_CHARS"),
        ({"doc_id": str(uuid.uuid4()), "locator": "a"}, "FIELD_INVALID"),
        ({"data": b"x" * 10_001}, "DOCUMENT_TOO_LARGE"),
        ({"acl": []}, "FIELD_INVALID"),
        ({"acl": ["somebody"]}, "FIELD_INVALID"),
        ({"acl": ["group:"]}, "FIELD_INVALID"),
        ({"metadata": {"tenant": "other"}}, "RESERVED_FIELD"),
        ({"metadata": {"acl": "everyone"}}, "RESERVED_FIELD"),
        ({"metadata": {"Team": "x"}}, "FIELD_INVALID"),
        ({"metadata": {"team": "x" * 1025}}, "FIELD_INVALID"),
        ({"metadata": {f"m{number}": "" for number in range(33)}}, "FIELD_INVALID"),
        ({"source_version": 0}, "FIELD_INVALID"),
        ({"source_version": -5}, "FIELD_INVALID"),
        ({"media_type": "nonsense"}, "FIELD_INVALID"),
        ({"media_type": "text/plain;a=\x00"}, "FIELD_INVALID"),
        ({"title": "x" * 513}, "FIELD_INVALID"),
        ({"idempotency_key": "x" * 129}, "FIELD_INVALID"),
    ],
)
def test_what_cannot_be_a_document_is_refused_before_anything_is_stored(
    server: RunningServer, store: Store, fields: dict[str, Any], reason: str
) -> None:
    assert refused(lambda: Client(server).put(**fields)) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert inbox(store) == []


def test_a_source_that_a_connector_reads_takes_no_pushes(server: RunningServer, store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("INSERT INTO rag.sources (tenant, name, kind) VALUES ('acme', 'files', 'filesystem')"))
    assert refused(lambda: Client(server).put(source="files")) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "SOURCE_NOT_PUSHABLE",
    )


def test_a_full_inbox_pushes_back(tmp_path: Path, settings: Settings) -> None:
    opener = lambda: open_store(settings)  # noqa: E731
    with running(tmp_path / "server", open_store=opener, inbox_max_pending=2) as server:
        client = Client(server)
        client.put(locator="a")
        client.put(locator="b")
        failure = failing(lambda: client.put(locator="c"))
        assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "INBOX_FULL")
        assert "grpc-retry-pushback-ms" in failure.trailers


@pytest.mark.catalogue("S03")
def test_get_and_delete_cannot_tell_a_foreign_document_from_none(server: RunningServer, store: Store) -> None:
    theirs = store_document(store, "secret", tenant="other")
    hidden = store_document(store, "pay", acl=["group:hr"])
    client = Client(server)
    nobody = str(uuid.uuid4())
    seen = {
        (failure.code, failure.reason, failure.message)
        for failure in (
            *(failing(lambda doc_id=doc_id: client.get(doc_id)) for doc_id in (theirs, hidden, nobody)),
            *(failing(lambda doc_id=doc_id: client.delete(doc_id=doc_id)) for doc_id in (theirs, nobody)),
            *(failing(lambda doc_id=doc_id: client.put(doc_id=doc_id)) for doc_id in (theirs, nobody)),
            failing(lambda: client.delete(locator="no such document")),
        )
    }
    assert seen == {(grpc.StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND", "document: not found")}
    assert inbox(store) == []


def test_get_and_list_show_what_the_acl_lets_through(server: RunningServer, store: Store) -> None:
    store_document(store, "open")
    hidden = store_document(store, "pay", acl=["group:hr"])
    assert [one.locator for one in Client(server).page().documents] == ["open"]
    hr = Client(server, groups=["hr"])
    assert {one.locator for one in hr.page().documents} == {"open", "pay"}
    found = hr.get(hidden, include_text=True)
    assert (found.text, found.document.version, found.document.searchable) == ("Text of it.", 1, False)


def test_a_page_token_belongs_to_the_source_that_was_asked_for(server: RunningServer, store: Store) -> None:
    for number in range(3):
        store_document(store, f"d{number}")
    token = Client(server).page(page_size=2).next_page_token
    found = refused(lambda: Client(server).page(page_token=token, source="push"))
    assert found == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


def test_a_deletion_can_be_repeated_with_its_key_and_is_not_found_without(server: RunningServer, store: Store) -> None:
    client = Client(server)
    doc_id = client.put().doc_id
    first = client.delete(doc_id=doc_id, idempotency_key="d1")
    assert client.delete(doc_id=doc_id, idempotency_key="d1").sequence == first.sequence
    assert refused(lambda: client.delete(doc_id=doc_id)) == (grpc.StatusCode.NOT_FOUND, "DOCUMENT_NOT_FOUND")
    assert [row.operation for row in inbox(store)] == ["put", "delete"]


def test_put_by_id_replaces_the_document_of_that_id(server: RunningServer, store: Store) -> None:
    client = Client(server)
    doc_id = client.put(locator="folder/a.txt").doc_id
    again = client.put(doc_id=doc_id, text="More oil.", acl=None)
    assert (again.doc_id, again.source_version) == (doc_id, 2)
    assert [row.locator for row in inbox(store)] == ["folder/a.txt"] * 2


def test_without_a_database_a_put_is_not_promised(tmp_path: Path) -> None:
    with running(tmp_path / "server") as server, outage(server.database_url):
        assert refused(lambda: Client(server).put()) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")


# --- sources, as a caller sees them ----------------------------------------------------------------------------


def sources_of(server: RunningServer, **claims: Any) -> list[tuple[str, int]]:
    """Every page of a listing of one source a page."""
    stub, found, token = q_rpc.QueryServiceStub(server.channel), list[tuple[str, int]](), ""
    while True:
        request = q.ListSourcesRequest(page_size=1, page_token=token)
        page = stub.ListSources(request, metadata=server.auth(**claims))
        assert len(page.sources) <= 1
        found += [(one.name, one.documents) for one in page.sources]
        if not (token := page.next_page_token):
            return found


def test_sources_are_listed_with_the_documents_that_the_caller_may_see(server: RunningServer, store: Store) -> None:
    for locator, source, acl in (
        ("a", "wiki", None),
        ("b", "wiki", ["group:hr"]),
        ("c", "payroll", ["group:hr"]),
        ("d", "handbook", None),
    ):
        store_document(store, locator, source=source, acl=acl)
    store_document(store, "e", source="foreign", tenant="other")
    assert sources_of(server) == [("handbook", 1), ("wiki", 1)]
    assert sources_of(server, groups=["hr"]) == [("handbook", 1), ("payroll", 1), ("wiki", 2)]
    assert sources_of(server, tenant="other") == [("foreign", 1)]
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.documents SET deleted_at = now() WHERE source = 'handbook'"))
    assert sources_of(server) == [("wiki", 1)]
