"""Chunks, embeddings and index follow the documents, and the purge what was deleted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event, text

from rag_core.content.chunking import Chunker
from rag_core.content.embedding import Vectors
from rag_core.content.parsing import ParsedDocument
from rag_core.content.sources import Scope
from rag_core.database import locks
from rag_core.errors import Conflict, InvalidInput, Reason, Unavailable
from rag_core.ingestion.generations import Transforms
from rag_core.ingestion.pipeline import purge_unused, request_reindex, run_pipeline
from rag_core.ingestion.pipeline.active_generation import ensure_generation
from rag_core.ingestion.promotion import build, declare
from tests.support.pipeline import CountingEmbedder, PipelineHarness, open_chunker, prose


class _Refusing(Chunker):
    """The real chunker, which has a defect for one text."""

    def chunk(self, doc_id, document: ParsedDocument):  # type: ignore[no-untyped-def]
        if "document 2 " in document.text:
            raise RuntimeError("defect")
        return super().chunk(doc_id, document)


def _refusing() -> Chunker:
    made = open_chunker()
    return _Refusing(made._settings, made._counter)


@pytest.fixture
def filled(flow: PipelineHarness) -> PipelineHarness:
    for number in range(3):
        flow.connector.put(f"{number}.txt", prose(number))
    return flow


def test_a_defect_of_the_chunker_costs_one_document_and_a_new_chunker_tries_it_again(filled: PipelineHarness) -> None:
    filled.chunker = _refusing()
    counts = filled.run()
    assert (counts.indexed, counts.quarantined, counts.balanced) == (2, 1, True)
    row = filled.quarantined()["2.txt"]
    assert (row.stage, row.reason) == ("chunk", Reason.CHUNK_FAILED)
    assert "defect" not in row.message
    filled.chunker = open_chunker(tokens=30)
    filled.run()
    new = filled.one("SELECT name FROM rag.generations WHERE state = 'building'").name
    assert build(filled.store, filled.index, _transforms(filled), new, filled.settings).documents == 3
    assert filled.quarantined() == {}


class _Narrow(CountingEmbedder):
    """Answers with too few dimensions."""

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return super().embed_passages(texts)[:, :-1]


def test_vectors_of_another_size_fail_the_run_and_nothing_is_stored(filled: PipelineHarness) -> None:
    filled.embedder = _Narrow()
    with pytest.raises(Unavailable) as failed:
        filled.run()
    assert failed.value.reason is Reason.EMBEDDER_RESPONSE
    assert filled.one("SELECT count(*) AS n FROM rag.embeddings").n == 0


def test_an_index_that_lost_its_files_is_filled_again_from_the_rows(filled: PipelineHarness) -> None:
    filled.run()
    before = filled.indexed_text()
    generation = filled.index.alias()
    assert generation is not None
    filled.index.promote(_other(filled))
    filled.index.drop(generation)
    filled.embedder.texts = 0
    assert ensure_generation(filled.store, filled.index, filled.embedder, filled.chunker) == generation
    assert filled.index.alias() == generation
    assert filled.indexed_text() == before
    assert filled.embedder.texts == 0


def _other(flow: PipelineHarness) -> str:
    from rag_core.retrieval.index import GenerationSpec

    flow.index.create(GenerationSpec("other", 64, "x", "y"))
    return "other"


@pytest.mark.catalogue("F50")
def test_another_embedder_builds_another_generation_beside_the_one_readers_are_on(filled: PipelineHarness) -> None:
    filled.run()
    old = filled.index.alias()
    filled.embedder = CountingEmbedder(version="2")
    filled.run()
    assert filled.index.alias() == old
    states = {row.name: row.state for row in filled.all("SELECT name, state FROM rag.generations")}
    assert sorted(states.values()) == ["active", "building"]
    new = next(name for name, state in states.items() if state == "building")
    assert filled.embedder.texts == 0, "a run does not do the work of a build"
    built = build(filled.store, filled.index, _transforms(filled), new, filled.settings)
    assert (built.state, built.documents, built.embedded) == ("ready", 3, 18)
    assert filled.index.count(new) == filled.index.count(str(old)) == 18
    filled.embedder = CountingEmbedder(version="1")
    filled.connector.put("0.txt", prose(55))
    filled.run()
    assert "document 55" in filled.indexed_text()["0.txt"]


def _transforms(flow: PipelineHarness) -> Transforms:
    return Transforms(lambda: flow.embedder, lambda: flow.chunker, {})


def test_another_chunker_keeps_the_chunks_of_the_old_one_until_no_generation_needs_them(
    filled: PipelineHarness,
) -> None:
    filled.run()
    filled.chunker = open_chunker(tokens=60)
    new = declare(filled.store, filled.index, _transforms(filled), actor="ann").name
    build(filled.store, filled.index, _transforms(filled), new, filled.settings)
    chunkers = "SELECT count(DISTINCT chunker) AS n FROM rag.chunks"
    assert filled.one(chunkers).n == 2
    assert purge_unused(filled.store)["chunks"] == 0
    with filled.store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rag.generations SET state = 'retired' WHERE state = 'active'")
    assert purge_unused(filled.store)["chunks"] > 0
    assert filled.one(chunkers).n == 1


def test_purging_removes_the_vectors_of_texts_that_no_document_has_any_more(filled: PipelineHarness) -> None:
    filled.run()
    del filled.connector.items["1.txt"]
    filled.run()
    assert purge_unused(filled.store) == {"chunks": 0, "embeddings": 6}
    assert purge_unused(filled.store) == {"chunks": 0, "embeddings": 0}
    assert filled.run().balanced


def test_a_stage_that_has_nothing_to_do_says_so_and_still_leaves_its_record(flow: PipelineHarness) -> None:
    ensure_generation(flow.store, flow.index, flow.embedder, flow.chunker)
    scope = Scope(flow.source, "run-1")
    flow.reports = run_pipeline(flow, scope)
    assert {flow.counts("chunks")["documents"], flow.counts("index")["documents"]} == {0}
    assert flow.one("SELECT count(*) AS n FROM rag.run_stages").n == 3


def test_a_chunker_that_returns_nothing_for_text_counts_as_a_failure(filled: PipelineHarness) -> None:
    class Empty(Chunker):
        def chunk(self, doc_id, document):  # type: ignore[no-untyped-def]
            return []

    made = open_chunker()
    filled.chunker = Empty(made._settings, made._counter)
    assert filled.run().quarantined == 3
    assert {row.reason for row in filled.quarantined().values()} == {Reason.ZERO_CHUNKS}
    assert issubclass(InvalidInput, Exception)


def test_a_document_that_is_to_be_indexed_again_stays_found_until_the_next_run_has_done_it(
    filled: PipelineHarness,
) -> None:
    filled.run()
    before, embedded = filled.indexed_text(), filled.embedder.texts
    doc_id = filled.doc_id("1.txt")
    # Chunks that somebody damaged, and a point that is gone.
    with filled.store.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM rag.chunks WHERE doc_id = :id AND ordinal > 0"), {"id": doc_id})
        source, names = request_reindex(connection, "acme", doc_id, actor="ann", note="looks odd")
    assert (source, names) == ("handbook", [filled.index.alias()])
    assert filled.indexed_text() == before
    marks = "SELECT indexed_at FROM rag.generation_documents WHERE doc_id = :id"
    assert filled.all(marks, id=doc_id) == []
    counts = filled.run()
    assert (counts.unchanged, counts.balanced) == (3, True)
    assert filled.indexed_text() == before
    assert filled.embedder.texts == embedded  # equal texts are not embedded again
    assert filled.one(marks, id=doc_id).indexed_at is not None
    assert len(filled.points("1.txt")) == filled.one("SELECT count(*) FROM rag.chunks WHERE doc_id = :i", i=doc_id)[0]


@pytest.fixture
def purgeable(flow: PipelineHarness, monkeypatch: pytest.MonkeyPatch) -> PipelineHarness:
    """Twelve documents chunked for a chunker that no generation has any more; three to a page."""
    for number in range(12):
        flow.connector.put(f"{number}.txt", prose(number, 2))
    flow.run()
    with flow.store.engine.begin() as connection:
        connection.execute(text("UPDATE rag.chunkings SET chunker = 'old'"))
        connection.execute(text("UPDATE rag.chunks SET chunker = 'old'"))
    module = sys.modules[purge_unused.__module__]
    monkeypatch.setattr(module, "_DOCUMENTS", 3)
    monkeypatch.setattr(module, "_TEXTS", 3)
    monkeypatch.setattr(module, "_ALONE_SECONDS", 0.000_001)
    return flow


def left(flow: PipelineHarness) -> int:
    return int(flow.one("SELECT count(*) FROM rag.chunks").count)


def test_no_statement_deletes_more_than_a_page(purgeable: PipelineHarness) -> None:
    deleted: list[int] = []

    def count(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().startswith("DELETE FROM rag.chunks"):
            deleted.append(cursor.rowcount)

    most = purgeable.one("SELECT max(n) FROM (SELECT count(*) AS n FROM rag.chunks GROUP BY doc_id) AS x").max
    everything = left(purgeable)
    event.listen(purgeable.store.engine, "after_cursor_execute", count)
    assert purge_unused(purgeable.store)["chunks"] == everything
    assert max(deleted) <= 3 * most
    assert len(deleted) == 4
    assert left(purgeable) == 0


def test_a_run_gets_in_between_and_the_next_purge_continues_from_there(purgeable: PipelineHarness) -> None:
    store, everything = purgeable.store, left(purgeable)
    entered: list[Any] = []

    def enter(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # Taken from another session between two turns of the purge, as a run takes it, and kept.
        if statement.startswith("DISCARD TEMPORARY") and not entered:
            held = locks.shard_connection(store, "acme", "handbook", 0, wait=5)
            entered.append(held)
            held.__enter__()

    event.listen(store.engine, "after_cursor_execute", enter)
    with pytest.raises(Conflict) as caught:
        purge_unused(store, wait=0.2)
    assert caught.value.reason is Reason.SOURCE_BUSY
    event.remove(store.engine, "after_cursor_execute", enter)
    assert 0 < left(purgeable) < everything
    entered[0].__exit__(None, None, None)
    purge_unused(store)
    assert left(purgeable) == 0
