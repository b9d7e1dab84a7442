"""The audit log cannot be changed by the services, and a change by anybody else is found."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError

from rag_core.database import Store, roles
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.database.engine import driver_url
from rag_core.governance.audit import audit_store as audit
from rag_core.governance.audit import prune, verify_chains
from rag_core.ids import document_id
from rag_core.settings import Settings
from tests.support.waiting import eventually

DOCUMENT = audit.AuditedDocument(document_id("acme", "push", "a person.md"), "push", "a person.md")


def _record(connection: Connection, count: int = 1, tenant: str | None = "acme") -> None:
    for number in range(count):
        audit.record(connection, actor="acme/ann", action="test.do", target=str(number), details={}, tenant=tenant)


def _leave(engine: Engine, store: Store) -> None:
    """Close, and wait until the server has seen it: the role of the tests could not end such a connection."""
    engine.dispose()
    with store.engine.connect() as connection:
        others = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'rag_owner'"
        )
        eventually(lambda: connection.execute(others).scalar_one() == 0)


@pytest.fixture
def owner(postgres_server: EmbeddedPostgres, settings: Settings, store: Store) -> Iterator[Callable[..., None]]:
    """Statements as the owner of the schema, past the triggers: what an attacker with every right would do."""
    name = make_url(settings.effective_database_url).database
    engine = create_engine(driver_url(postgres_server.owner_url(str(name))))

    def run(*statements: str) -> None:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE rag.audit DISABLE TRIGGER USER"))
            for statement in statements:
                connection.execute(text(statement))
            connection.execute(text("ALTER TABLE rag.audit ENABLE TRIGGER USER"))

    yield run
    _leave(engine, store)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rag.audit SET outcome = 'ok'",
        "DELETE FROM rag.audit",
        "TRUNCATE rag.audit",
        "DROP TABLE rag.audit",
        "DROP SCHEMA rag CASCADE",
        "ALTER TABLE rag.audit DISABLE TRIGGER ALL",
        "DROP FUNCTION rag.audit_link CASCADE",
        "UPDATE rag.audit_heads SET hash = ''",
        "INSERT INTO rag.audit_checkpoints VALUES ('acme', 1, '', 1, now(), 'me')",
        "SET rag.audit_retention = 'on'; DELETE FROM rag.audit",
        "SET ROLE rag_owner",
    ],
)
def test_the_services_cannot_change_what_is_on_record(store: Store, statement: str) -> None:
    with store.engine.begin() as connection:
        _record(connection)
    with store.engine.connect() as connection, pytest.raises(ProgrammingError) as refused:
        connection.exec_driver_sql(statement)
    assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
    with store.engine.connect() as connection:
        assert not roles.may_change_audit(connection)
        assert len(audit.find(connection, audit.AuditQuery())) == 1


def test_a_chain_per_tenant_is_unbroken_whatever_order_transactions_end_in(store: Store) -> None:
    with store.engine.begin() as connection:
        _record(connection, 3)
        _record(connection, 2, tenant="other")
        _record(connection, 1, tenant=None)
    with store.engine.connect() as connection, store.engine.begin() as second:
        _record(connection)
        connection.rollback()  # its number is lost, its place in the chain is not
        _record(second)
    report = verify_chains(store)
    assert (report.rows, report.tenants, report.protected, report.broken) == (7, 3, True, ())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE rag.audit SET actor = 'acme/eve' WHERE target = '1'", "acme: entry 2 is not"),
        ("UPDATE rag.audit SET at = at - interval '1 day' WHERE target = '1'", "acme: entry 2 is not"),
        ("DELETE FROM rag.audit WHERE target = '1'", "acme: entry 3 is not"),
        ("DELETE FROM rag.audit WHERE target = '2'", "acme: the newest rows after number 2 are gone"),
        ("DELETE FROM rag.audit WHERE tenant = 'acme'", "acme: every row is gone"),
        (
            "INSERT INTO rag.audit (actor, action, target, tenant, chain_seq, chain_hash)"
            " VALUES ('x', 'y', 'z', 'acme', 4, 'forged')",
            "acme: entry 5 is not",
        ),
    ],
)
def test_a_change_by_somebody_with_every_right_is_found(
    store: Store, owner: Callable[..., None], change: str, found: str
) -> None:
    with store.engine.begin() as connection:
        _record(connection, 3)
        _record(connection, 1, tenant="other")
    owner(change)
    (problem,) = verify_chains(store).broken
    assert problem.startswith(found)


def test_retention_leaves_a_checkpoint_that_the_rest_continues(
    store: Store, settings: Settings, postgres_server: EmbeddedPostgres
) -> None:
    old = datetime.now(UTC) - timedelta(days=500)
    with store.engine.begin() as connection:
        entries = [audit.AuditEntry("acme/ann", "test.do", "t", tenant=tenant, at=old) for tenant in ("acme", None)] * 3
        audit.append(connection, entries)
        _record(connection, 2)
    url = postgres_server.owner_url(str(make_url(settings.effective_database_url).database))
    engine = create_engine(driver_url(url))
    with engine.begin() as connection:
        assert prune(connection, datetime.now(UTC) - timedelta(days=400), actor="acme/ann") == 6
    with engine.begin() as connection:
        assert prune(connection, datetime.now(UTC) - timedelta(days=400), actor="acme/ann") == 0
    _leave(engine, store)
    report = verify_chains(store)
    assert report.broken == ()
    with store.engine.connect() as connection:
        assert [entry.action for entry in audit.find(connection, audit.AuditQuery(tenant="acme"))] == [
            "audit.prune",  # of the platform's chain, by somebody of this tenant
            "audit.prune",
            "test.do",
            "test.do",
        ]


def test_a_document_is_on_record_by_its_id_and_its_name_can_be_forgotten(store: Store) -> None:
    with store.engine.begin() as connection:
        audit.record(
            connection, actor="acme/ann", action="test.do", target="push", details={}, tenant="acme", document=DOCUMENT
        )
    with store.engine.begin() as connection:
        (entry,) = audit.find(connection, audit.AuditQuery(doc_id=DOCUMENT.doc_id))
        assert (entry.doc_id, entry.locator) == (DOCUMENT.doc_id, "a person.md")
        assert "person" not in str(connection.scalar(text("SELECT json_agg(a)::text FROM rag.audit a")))
        connection.execute(text("DELETE FROM rag.audit_documents"))
    with store.engine.connect() as connection:
        (entry,) = audit.find(connection, audit.AuditQuery(doc_id=DOCUMENT.doc_id))
        assert entry.locator is None
        assert not audit.find(connection, audit.AuditQuery(doc_id=uuid.uuid4()))
    assert not verify_chains(store).broken


def test_a_reason_of_any_length_is_kept_whole(store: Store) -> None:
    reason = "because " * 20_000
    with store.engine.begin() as connection:
        audit.record(connection, actor="a/b", action="x", target="t", details={"reason": reason}, tenant="acme")
        assert audit.find(connection, audit.AuditQuery())[0].details["reason"] == reason


def test_what_concerns_no_tenant_is_shown_with_the_platform_only(store: Store) -> None:
    with store.engine.begin() as connection:
        _record(connection, 1)
        _record(connection, 1, tenant="other")
        audit.record(connection, actor="pipeline", action="index.promote", target="g1", details={})
        seen = [entry.action for entry in audit.find(connection, audit.AuditQuery(tenant="acme"))]
        everything = [entry.action for entry in audit.find(connection, audit.AuditQuery(tenant="acme", platform=True))]
    assert seen == ["test.do"]
    assert everything == ["index.promote", "test.do"]
