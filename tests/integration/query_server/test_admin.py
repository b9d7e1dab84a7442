"""AdminService: a snapshot of one tenant, also while parts are down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from rag_core.database import Store, open_store
from rag_core.database.tables.content import chunkings, documents, generation_documents, generations, sources
from rag_core.ingestion import source_status
from rag_core.settings import Settings
from ragproto.admin.v1 import admin_pb2 as pb
from ragproto.admin.v1 import admin_pb2_grpc
from tests.support.postgres import outage
from tests.support.query_server import Doc, RunningServer, running

DOCS = [Doc("The bell rings at nine.\n\nThe door opens at ten."), Doc("secret", locator="x", tenant="other")]
LIVE, STALE, DELETED, FOREIGN = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3, 4))


def insert(connection: Connection) -> None:
    """Two tenants: three documents of one (current, due and deleted-but-indexed), one of the other."""
    source = {"kind": "folder", "held_deletions": 0}
    connection.execute(sources.insert(), [source | {"tenant": "acme", "name": "handbook", "held_deletions": 7}])
    connection.execute(sources.insert(), [source | {"tenant": "other", "name": "hidden"}])
    generation = {"name": "g1", "state": "active", "embedder": "e", "dimensions": 64, "chunker": "chunker"}
    connection.execute(generations.insert(), [generation])
    for doc_id, tenant, version in ((LIVE, "acme", 1), (STALE, "acme", 2), (DELETED, "acme", 1), (FOREIGN, "other", 1)):
        connection.execute(documents.insert(), [row(doc_id, tenant, version)])
    counts = ((LIVE, "chunker", 3), (STALE, "chunker", 2), (DELETED, "chunker", 9), (LIVE, "old", 50))
    for doc_id, chunker, count in counts:
        values = {"doc_id": doc_id, "chunker": chunker, "text_version": 1, "chunk_count": count}
        connection.execute(chunkings.insert(), [values])
    for doc_id in (LIVE, STALE, DELETED):
        connection.execute(
            generation_documents.insert(), [{"generation": "g1", "doc_id": doc_id, "indexed_version": 1}]
        )


def row(doc_id: str, tenant: str, version: int) -> dict[str, object]:
    return {
        "doc_id": doc_id,
        "tenant": tenant,
        "source": "handbook" if tenant == "acme" else "hidden",
        "locator": doc_id,
        "version": version,
        "text_version": 1,
        "source_version": version,
        "token": "t",
        "parsed_as": "p",
        "content_hash": b"",
        "text_hash": b"",
        "bytes": 1,
        "media_type": "text/plain",
        "text": "x",
        "acl": ["everyone"],
        "run_id": "r",
        "deleted_at": datetime.now(UTC) if doc_id == DELETED else None,
    }


def status(server: RunningServer, tenant: str = "acme", scopes: Sequence[str] = ("admin",)) -> pb.GetStatusResponse:
    stub = admin_pb2_grpc.AdminServiceStub(server.channel)
    return stub.GetStatus(pb.GetStatusRequest(), metadata=server.auth(tenant=tenant, scopes=scopes), timeout=20)


def test_the_status_counts_what_the_tenant_has_and_nothing_of_others(tmp_path: Path, database_url: str) -> None:
    def opened() -> Store:
        return open_store(Settings(home=tmp_path, database_url=database_url))

    store = opened()
    with store.engine.begin() as connection:
        insert(connection)
    store.close()
    with running(tmp_path / "home", docs=DOCS, open_store=opened) as server:
        found = status(server)
        others = status(server, "other")
        [whole] = status(server, scopes=["ops.read", "platform.read"]).generations
    assert [(part.name, part.healthy) for part in found.components] == [
        ("database", True),
        ("index", True),
        ("embedder", True),
    ]
    [source] = found.sources
    assert (source.name, source.kind, source.documents, source.chunks) == ("handbook", "folder", 2, 5)
    assert (source.pending, source.quarantined, source.held_deletions) == (1, 0, 7)
    [generation] = found.generations
    assert (generation.name, generation.state) == ("g1", "active")
    assert (generation.points, generation.documents, generation.pending) == (2, 1, 1)
    assert (whole.points, whole.documents, whole.pending) == (3, 1, 2)
    assert [(item.points, item.documents) for item in others.generations] == [(1, 0)]
    assert generation.created_at.seconds > 0
    assert [source.name for source in others.sources] == ["hidden"]
    assert "handbook" not in str(others)


def test_the_state_of_a_source_is_the_same_over_the_wire_and_another_tenant_s_is_not_told(
    tmp_path: Path, database_url: str
) -> None:
    def opened() -> Store:
        return open_store(Settings(home=tmp_path, database_url=database_url))

    store = opened()
    with store.engine.begin() as connection:
        insert(connection)
        names = (("acme", "handbook"), ("acme", "planned"), ("other", "hidden"))
        source_status.store.observe(
            connection,
            [
                source_status.store.Observation(
                    tenant, name, "filesystem", has_runs=True, follows_changes=True, paused=False, freshness_minutes=60
                )
                for tenant, name in names
            ],
        )
        (held, new) = source_status.read(connection, "acme")
    store.close()
    with running(tmp_path / "home", docs=DOCS, open_store=opened) as server:
        found = {source.name: source for source in status(server).sources}
    assert list(found) == ["handbook", "planned"]
    assert found["handbook"].condition.state == pb.SOURCE_STATE_HELD
    assert found["handbook"].condition.needs_attention
    assert found["handbook"].condition.remedy == held.status.remedy
    assert found["handbook"].condition.summary == "held for approval: 7 deletions"
    assert found["handbook"].freshness_minutes == 60
    assert found["planned"].condition.summary == source_status.describe(new.status) == "new: not read yet"


def test_a_part_that_is_down_is_a_finding_and_search_continues(tmp_path: Path) -> None:
    with running(tmp_path, docs=DOCS) as server, outage(server.database_url):
        found = status(server)
    database = found.components[0]
    assert (database.name, database.healthy) == ("database", False)
    assert database.detail.startswith("DATABASE_UNAVAILABLE")
    assert [generation.name for generation in found.generations] == ["g1"]
    assert not found.sources


def test_an_empty_index_is_not_healthy(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        index = status(server).components[1]
    assert (index.name, index.healthy) == ("index", False)
    assert index.detail.startswith("INDEX_EMPTY")
