from __future__ import annotations

import threading
from dataclasses import asdict, replace

import pytest

from rag_core.content.sources import Scope, Source
from rag_core.database import locks
from rag_core.errors import Conflict, Reason
from rag_core.ingestion.pipeline import run_pipeline
from rag_core.ingestion.pipeline.active_generation import ensure_generation
from rag_core.ingestion.pipeline.base import DocumentCounts
from tests.support.memory_source import MemoryConnector
from tests.support.pipeline import PipelineHarness, prose


def test_a_first_run_indexes_every_document_and_accounts_for_it(flow: PipelineHarness) -> None:
    for number in range(5):
        flow.connector.put(f"{number}.txt", prose(number))
    counts = flow.run()
    assert counts == DocumentCounts(read=5, indexed=5)
    assert counts.balanced
    assert flow.indexed_text() == {f"{n}.txt": " ".join(prose(n).split()) for n in range(5)}


@pytest.mark.catalogue("F06")
def test_two_runs_of_the_same_shard_at_once_queue_and_leave_the_index_right(flow: PipelineHarness) -> None:
    for number in range(12):
        flow.connector.put(f"{number}.txt", prose(number))
    flow.settings = flow.settings.model_copy(update={"sync_batch_documents": 3, "index_batch_documents": 3})
    outcomes: list[DocumentCounts] = []

    def run() -> None:
        outcomes.append(flow.run())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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
    threads = [threading.Thread(target=lambda each=each: results.append(each.run())) for each in flows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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
