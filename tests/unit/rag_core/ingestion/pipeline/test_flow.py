"""The stages one after another, and a source whose text may not go to the embedding model."""

from __future__ import annotations

import threading
from dataclasses import asdict, replace

import pytest
from pytest_httpserver import HTTPServer

from rag_core.content.embedding import open_embedder
from rag_core.content.sources import Scope, Source
from rag_core.content.sources import store as sources
from rag_core.database import locks
from rag_core.errors import Conflict, Reason
from rag_core.governance.tenants import store as tenants
from rag_core.ingestion.pipeline import run_pipeline
from rag_core.ingestion.pipeline.active_generation import ensure_generation
from rag_core.ingestion.pipeline.base import DocumentCounts
from rag_core.ingestion.source_status import SourceState
from rag_core.ingestion.source_status import read as read_status
from tests.support.egress import Recorder
from tests.support.memory_source import MemoryConnector
from tests.support.pipeline import PipelineHarness, prose
from tests.support.waiting import run_together


@pytest.mark.catalogue("F06")
def test_two_runs_of_the_same_shard_at_once_queue_and_leave_the_index_right(flow: PipelineHarness) -> None:
    for number in range(12):
        flow.connector.put(f"{number}.txt", prose(number))
    flow.settings = flow.settings.model_copy(update={"sync_batch_documents": 3, "index_batch_documents": 3})
    outcomes: list[DocumentCounts] = []

    def run() -> None:
        outcomes.append(flow.run())

    run_together(threading.Thread(target=run) for _ in range(2))
    assert len(outcomes) == 2
    assert all(min(vars_of(counts)) >= 0 for counts in outcomes)
    assert flow.run().unchanged == 12
    assert flow.indexed_text() == {f"{n}.txt": " ".join(prose(n).split()) for n in range(12)}
    assert len({point.chunk_id for point in flow.points()}) == len(flow.points()) == 72


@pytest.mark.catalogue("F06")
def test_a_run_that_cannot_wait_gives_way_with_a_reason(flow: PipelineHarness) -> None:
    flow.settings = flow.settings.model_copy(update={"source_wait_seconds": 0.0})
    flow.run()
    with locks.shard_connection(flow.store, "acme", "handbook", 0, wait=1), pytest.raises(Conflict) as busy:
        flow.run()
    assert busy.value.reason is Reason.SOURCE_BUSY


def test_two_sources_with_equal_texts_ingested_at_once_do_not_deadlock(flow: PipelineHarness) -> None:
    flows = [replace(flow, source=Source(name, "acme", "memory", acl=("everyone",))) for name in ("one", "two")]
    for each in flows:
        each.settings = flow.settings.model_copy(update={"embed_batch": 7})
        each.connector = MemoryConnector()
        for number in range(12):
            each.connector.put(f"{number}.txt", prose(number), title="Pumps")
    results: list[DocumentCounts] = []
    run_together(threading.Thread(target=lambda each=each: results.append(each.run())) for each in flows)
    assert [counts.balanced for counts in results] == [True, True]
    assert flow.one("SELECT count(*) AS n FROM rag.embeddings").n == 72


def vars_of(counts: DocumentCounts) -> list[int]:
    return list(asdict(counts).values())


def test_progress_is_reported_and_reaches_the_total(flow: PipelineHarness) -> None:
    for number in range(5):
        flow.connector.put(f"{number}.txt", prose(number))
    message: list[tuple[int, int | None]] = []
    scope = Scope(flow.source, "run-1")
    ensure_generation(flow.store, flow.index, flow.embedder, flow.chunker)
    run_pipeline(flow, scope, connector=flow.connector, progress=lambda *counts: message.append(counts))
    assert message[-1] == (5, 5)


TEXT = b"The salaries of the board are reviewed in June."


@pytest.fixture
def recorder(flow: PipelineHarness, httpserver: HTTPServer) -> Recorder:
    recorder = Recorder(httpserver)
    flow.embedder = open_embedder(recorder.settings(embed_dimensions=2))  # type: ignore[assignment]
    flow.settings = flow.settings.model_copy(update={"egress_inside": ""})
    return recorder


def status(flow: PipelineHarness) -> tuple[SourceState, str]:
    with flow.store.engine.connect() as connection:
        (report,) = read_status(connection, "acme")
    return report.status.state, report.status.reason


def allow(flow: PipelineHarness, *uses: str, **sources: list[str]) -> None:
    with flow.store.engine.begin() as connection:
        tenants.set_egress(connection, "acme", actor="op", egress=uses, sources=sources)


def test_the_status_says_what_was_refused_until_it_is_allowed(flow: PipelineHarness, recorder: Recorder) -> None:
    flow.connector.put("pay.txt", TEXT)
    flow.run()  # an allowed run makes source, tenant and generation
    sent = len(recorder.bodies)
    assert sent
    allow(flow, "answer", "rerank")
    flow.connector.put("board.txt", TEXT + b" The chair is paid twice as much.")
    del flow.connector.items["pay.txt"]
    flow.run()
    refusal = flow.reports["embeddings"]
    assert refusal.problem == Reason.EGRESS_FORBIDDEN
    assert len(recorder.bodies) == sent
    assert status(flow) == (SourceState.FAILED, Reason.EGRESS_FORBIDDEN)
    assert [point.payload.locator for point in flow.points()] == []  # deletions need no vector, and are applied
    allow(flow, "embed")
    flow.run()
    assert status(flow)[0] is SourceState.UP_TO_DATE
    assert [point.payload.locator for point in flow.points()] == ["board.txt"]


def test_the_file_of_a_source_can_forbid_what_its_tenant_allows(flow: PipelineHarness, recorder: Recorder) -> None:
    flow.source = replace(flow.source, egress=("answer",))
    flow.connector.put("pay.txt", TEXT)
    flow.run()
    assert recorder.bodies == []
    assert status(flow) == (SourceState.FAILED, Reason.EGRESS_FORBIDDEN)
    flow.source = replace(flow.source, egress=("answer", "embed"))
    flow.run()
    assert recorder.bodies
    assert status(flow)[0] is SourceState.UP_TO_DATE


def test_a_tenant_can_forbid_it_for_one_source_and_a_file_cannot_undo_that(
    flow: PipelineHarness, recorder: Recorder
) -> None:
    flow.source = replace(flow.source, egress=("answer", "rerank", "embed"))
    flow.connector.put("pay.txt", TEXT)
    with flow.store.engine.begin() as connection:
        tenants.create(connection, "acme", actor="op")
        sources.configure(connection, flow.source, "r1")
    allow(flow, "answer", "embed", handbook=["answer"])
    flow.run()
    assert recorder.bodies == []
    assert status(flow) == (SourceState.FAILED, Reason.EGRESS_FORBIDDEN)


def test_an_embedder_of_this_machine_needs_no_permission(flow: PipelineHarness) -> None:
    flow.connector.put("pay.txt", TEXT)
    with flow.store.engine.begin() as connection:
        tenants.create(connection, "acme", actor="op", egress=[])
    flow.run()
    assert status(flow)[0] is SourceState.UP_TO_DATE
