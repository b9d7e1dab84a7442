"""The worker's threads: heartbeats while streams come and go, source operations while their children die. What a
consumer holds of a partition, when a batch outlives the assignment that it was read in. A source that is removed while
its changes wait in the push inbox, or while a worker has them in hand. One trace from a pushed document to its index
write, also when a batch holds the documents of several. Pushes of a suspended tenant wait and hold up nobody; the
worker erases what was asked for through the API."""

from __future__ import annotations

from multiprocessing import forkserver
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rag_assets.source_admin.worker import SourceOperationWorker
from rag_assets.stream_worker.base import Lag
from rag_assets.stream_worker.kafka.partitions import Partition, partition_at
from rag_assets.stream_worker.maintenance import pending
from rag_assets.stream_worker.worker import Worker
from rag_assets.tenants import continue_erasures
from rag_core.content.sources import Action, operation_store
from rag_core.content.streams import PartitionOffset
from rag_core.database import Store
from rag_core.governance.tenants import TenantState
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.pipeline import Pipeline, remove_source
from rag_core.settings import Settings
from tests.support.stream import PUSHED, StreamHarness
from tests.support.traces import Recorded, parent_of, recorded_traces  # noqa: F401


def test_a_stream_that_opens_during_a_heartbeat_does_not_end_the_worker(store: Store, settings: Settings) -> None:
    worker = Worker(settings)

    def consumer_loop(name: str) -> Any:
        def lag() -> Lag:
            worker.loops["late"] = worker.loops["early"]
            return Lag(3, 1.5)

        source = SimpleNamespace(name=name, lag=lag)
        return SimpleNamespace(source=source, status=lambda: {"state": "running"}, counts={"applied": 2})

    worker.loops["early"] = consumer_loop("early")
    worker._send_heartbeat(cast(Pipeline, SimpleNamespace(store=store)))
    assert worker.metrics.registry.get_sample_value("rag_stream_lag_messages", {"stream": "early"}) == 3
    assert set(worker.status()) == {"early", "late"}


@pytest.mark.catalogue("A23")
def test_an_operation_whose_fork_server_was_killed_fails_and_the_next_one_has_its_turn(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> Any:
        raise EOFError

    monkeypatch.setattr(forkserver, "connect_to_new_process", killed)
    worker = SourceOperationWorker(store, settings)
    given = {"tenant": "acme", "actor": "ann", "unrestricted": False, "source": "docs", "request": {}}
    for _ in range(2):
        with store.engine.begin() as connection:
            number = operation_store.add(connection, action=Action.CHECK, **given).id
        worker.step()
        with store.engine.connect() as connection:
            failed = operation_store.get(connection, number)
        assert (failed.state, failed.reason) == ("failed", "INTERNAL")


def read(partition: Partition) -> None:
    for offset in range(5, 10):
        partition.receive(offset, at=100.0 + offset)
    partition.reach_end(10, 10)


@pytest.mark.parametrize("again", ["before", "after"])
def test_a_batch_of_the_assignment_before_this_one_leaves_nothing_waiting_that_nothing_applies(again: str) -> None:
    partition = partition_at(PartitionOffset(5))
    if again == "before":
        read(partition)
    partition.done(10)  # the batch of before, applied after the partition came back
    if again == "after":
        read(partition)
    assert (partition.outstanding, partition.lag, partition.at_end) == (0, 0, True)


def test_messages_wait_until_they_are_applied_and_the_oldest_is_known() -> None:
    partition = partition_at(PartitionOffset(5))
    read(partition)
    partition.done(7)
    assert (partition.lag, partition.waiting[0]) == (3, (7, 107.0))


def test_changes_that_wait_are_removed_with_their_source(stream: StreamHarness) -> None:
    consumer_loop = stream.consumer_loop()
    stream.push("applied", "Text.")
    consumer_loop.process(consumer_loop.source.poll(1))
    stream.push("waiting", "Text.")
    stream.push("theirs", "Text.", tenant="other")
    assert remove_source(stream, PUSHED, "removal", actor="ann").applied
    assert [row.locator for row in stream.all("SELECT locator FROM rag.inbox")] == ["theirs"]
    consumer_loop.process(consumer_loop.source.poll(1))
    assert stream.texts() == {"theirs": "Text."}
    stream.push("applied", "New text.")
    consumer_loop.process(consumer_loop.source.poll(1))
    assert stream.texts() == {"theirs": "Text.", "applied": "New text."}, "a push afterwards makes the source again"


def test_changes_in_the_hands_of_a_worker_do_not_bring_a_removed_source_back(stream: StreamHarness) -> None:
    consumer_loop = stream.consumer_loop()
    stream.push("in hand", "Text.")
    stream.push("theirs", "Text.", tenant="other")
    batch = consumer_loop.source.poll(1)
    assert len(batch) == 2
    remove_source(stream, PUSHED, "removal", actor="ann")
    consumer_loop.process(batch)
    consumer_loop.process(consumer_loop.source.poll(0.1))
    live = stream.all("SELECT tenant, locator FROM rag.documents WHERE deleted_at IS NULL")
    assert [tuple(row) for row in live] == [("other", "theirs")]
    assert stream.all("SELECT 1 FROM rag.sources WHERE tenant = 'acme'") == []


ONE, TWO, UNSAMPLED = "1" * 32, "2" * 32, "3" * 32
STAGES = ["stage documents", "stage chunks", "stage embeddings", "stage index", "index write"]


def apply_all(stream: StreamHarness) -> None:
    loop = stream.consumer_loop()
    loop.process(loop.source.poll(1.0))


def test_a_push_is_traced_to_its_index_write(stream: StreamHarness, traces: Recorded) -> None:
    stream.push("a.txt", "the tide table of zeppelins", traceparent=parent_of(ONE))
    apply_all(stream)
    assert list(stream.texts()) == ["a.txt"]
    names = traces.names(ONE)
    assert [name for name in names if name in STAGES] == STAGES
    traces.assert_ancestors(traces.named(ONE, "index write"), "stage index", "process inbox")
    process = traces.named(ONE, "process inbox")
    assert process.parent is not None
    assert process.parent.span_id == 0xAA
    written = dict(traces.named(ONE, "index write").attributes or {})
    assert written["db.operation.name"] == "upsert"
    assert written["rag.upserted"] == 1
    assert "zeppelins" not in "".join(one.to_json() for one in traces.exporter.get_finished_spans())


def test_each_trace_of_a_batch_shows_its_document_to_the_end(stream: StreamHarness, traces: Recorded) -> None:
    for locator, trace in (("a.txt", ONE), ("b.txt", TWO), ("d.txt", ONE)):
        stream.push(locator, f"text of {locator}", traceparent=parent_of(trace))
    stream.push("c.txt", "nobody asked")
    stream.push("e.txt", "not sampled", traceparent=parent_of(UNSAMPLED, sampled=False))
    apply_all(stream)
    assert len(stream.texts()) == 5
    for trace in (ONE, TWO):
        assert [name for name in traces.names(trace) if name in STAGES] == STAGES
        traces.assert_ancestors(traces.named(trace, "index write"), "stage index", "process inbox")
    assert traces.spans(UNSAMPLED) == []
    assert {f"{one.context.trace_id:032x}" for one in traces.exporter.get_finished_spans()} == {ONE, TWO}


def test_a_batch_without_a_trace_begins_none(stream: StreamHarness, traces: Recorded) -> None:
    stream.push("a.txt", "no trace")
    apply_all(stream)
    assert traces.exporter.get_finished_spans() == ()


def test_a_damaged_context_is_no_reason_to_refuse_a_document(stream: StreamHarness, traces: Recorded) -> None:
    stream.push("a.txt", "text", traceparent="00-\x7f-damaged")
    apply_all(stream)
    assert list(stream.texts()) == ["a.txt"]


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
