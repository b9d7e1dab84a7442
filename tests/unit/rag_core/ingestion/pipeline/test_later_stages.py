from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import sqlalchemy as sa

from rag_core.content.chunking import Chunker
from rag_core.content.embedding import Vectors
from rag_core.content.parsing import ParsedDocument
from rag_core.content.sources import Scope
from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.ingestion.generations import Transforms
from rag_core.ingestion.pipeline import purge_unused, request_reindex, run_pipeline
from rag_core.ingestion.pipeline.active_generation import ensure_generation
from rag_core.ingestion.promotion import build, declare
from rag_core.retrieval.index import ApplyResult, DocumentUpdate
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


class _Broken(CountingEmbedder):
    """Gives an unusable vector for one text."""

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        vectors = super().embed_passages(texts)
        for row, text in enumerate(texts):
            if "pump 14" in text:
                vectors[row] = np.nan
        return vectors


def test_a_text_without_a_usable_vector_quarantines_its_document_and_no_other(filled: PipelineHarness) -> None:
    filled.embedder = _Broken()
    counts = filled.run()
    assert (counts.indexed, counts.quarantined, counts.balanced) == (2, 1, True)
    row = filled.quarantined()["1.txt"]
    assert (row.stage, row.reason) == ("embed", Reason.VECTOR_NOT_FINITE)
    assert set(filled.indexed_text()) == {"0.txt", "2.txt"}
    assert filled.run().quarantined == 1


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


class _Down:
    """An index that stops answering after some writes."""

    def __init__(self, index, writes: int) -> None:  # type: ignore[no-untyped-def]
        self._index, self._writes = index, writes

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        if self._writes == 0:
            raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index does not answer")
        self._writes -= 1
        result: ApplyResult = self._index.apply(generation, updates)
        return result

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)


@pytest.mark.catalogue("F08")
def test_an_index_that_is_down_fails_the_run_with_nothing_marked_and_the_next_run_continues(
    filled: PipelineHarness,
) -> None:
    filled.settings = filled.settings.model_copy(update={"index_batch_documents": 1})
    real, filled.index = filled.index, _Down(filled.index, writes=1)  # type: ignore[assignment]
    with pytest.raises(Unavailable) as failed:
        filled.run()
    assert failed.value.reason is Reason.INDEX_UNAVAILABLE
    assert filled.one("SELECT count(*) AS n FROM rag.generation_documents").n == 1
    filled.index = real
    filled.embedder.texts = 0
    counts = filled.run()
    assert (counts.unchanged, counts.balanced) == (3, True)
    assert filled.counts("index")["documents"] == 2
    assert filled.embedder.texts == 0


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
