"""Pushes of a suspended tenant wait and hold up nobody; the worker erases what was asked for through the API."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from rag_assets.stream_worker.maintenance import pending
from rag_assets.tenants import continue_erasures
from rag_core.governance.tenants import TenantState
from rag_core.governance.tenants import store as tenants
from tests.support.stream import StreamHarness


def waiting(stream: StreamHarness) -> set[str]:
    return {row.tenant for row in stream.all("SELECT tenant FROM rag.inbox WHERE applied_at IS NULL")}


def test_a_suspended_tenants_pushes_wait_others_do_not_and_nothing_is_lost(stream: StreamHarness) -> None:
    stream.push("ours", "Text.")
    stream.push("theirs", "Text.", tenant="other")
    with stream.store.engine.begin() as connection:
        tenants.suspend(connection, "other", actor="op")
    consumer_loop = stream.consumer_loop()
    consumer_loop.process(consumer_loop.source.poll(1))
    assert waiting(stream) == {"other"}
    assert consumer_loop.source.poll(0.1) == [], "it is not asked for again at once"
    assert stream.all("SELECT * FROM rag.dead_letters") == []
    with stream.store.engine.begin() as connection:
        tenants.resume(connection, "other", actor="op")
    again = stream.consumer_loop()
    consumer_loop.source.close()
    again.process(again.source.poll(1))
    assert waiting(stream) == set()
    assert {row.locator for row in stream.all("SELECT locator FROM rag.documents")} == {"ours", "theirs"}


def test_stored_documents_of_a_suspended_tenant_are_left_to_its_return(stream: StreamHarness) -> None:
    stream.push("ours", "Text.")
    consumer_loop = stream.consumer_loop()
    consumer_loop.process(consumer_loop.source.poll(1))
    with stream.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.generation_documents SET indexed_version = 0")
    assert pending(stream.store)
    with stream.store.engine.begin() as connection:
        tenants.suspend(connection, "acme", actor="op")
    assert pending(stream.store) == {}


def test_the_worker_erases_the_tenants_that_wait_for_it(stream: StreamHarness) -> None:
    stream.push("ours", "Text.")
    stream.push("theirs", "Text.", tenant="other")
    consumer_loop = stream.consumer_loop()
    consumer_loop.process(consumer_loop.source.poll(1))
    with stream.store.engine.begin() as connection:
        tenants.request_erasure(connection, "other", actor="op")
    pipeline: Any = SimpleNamespace(store=stream.store, index=stream.index, settings=stream.settings)
    assert continue_erasures(pipeline) == 1
    assert continue_erasures(pipeline) == 0
    with stream.store.engine.connect() as connection:
        assert tenants.get(connection, "other").state is TenantState.ERASED
    assert {row.tenant for row in stream.all("SELECT tenant FROM rag.documents")} == {"acme"}
    generation = str(stream.index.alias())
    assert (stream.index.count(generation), stream.index.count(generation, tenant="other")) == (1, 0)
