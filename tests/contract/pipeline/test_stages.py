"""The stages do the same whether they are given a shard or the ids of documents."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from rag_core.content.embedding import Vectors
from rag_core.content.sources import Scope
from rag_core.errors import Reason, Unavailable
from rag_core.ingestion.generations import Transforms
from rag_core.ingestion.generations import store as generations
from rag_core.ingestion.pipeline import StageResult, run_pipeline
from rag_core.ingestion.promotion import declare
from rag_core.retrieval.index import ApplyResult, DocumentUpdate, VectorIndex
from tests.support.generations import GenerationHarness, word_transforms
from tests.support.pipeline import CountingEmbedder, PipelineHarness, open_chunker, prose


class _Embedder(CountingEmbedder):
    """Gives an unusable vector for the texts that name one pump."""

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        vectors = super().embed_passages(texts)
        vectors[["pump 93" in text for text in texts]] = np.nan
        return vectors


@dataclass
class _Index:
    """The real index; writes to one generation can be made to fail, after some that succeed."""

    real: VectorIndex
    broken: str | None = None
    writes_before: int = 0
    written: list[int] = field(default_factory=list)

    def apply(self, generation: str, updates: Sequence[DocumentUpdate]) -> ApplyResult:
        if generation == self.broken and len(self.written) >= self.writes_before:
            raise Unavailable(Reason.INDEX_UNAVAILABLE, "the index does not answer")
        self.written.append(len(updates))
        return self.real.apply(generation, updates)

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


class Entry:
    """Runs the later stages over what is stored, for the shard or by the ids of all its documents."""

    def __init__(self, flow: PipelineHarness, *, by_id: bool) -> None:
        self.flow, self.by_id = flow, by_id
        self.index = flow.index = _Index(flow.index)  # type: ignore[assignment]
        self.embedder, chunker = _Embedder(), open_chunker()
        self.plant = GenerationHarness(
            flow, Transforms(lambda: self.embedder, lambda: chunker, word_transforms().generation_config)
        )
        self.plant.transform_registry._others[repr(sorted(self.plant.own.generation_config.items()))] = self.plant.own
        self.active = self.plant.ensure()
        self.number = 0

    def run(self) -> dict[str, StageResult]:
        self.number += 1
        scope = Scope(self.flow.source, f"run-{self.number}")
        run_pipeline(self.plant, scope, stages=["documents"], connector=self.flow.connector)
        ids: list[uuid.UUID] | None = None
        if self.by_id:
            ids = [row.doc_id for row in self.flow.all("SELECT doc_id FROM rag.documents")]
        return run_pipeline(self.plant, scope, ids)

    def pending(self, generation: str | None = None) -> int:
        with self.flow.store.engine.connect() as connection:
            return sum(generations.pending_by_shard(connection, generation or self.active).values())

    def texts(self) -> dict[str, str]:
        return self.flow.indexed_text()


@pytest.fixture(params=["by shard", "by document id"])
def entry(request: pytest.FixtureRequest, flow: PipelineHarness) -> Entry:
    for number in range(3):
        flow.connector.put(f"{number}.txt", prose(number))
    return Entry(flow, by_id=request.param == "by document id")


def folded(*numbers: int) -> dict[str, str]:
    return {f"{number}.txt": " ".join(prose(number).split()) for number in numbers}


def test_what_is_stored_is_chunked_embedded_and_indexed_once(entry: Entry) -> None:
    results = entry.run()
    assert results["chunks"].counts == {"documents": 3, "chunks": 18, "rejected": 0, "followed": 0, "deferred": 0}
    assert results["embeddings"].counts["embedded"] == entry.embedder.texts == 18
    assert (results["index"].counts["documents"], results["index"].counts["upserted"]) == (3, 18)
    assert entry.texts() == folded(0, 1, 2)
    assert entry.pending() == 0
    again = entry.run()
    assert [again[stage].counts["documents"] for stage in ("chunks", "index")] == [0, 0]
    assert entry.embedder.texts == 18


def test_a_changed_document_is_replaced_and_a_deleted_one_leaves_the_index(entry: Entry) -> None:
    entry.run()
    entry.flow.connector.put("0.txt", prose(7))
    del entry.flow.connector.items["1.txt"]
    entry.run()
    assert entry.texts() == {"0.txt": folded(7)["7.txt"], "2.txt": folded(2)["2.txt"]}
    assert entry.pending() == 0


def test_small_batches_give_the_same_index_and_a_larger_document_goes_alone(entry: Entry) -> None:
    limits = {"sync_batch_documents": 1, "embed_batch": 2, "index_batch_documents": 2, "index_batch_points": 5}
    entry.flow.settings = entry.flow.settings.model_copy(update=limits)
    entry.run()
    assert entry.texts() == folded(0, 1, 2)
    assert entry.index.written == [1, 1, 1]


def test_equal_texts_are_embedded_once(entry: Entry) -> None:
    for name in ("a", "b"):
        entry.flow.connector.put(f"{name}.txt", prose(8), title="Pumps")
    counts = entry.run()["embeddings"].counts
    assert {name: counts[name] for name in ("chunks", "texts", "embedded", "cached")} == {
        "chunks": 30, "texts": 24, "embedded": 24, "cached": 0,
    }  # fmt: skip


def test_a_document_with_too_many_chunks_is_quarantined_withdrawn_and_not_tried_again(entry: Entry) -> None:
    entry.run()
    entry.flow.connector.put("0.txt", prose(0, sentences=60))
    assert entry.run()["chunks"].counts["rejected"] == 1
    assert entry.flow.quarantined()["0.txt"].reason == Reason.TOO_MANY_CHUNKS
    assert entry.texts() == folded(1, 2)
    assert entry.pending() == 0
    assert entry.run()["chunks"].counts["documents"] == 0
    entry.flow.connector.put("0.txt", prose(0))
    entry.run()
    assert (entry.texts(), entry.flow.quarantined()) == (folded(0, 1, 2), {})


def test_a_text_without_a_usable_vector_withdraws_its_document_and_no_other(entry: Entry) -> None:
    entry.flow.connector.put("9.txt", prose(9))
    assert entry.run()["embeddings"].counts["rejected"] == 1
    quarantined = entry.flow.quarantined()["9.txt"]
    assert (quarantined.stage, quarantined.reason) == ("embed", Reason.VECTOR_NOT_FINITE)
    assert entry.texts() == folded(0, 1, 2)
    assert entry.pending() == 0


@pytest.mark.catalogue("F08")
def test_a_run_whose_index_goes_away_fails_and_the_next_one_writes_what_is_missing(entry: Entry) -> None:
    entry.flow.settings = entry.flow.settings.model_copy(update={"index_batch_documents": 1})
    entry.index.broken, entry.index.writes_before = entry.active, 1
    with pytest.raises(Unavailable):
        entry.run()
    assert entry.pending() == 2
    entry.index.broken = None
    assert entry.run()["index"].counts["documents"] == 2
    assert (entry.texts(), entry.embedder.texts) == (folded(0, 1, 2), 18)


def test_documents_a_building_generation_never_held_are_given_to_it_by_id_and_left_to_its_build_by_shard(
    entry: Entry,
) -> None:
    new = declare(entry.flow.store, entry.index, word_transforms(version="2"), actor="ann").name  # type: ignore[arg-type]
    results = entry.run()
    assert results["embeddings"].counts["followed"] == (18 if entry.by_id else 0)
    assert entry.pending(new) == (0 if entry.by_id else 3)
    assert entry.pending() == 0


def test_another_generation_that_cannot_be_written_to_is_deferred_and_stops_nothing(entry: Entry) -> None:
    new = declare(entry.flow.store, entry.index, word_transforms(version="2"), actor="ann").name  # type: ignore[arg-type]
    with entry.flow.store.engine.begin() as connection:
        generations.change(connection, new, state="ready")
    entry.index.broken = new
    assert entry.run()["index"].counts["deferred"] == 1
    assert entry.texts() == folded(0, 1, 2)
    entry.index.broken = None
    entry.run()
    assert entry.pending(new) == 0


def test_deletions_reach_an_active_generation_that_cannot_be_reproduced(entry: Entry) -> None:
    entry.run()
    with entry.flow.store.engine.begin() as connection:
        generations.change(connection, entry.active, chunker="gone")
    del entry.flow.connector.items["1.txt"]
    results = entry.run()
    assert results["chunks"].problem == Reason.GENERATION_STATE
    assert entry.texts() == folded(0, 2)
