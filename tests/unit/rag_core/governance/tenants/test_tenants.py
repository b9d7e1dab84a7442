"""Tenants as a unit: created, suspended, exported, erased with a receipt, and never back from a backup."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Table, text

from rag_core.content.streams import PushedChange, inbox_store
from rag_core.database import Store, open_store
from rag_core.database.tables import metadata
from rag_core.errors import Conflict, InvalidInput, NotFound, PermissionDenied, Reason, Unavailable
from rag_core.governance.audit import AuditQuery, find, verify_chains
from rag_core.governance.tenants import TenantState, export, place_store
from rag_core.governance.tenants import store as tenants
from rag_core.governance.tenants.place_store import PLACES
from rag_core.governance.usage import Owner, Usage
from rag_core.governance.usage import store as usage_store
from rag_core.ingestion.erasure import erase_tenant, reapply, sweep_erased
from rag_core.ingestion.promotion import load_own_questions
from rag_core.settings import Settings
from tests.support.pipeline import PipelineHarness
from tests.support.postgres import as_owner
from tests.support.tenant_rows import TenantRows
from tests.support.waiting import eventually

ACTOR = "platform/op"
EXPORTED = {place.export for place in PLACES if place.export}
KEPT = {place.table for place in PLACES if place.kept}


@pytest.fixture
def owner_store(settings: Settings, store: Store) -> Iterator[Store]:
    """As the owner of the schema, who alone may remove audit entries."""
    url = SecretStr(as_owner(settings.effective_database_url))
    opened = open_store(settings.model_copy(update={"database_url": url}))
    yield opened
    opened.close()


WAITING = """
SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE NOT l.granted AND l.locktype = 'advisory' AND d.datname = current_database()
"""


def create(store: Store, name: str = "acme", **options: Any) -> None:
    with store.engine.begin() as connection:
        tenants.create(connection, name, actor=ACTOR, **options)


def request(store: Store, name: str = "acme", **options: Any) -> None:
    with store.engine.begin() as connection:
        tenants.request_erasure(connection, name, actor=ACTOR, **options)


def state(store: Store, name: str = "acme") -> TenantState:
    with store.engine.connect() as connection:
        return tenants.get(connection, name).state


def filled(store: Store, *names: str) -> None:
    with store.engine.begin() as connection:
        for name in names:
            TenantRows(name).write(connection)


def rows(store: Store, name: str) -> dict[str, int]:
    with store.engine.connect() as connection:
        return place_store.count(connection, name)


def pipeline_of(flow: PipelineHarness) -> Any:
    return SimpleNamespace(store=flow.store, index=flow.index, settings=flow.settings)


def archive(store: Store, name: str = "acme", **options: Any) -> dict[str, bytes]:
    content = b"".join(export.as_archive(export.entries(store, name, **options)))
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        assert opened.testzip() is None
        return {one: opened.read(one) for one in opened.namelist()}


def test_a_tenant_is_created_once_and_listed_with_those_that_hold_something(store: Store) -> None:
    create(store)
    filled(store, "implied")
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM rag.tenants WHERE name = 'implied'"))
    for name in ("acme", "implied"):
        with pytest.raises(Conflict) as caught:
            create(store, name)
        assert caught.value.reason is Reason.TENANT_EXISTS
    with pytest.raises(InvalidInput):
        create(store, "no spaces")
    with store.engine.connect() as connection:
        found = {one.name: (one.state, one.documents, one.created_by) for one in tenants.listed(connection)}
    assert found == {"acme": (TenantState.ACTIVE, 0, ACTOR), "implied": (TenantState.ACTIVE, 1, "")}


def test_suspending_and_resuming_lose_nothing_and_are_audited(store: Store) -> None:
    filled(store, "acme")
    before = rows(store, "acme")
    with store.engine.begin() as connection:
        tenants.suspend(connection, "acme", actor=ACTOR, why="unpaid")
        with pytest.raises(PermissionDenied) as caught:
            tenants.check_active(connection, "acme")
        tenants.check_active(connection, "other")
    assert caught.value.reason is Reason.TENANT_SUSPENDED
    with store.engine.begin() as connection:
        assert tenants.get(connection, "acme").reason == "unpaid"
        tenants.suspend(connection, "acme", actor=ACTOR)  # again: nothing changes, and nothing is audited twice
        tenants.resume(connection, "acme", actor=ACTOR)
        tenants.check_active(connection, "acme")
        actions = [one.action for one in find(connection, AuditQuery(tenant="acme", action_start="tenant."))]
    assert actions == ["tenant.resume", "tenant.suspend"]
    assert rows(store, "acme") == {**before, "audit": before["audit"] + 2}
    with store.engine.begin() as connection, pytest.raises(NotFound):
        tenants.suspend(connection, "nobody", actor=ACTOR)


def test_an_egress_policy_names_sources_of_the_tenant_alone(store: Store) -> None:
    filled(store, "acme", "other")

    def set_egress(sources: dict[str, list[str]]) -> None:
        with store.engine.begin() as connection:
            tenants.set_egress(connection, "acme", actor=ACTOR, egress=None, sources=sources)

    many: dict[str, list[str]] = {f"source-{number}": [] for number in range(1001)}
    with pytest.raises(InvalidInput):
        set_egress(many)
    set_egress({"name of acme": []})
    for name in ("name of other", "nam of acme"):
        with pytest.raises(NotFound) as caught:
            set_egress({"name of acme": [], name: []})
        assert caught.value.reason is Reason.SOURCE_NOT_FOUND
    with store.engine.begin() as connection:  # a source that was removed stays named until it is left out
        connection.execute(text("DELETE FROM rag.sources WHERE tenant = 'acme'"))
    set_egress({"name of acme": ["embed"]})
    request(store)
    with pytest.raises(PermissionDenied) as refused:
        set_egress({})
    assert refused.value.reason is Reason.TENANT_ERASED


def test_the_gate_asks_no_question_of_a_suspended_tenant(store: Store, settings: Settings) -> None:
    filled(store, "acme", "other")
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.evaluation_questions SET state = 'accepted', origin = 'feedback'"))
        tenants.suspend(connection, "acme", actor=ACTOR)
    assert [own.tenant for own in load_own_questions(store, settings)] == ["other"]


def test_an_export_has_every_row_of_the_tenant_no_other_and_no_secret(store: Store) -> None:
    filled(store, "acme", "other")
    files = [("sources/files/handbook.yaml", b"type: x\n")]
    found = archive(store, files=files)
    manifest = json.loads(found["manifest.json"])
    assert set(found) == {*EXPORTED, "sources/files/handbook.yaml", "manifest.json", "SHA256SUMS"}
    for path in EXPORTED:
        assert manifest["files"][path]["rows"] >= 1, path
        assert len(found[path].splitlines()) == manifest["files"][path]["rows"], path
        assert b"of other" not in found[path], path
        assert b"other/ann" not in found[path], path
    for path, known in manifest["files"].items():
        assert (known["bytes"], known["sha256"]) == (len(found[path]), hashlib.sha256(found[path]).hexdigest())
    document = json.loads(found["documents/documents.jsonl"])
    assert (document["text"], document["locator"]) == ("text of acme", "locator of acme")
    everything = b"".join(found.values())
    for secret in ("secret_hash", "password_hash", "salt", "session"):
        assert f'"{secret}":'.encode() not in everything
    assert f"{secret} of acme".encode().hex().encode() not in everything


def test_an_exported_folder_is_its_owners_and_its_checksums_verify(store: Store, tmp_path: Path) -> None:
    filled(store, "acme")
    target = tmp_path / "acme"
    export.write_folder(export.entries(store, "acme"), target)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=target, check=True)
    assert {oct(path.stat().st_mode & 0o077) for path in target.rglob("*")} == {"0o0"}
    with pytest.raises(InvalidInput):
        export.write_folder(export.entries(store, "acme"), target)
    export.write_archive(export.entries(store, "acme"), tmp_path / "acme.zip")
    assert (tmp_path / "acme.zip").stat().st_mode & 0o077 == 0
    with pytest.raises(InvalidInput):
        export.write_archive(export.entries(store, "acme"), tmp_path / "acme.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acme", "acme.zip"]


def test_an_erasure_leaves_no_row_and_no_point_and_touches_no_other_tenant(flow: PipelineHarness) -> None:
    flow.connector.put("pay.txt", "The salaries of the board are reviewed in June.")
    flow.run()
    filled(flow.store, "acme", "other")
    before = rows(flow.store, "other")
    vectors = flow.one("SELECT count(*) FROM rag.embeddings").count
    generation = str(flow.index.alias())
    assert flow.index.count(generation, tenant="acme") == 1
    request(flow.store)
    receipt = erase_tenant(pipeline_of(flow), "acme", outside=lambda name: {"source_files": len(name)})
    assert set(rows(flow.store, "acme")) <= KEPT
    assert rows(flow.store, "other") == {**before, "embeddings": 1}  # the text that both had is its own now
    assert flow.index.count(generation, tenant="acme") == 0
    # The vector of the text that both have stays; that of the tenant alone goes.
    assert flow.one("SELECT count(*) FROM rag.embeddings").count == vectors - 1 == 1
    assert receipt.removed["points"] == receipt.removed["embeddings"] == 1
    assert receipt.removed["documents"] == 2
    assert {table for table, count in receipt.removed.items() if count} >= {
        place.table for place in PLACES if not place.kept
    }
    assert set(receipt.found_afterwards.values()) == {0}
    assert receipt.outside == {"source_files": 4}
    assert state(flow.store) is TenantState.ERASED
    with flow.store.engine.connect() as connection:
        assert tenants.get(connection, "acme").receipt == asdict(receipt)
        with pytest.raises(PermissionDenied) as caught:
            tenants.check_active(connection, "acme")
    assert caught.value.reason is Reason.TENANT_ERASED
    assert "June" not in json.dumps(asdict(receipt))


def test_the_audit_chain_verifies_after_an_erasure_and_says_who_asked(flow: PipelineHarness) -> None:
    filled(flow.store, "acme")
    request(flow.store, why="contract ended")
    erase_tenant(pipeline_of(flow), "acme")
    assert verify_chains(flow.store).broken == ()
    with flow.store.engine.connect() as connection:
        (erased,) = find(connection, AuditQuery(action="tenant.erased"))
        (asked,) = find(connection, AuditQuery(action="tenant.erase"))
    assert (erased.tenant, erased.actor, erased.target) == (None, ACTOR, "acme")
    assert asked.details["reason"] == "contract ended"


def test_audit_entries_go_too_when_that_is_asked_for_and_the_chain_still_verifies(
    flow: PipelineHarness, owner_store: Store
) -> None:
    filled(flow.store, "acme", "other")
    request(flow.store, remove_audit=True)
    receipt = erase_tenant(pipeline_of(flow), "acme", owner=owner_store)
    assert "removed" in receipt.kept["audit"]
    assert verify_chains(flow.store).broken == ()
    assert flow.one("SELECT count(*) FROM rag.audit WHERE tenant = 'acme'").count == 0
    assert flow.one("SELECT count(*) FROM rag.audit WHERE tenant = 'other'").count == 1


def test_an_erasure_that_was_cut_off_is_continued(flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    flow.connector.put("pay.txt", "The salaries of the board are reviewed in June.")
    flow.run()
    request(flow.store)

    def broken(_: str) -> dict[str, int]:
        # Runs are forgotten after the locks of their sources were taken, so that none of them still records something.
        assert flow.one("SELECT count(*) FROM rag.documents").count == 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        erase_tenant(pipeline_of(flow), "acme", outside=broken)
    assert state(flow.store) is TenantState.ERASING
    with flow.store.engine.connect() as connection:
        assert tenants.erasing(connection) == ["acme"]
        assert tenants.get(connection, "acme").receipt is None
    request(flow.store)  # again: whose erasure it is does not change
    receipt = erase_tenant(pipeline_of(flow), "acme")
    assert state(flow.store) is TenantState.ERASED
    # One erasure, whatever it took: what the first attempt removed is in the receipt, and the ledger has one line.
    assert (receipt.removed["documents"], receipt.removed["points"], receipt.requested_by) == (1, 1, ACTOR)
    (line,) = flow.settings.erasure_ledger.read_text().splitlines()
    assert json.loads(line)["tenant_erased"] == "acme"
    with pytest.raises(Conflict):
        erase_tenant(pipeline_of(flow), "acme")
    create(flow.store)
    request(flow.store)
    erase_tenant(pipeline_of(flow), "acme")
    assert len(flow.settings.erasure_ledger.read_text().splitlines()) == 2


def test_an_erasure_waits_for_a_ledger_that_cannot_be_written(flow: PipelineHarness) -> None:
    filled(flow.store, "acme")
    request(flow.store)
    flow.settings.erasure_ledger.mkdir(parents=True)
    with pytest.raises(Unavailable) as caught:
        erase_tenant(pipeline_of(flow), "acme")
    assert caught.value.reason is Reason.STORAGE_FULL
    assert rows(flow.store, "acme")["documents"] == 1
    assert state(flow.store) is TenantState.ERASING


def test_nothing_is_erased_that_nobody_asked_for(flow: PipelineHarness) -> None:
    filled(flow.store, "acme")
    with pytest.raises(Conflict) as caught:
        erase_tenant(pipeline_of(flow), "acme")
    assert caught.value.reason is Reason.TENANT_STATE


def test_points_without_rows_go_with_their_tenant(flow: PipelineHarness) -> None:
    flow.connector.put("pay.txt", "The salaries of the board are reviewed in June.")
    flow.run()
    with flow.store.engine.begin() as connection:
        connection.execute(text("DELETE FROM rag.documents"))
    request(flow.store)
    receipt = erase_tenant(pipeline_of(flow), "acme")
    assert receipt.removed["points"] == 1
    assert flow.index.count(str(flow.index.alias())) == 0


def test_what_is_written_of_an_erased_tenant_meanwhile_is_swept(flow: PipelineHarness) -> None:
    filled(flow.store, "acme")
    late = "INSERT INTO rag.history (step, at, series, tenant, label, total, samples, highest) VALUES"
    figures = text(f"{late} (60, now(), 'x', 'acme', '', 1, 0, 0), (60, now(), 'x', 'other', '', 1, 0, 0)")
    with flow.store.engine.connect() as connection:
        connection.execute(figures)
        request(flow.store)
        erase_tenant(pipeline_of(flow), "acme")
        connection.commit()
    assert sweep_erased(flow.store) == 1
    assert [row.tenant for row in flow.all("SELECT tenant FROM rag.history")] == ["other"]
    assert sweep_erased(flow.store) == 0


def push(tenant: str = "acme") -> PushedChange:
    return PushedChange(tenant, "notes", "a", "ann", content=b"Text.")


def test_an_erasure_waits_for_what_is_being_written_and_then_removes_it(flow: PipelineHarness) -> None:
    # Nobody created this tenant, so that no row of it could be locked.
    with flow.store.engine.begin() as connection:
        inbox_store.accept(connection, push(), max_pending=9, max_pending_of_tenant=9)
    with flow.store.engine.connect() as writer:
        inbox_store.accept(writer, replace(push(), locator="late"), max_pending=9, max_pending_of_tenant=9)
        request(flow.store)
        with ThreadPoolExecutor(1) as pool:
            erasing = pool.submit(erase_tenant, pipeline_of(flow), "acme")
            assert eventually(lambda: flow.one(WAITING).count or erasing.done())
            assert not erasing.done()
            writer.commit()
            assert erasing.result(30).removed["inbox"] == 2
    assert set(rows(flow.store, "acme")) <= KEPT


def test_an_erasure_does_not_wait_for_ever_for_a_writer(flow: PipelineHarness) -> None:
    pipeline = pipeline_of(flow)
    pipeline.settings = flow.settings.model_copy(update={"source_wait_seconds": 0.01})
    filled(flow.store, "acme")
    with flow.store.engine.connect() as writer:
        inbox_store.accept(writer, push(), max_pending=9, max_pending_of_tenant=9)
        request(flow.store)
        with pytest.raises(Conflict) as caught:
            erase_tenant(pipeline, "acme")
    assert caught.value.reason is Reason.SOURCE_BUSY
    assert state(flow.store) is TenantState.ERASING


def test_no_row_of_an_erased_tenant_is_written_in_any_table(store: Store) -> None:
    filled(store, "other")
    create(store)
    request(store)
    tables = [table for table in metadata.sorted_tables if "tenant" in table.columns and table.name not in KEPT]
    assert len(tables) > 30

    def refusal(table: Table) -> Reason | None:
        try:
            with store.engine.begin() as connection:
                TenantRows("acme").write_row(connection, table)
        except PermissionDenied as error:
            return error.reason
        return None

    reasons = {table.name: refusal(table) for table in tables}
    assert set(rows(store, "acme")) <= KEPT
    assert set(reasons.values()) == {None, Reason.TENANT_ERASED}
    refused = {name for name, reason in reasons.items() if reason}
    # What somebody asked for says why it is refused; what the platform notes by itself is left out.
    assert {"inbox", "api_keys", "console_accounts", "webhooks", "budgets", "ratings", "source_operations"} <= refused
    assert not {"usage", "history", "alerts", "source_states", "dead_letters"} & refused


def test_a_statement_about_many_tenants_leaves_out_the_erased_ones(store: Store) -> None:
    create(store)
    request(store)
    totals = {Owner(name): Usage(calls=1) for name in ("acme", "beta", "gamma")}
    with store.engine.begin() as connection:
        usage_store.write(connection, date(2026, 11, 28), "w", totals)
        found = usage_store.days(connection, since=date(2026, 11, 28), tenant=None, limit=9)
    assert [day.owner.tenant for day in found] == ["beta", "gamma"]


def test_a_run_that_comes_after_an_erasure_writes_nothing(flow: PipelineHarness) -> None:
    flow.connector.put("pay.txt", "The salaries of the board are reviewed in June.")
    flow.run()
    request(flow.store)
    erase_tenant(pipeline_of(flow), "acme")
    with pytest.raises(PermissionDenied) as caught:
        flow.run()
    assert caught.value.reason is Reason.TENANT_ERASED
    assert set(rows(flow.store, "acme")) <= KEPT


def test_a_restored_backup_is_erased_again_and_a_tenant_created_anew_is_not(flow: PipelineHarness) -> None:
    ledger = flow.settings.erasure_ledger
    filled(flow.store, "acme", "other")
    with flow.store.engine.begin() as connection:
        connection.execute(text("DELETE FROM rag.erasures WHERE tenant = 'other'"))
    request(flow.store)
    erase_tenant(pipeline_of(flow), "acme")
    assert reapply(pipeline_of(flow), ledger, actor=ACTOR) == []
    create(flow.store)
    assert reapply(pipeline_of(flow), ledger, actor=ACTOR) == []
    assert state(flow.store) is TenantState.ACTIVE
    with flow.store.engine.begin() as connection:  # a backup from before the erasure
        connection.execute(text("DELETE FROM rag.tenants WHERE name = 'acme'"))
        connection.execute(text("DELETE FROM rag.generations WHERE name = 'g-acme'"))
        TenantRows("acme").write(connection)
        connection.execute(text("DELETE FROM rag.erasures"))
    (receipt,) = reapply(pipeline_of(flow), ledger, actor=ACTOR)
    assert receipt.tenant == "acme"
    assert set(rows(flow.store, "acme")) <= KEPT
    assert rows(flow.store, "other")["documents"] == 1


def test_a_restore_between_two_erasures_and_entries_that_stay_stop_no_repetition(flow: PipelineHarness) -> None:
    filled(flow.store, "acme", "gone")
    for name in ("gone", "acme"):
        request(flow.store, name)
        erase_tenant(pipeline_of(flow), name)
    with flow.store.engine.begin() as connection:
        # Of `gone` the backup has only what happened; `acme` was erased before it, came back, and was erased again.
        connection.execute(text("DELETE FROM rag.tenants WHERE name = 'gone'"))
        connection.execute(text("UPDATE rag.tenants SET state = 'active', erased_at = erased_at - interval '1 day'"))
        connection.execute(text("DELETE FROM rag.generations"))
        connection.execute(text("DELETE FROM rag.erasures"))
        late = "INSERT INTO rag.token_revocations (tenant, subject, before, forget_at) VALUES"
        connection.execute(text(f"{late} ('acme', 'ann', now(), now())"))
    receipts = reapply(pipeline_of(flow), flow.settings.erasure_ledger, actor=ACTOR)
    assert [(receipt.tenant, receipt.removed["token_revocations"]) for receipt in receipts] == [("acme", 1)]
    assert state(flow.store) is TenantState.ERASED


def test_an_erased_name_begins_anew_and_empty(flow: PipelineHarness) -> None:
    filled(flow.store, "acme")
    with flow.store.engine.begin() as connection:
        tenants.set_egress(connection, "acme", actor=ACTOR, egress=["embed"], sources={"name of acme": []})
    request(flow.store)
    erase_tenant(pipeline_of(flow), "acme")
    create(flow.store)
    with flow.store.engine.connect() as connection:
        found = tenants.get(connection, "acme")
    assert (found.state, found.egress, found.egress_sources, found.documents) == (TenantState.ACTIVE, None, {}, 0)
    assert found.erased_at is not None
